"""mini-nn summary: what a network costs."""

from argparse import ArgumentParser, Namespace
from itertools import groupby
from typing import TYPE_CHECKING

from mini_nn.cli.command import Command, size

if TYPE_CHECKING:
    from mini_nn.profile import Report


def summary_takes(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="mobilenet_v1, mobilenet_v2, efficientnet_b0, ...")
    parser.add_argument("--width", type=float, metavar="X", help="width multiplier (the model's own)")
    parser.add_argument(
        "--depth", type=float, metavar="X", help="depth multiplier of an EfficientNet (its own)"
    )
    parser.add_argument(
        "--size", type=size, metavar="N", help="160, or height x width: 160x224 (the model's)"
    )
    parser.add_argument("--classes", type=int, default=1000, metavar="N", help="(%(default)s)")
    parser.add_argument("--channels", type=int, default=3, metavar="N", help="of the images (%(default)s)")
    parser.add_argument(
        "--stem-stride", type=int, default=2, metavar="N", help="1: small images (%(default)s)"
    )
    parser.add_argument("--stages", action="store_true", help="a line for each stage instead of each layer")


def summary(args: Namespace) -> int:
    """Print what a network costs, before it has a single number in it."""
    from mini_nn import models, profile

    model = models.build(
        args.model,
        num_classes=args.classes,
        in_channels=args.channels,
        stem_stride=args.stem_stride,
        width_mult=args.width,
        depth_mult=args.depth,
    )
    height, width = args.size or (models.MODELS[args.model].resolution,) * 2
    if min(height, width) < models.MIN_SIZE:
        raise ValueError(f"--size {height}x{width} is too small: height and width start at {models.MIN_SIZE}")
    report = profile.profile(model, (height, width, args.channels))
    print(by_stage(report) if args.stages else report)
    return 0


def by_stage(report: "Report") -> "Report":
    """The same sums, a row for each stage: "stages.3", "head", ..."""
    from mini_nn.profile import Report, Row

    def stage(row: Row) -> str:
        parts = row.name.split(".")
        return ".".join(parts[:2]) if parts[0] == "stages" else parts[0]

    stages = []
    for name, group in groupby(report.rows, key=stage):
        rows = list(group)
        params, macs = sum(row.params for row in rows), sum(row.macs for row in rows)
        stages.append(
            Row(name, f"{len(rows)} layers" if rows[1:] else rows[0].kind, rows[-1].shape, params, macs)
        )
    return Report(report.shape, stages)


COMMANDS = (
    Command(
        "summary",
        "print a network's layers, parameters and multiply-adds",
        summary,
        summary_takes,
        "mini-nn summary mobilenet_v2 --width 0.5 --size 160\nmini-nn summary efficientnet_b0 --stages",
    ),
)
