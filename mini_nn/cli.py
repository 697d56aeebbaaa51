"""The command line: `mini-nn predict | train | augment | summary | learn | demo | doctor`.

A command is a row of COMMANDS: its name, what it takes, and a function args -> exit code.  What is heavy is imported
by the command that needs it, so that `mini-nn --help` answers at once.  Exit codes: 0 done, 1 done in part, 2 wrong
input, 130 stopped with Ctrl-C, 141 the reader of the output went away.
"""

import io
import json
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from glob import glob
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mini_nn import __version__

if TYPE_CHECKING:
    from mini_nn.core import Layer
    from mini_nn.profile import Report
    from mini_nn.weights.preprocess import Preprocess


def predict_takes(parser: ArgumentParser) -> None:
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="a picture file: JPEG, PNG, WebP, ...")
    parser.add_argument("--model", default="efficientnet_lite0", help="a pretrained network (%(default)s)")
    parser.add_argument(
        "--top", type=at_least_one, default=5, metavar="K", help="how many classes (%(default)s)"
    )
    parser.add_argument(
        "--mine", action="store_true", help="run it with your functions of the course, in work/"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--out", type=png, metavar="FILE.png", help="also draw the photos with their classes")


def predict(args: Namespace) -> int:
    """Name what is on each photo.  A broken one is reported, and the others are still done."""
    from mini_nn import demo, weights

    if args.out and not args.out.absolute().parent.is_dir():
        raise ValueError(f"{args.out}: there is no folder {args.out.parent}; make it first")
    trained: tuple[Layer, Preprocess, tuple[str, ...]] = weights.pretrained(args.model)
    if args.mine:
        from lessons import mine

        yours = mine.Mine(trained[0], mine.from_files())
        trained = (yours, *trained[1:])
    done: list[tuple[Path, list[tuple[str, float]]]] = []
    photos = [path for word in args.photos for path in expand(word)]
    for photo in photos:
        for path, best in demo.predict_photos([photo], *trained, k=args.top, report=complain):
            done.append((path, best))
            if not args.json:
                print(path, *(f"  {p:6.1%}  {name}" for name, p in best), sep="\n", flush=True)
    if args.json:
        rows = [(path, [{"class": name, "probability": p} for name, p in best]) for path, best in done]
        print(json.dumps([{"photo": str(path), "best": best} for path, best in rows], indent=1))
    if args.mine and done:
        print(yours.report(), file=sys.stderr if args.json else sys.stdout)
    if args.out and done:
        demo.draw(done, trained[1], args.out)
    return 0 if len(done) == len(photos) else 1 if done else 2


def train_takes(parser: ArgumentParser) -> None:
    parser.add_argument("--model", default="mobilenet_v2", help="a key of micro.MICRO (%(default)s)")
    parser.add_argument("--width", type=float, metavar="X", help="width multiplier (the recipe's)")
    parser.add_argument("--depth", type=float, metavar="X", help="depth multiplier (the recipe's)")
    parser.add_argument(
        "--data", default="mnist_5k", help="a data set's name, a folder with one folder a class, .npz"
    )
    parser.add_argument("--size", type=size, metavar="N", help="of photographs: 64, or 64x96 (64)")
    parser.add_argument("--epochs", type=at_least_one, metavar="N", help="(the recipe's)")
    parser.add_argument("--lr", type=float, metavar="X", help="highest learning rate (the recipe's)")
    parser.add_argument("--out", default="runs/train", type=Path, metavar="FOLDER", help="(%(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(%(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def train(args: Namespace) -> int:
    """Train a micro network; the run's folder gets its best weights, its history and two pictures."""
    from mini_nn import micro, plot, weights

    splits = micro.splits(args.data, args.size)
    changes = {"width_mult": args.width, "depth_mult": args.depth, "epochs": args.epochs, "lr": args.lr}
    recipe = micro.recipe(args.model, splits).with_(**changes)
    model = recipe.build(splits, args.seed)
    print(
        f"{recipe}\n{len(splits.train)} images to train on, {len(splits.valid)} held back  {splits.note}".rstrip()
    )
    run = recipe.fit(model, splits, args.seed, checkpoint=args.out, resume=args.resume, quiet=args.quiet)
    for r in run:
        held = f"held back: loss {r.valid_loss:.3f}, accuracy {r.valid_accuracy:.1%}"
        print(
            f"epoch {r.epoch}: loss {r.loss:.3f}, accuracy {r.accuracy:.1%}; {held}; {r.seconds:.0f} s",
            flush=True,
        )
        plot.curves(micro.history(args.out), args.out / "curves.png")
    weights.load(model, args.out / "best.safetensors")
    matrix = micro.confusion(model, splits.valid)
    plot.confusion(matrix, splits.classes, args.out / "confusion.png")
    right = f"{matrix.trace()} of {matrix.sum()} images that were held back are right ({matrix.trace() / matrix.sum():.1%})"
    print(f"{right}.  In {args.out}: best.safetensors, history.csv, curves.png, confusion.png")
    return 0


def augment_takes(parser: ArgumentParser) -> None:
    parser.add_argument("photo", metavar="PHOTO", help="a picture file")
    parser.add_argument("--out", default="out/augmented.png", metavar="FILE.png", help="(%(default)s)")
    parser.add_argument("--preset", metavar="NAME", help="add a row with a published recipe")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(%(default)s)")


def augment(args: Namespace) -> int:
    """Draw what each augmentation makes of a photo, at two strengths."""
    from mini_nn import data
    from mini_nn.data import sheet

    print(sheet.draw(args.photo, args.out, args.preset and data.preset(args.preset), args.seed))
    return 0


def expand(word: str) -> list[str]:
    """The files that a pattern names: Windows leaves that to the program."""
    if os.path.exists(word):  # noqa: PTH110  (Path.exists raises where a folder may not be entered)
        return [word]
    return sorted(glob(word)) or [word]  # noqa: PTH207  (Path.glob takes no absolute pattern)


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


def learn_takes(parser: ArgumentParser) -> None:
    words = ("list", "check", "next", "hint", "reset", "solution", "watch")
    parser.add_argument(
        "word",
        nargs="?",
        choices=words,
        metavar="WORD",
        help=f"{', '.join(words)} (go on, and watch your file)",
    )
    parser.add_argument(
        "which", nargs="?", metavar="ID", help="an exercise: L1.depthwise_backward; or a lesson: 1"
    )
    parser.add_argument("--lesson", metavar="N", help="stay in this lesson: 0, 1, ...")
    parser.add_argument("--work", default="work", metavar="FOLDER", help="where your files are (%(default)s)")


def learn(args: Namespace) -> int:
    """The course's exercises: your file is checked whenever you save it."""
    from lessons import learn

    return learn.main(args.word, args.which, args.lesson, args.work)


def demo_takes(parser: ArgumentParser) -> None:
    parser.add_argument("--out", default="out", metavar="FOLDER", help="where pictures go (%(default)s)")


def demo(args: Namespace) -> int:
    from mini_nn.demo import main

    return main(out=args.out)


def doctor(args: Namespace) -> int:  # noqa: ARG001
    from mini_nn.doctor import main

    return main()


class Command(NamedTuple):
    name: str
    help: str
    run: Callable[[Namespace], int]
    takes: Callable[[ArgumentParser], None] = lambda parser: None  # noqa: ARG005
    examples: str = ""


COMMANDS = (
    Command(
        "predict",
        "say what is on photographs",
        predict,
        predict_takes,
        "mini-nn predict cat.jpg dog.png --top 3\nmini-nn predict cat.jpg --mine\nmini-nn predict holiday/*.jpg --out sheet.png",
    ),
    Command(
        "train",
        "train a small network of one of the families",
        train,
        train_takes,
        "mini-nn train --model efficientnet_b0 --out runs/b0\nmini-nn train --data photos/ --epochs 30 --out runs/mine",
    ),
    Command(
        "augment",
        "draw what each augmentation makes of a photograph",
        augment,
        augment_takes,
        "mini-nn augment cat.jpg --out sheet.png",
    ),
    Command(
        "summary",
        "print a network's layers, parameters and multiply-adds",
        summary,
        summary_takes,
        "mini-nn summary mobilenet_v2 --width 0.5 --size 160\nmini-nn summary efficientnet_b0 --stages",
    ),
    Command(
        "learn",
        "the course's exercises: your file, a check at every save, hints",
        learn,
        learn_takes,
        "mini-nn learn\nmini-nn learn list\nmini-nn learn check L1.depthwise_backward",
    ),
    Command(
        "demo", "what `make run` does: every network in a table, 20 photographs classified", demo, demo_takes
    ),
    Command("doctor", "look at this machine, and say what to type where something is wrong", doctor),
)


def png(text: str) -> Path:
    if not text.lower().endswith(".png"):
        raise ArgumentTypeError(f"{text!r} does not end in .png")
    return Path(text)


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """'160' or '160x224' (height x width)."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise ArgumentTypeError(f"{text!r} is no size: 160, or height x width as 160x224")
    return int(sides[0]), int(sides[-1])


def parser() -> ArgumentParser:
    every = "\n".join(command.examples or f"mini-nn {command.name}" for command in COMMANDS)
    plain = RawDescriptionHelpFormatter
    what = "Mobile vision networks by hand."
    top = ArgumentParser("mini-nn", description=what, epilog=indent(every), formatter_class=plain)
    top.add_argument("--version", action="version", version=f"mini-nn {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        what = command.help[0].upper() + command.help[1:] + "."
        below = commands.add_parser(
            command.name,
            help=command.help,
            description=what,
            epilog=indent(command.examples),
            formatter_class=plain,
        )
        command.takes(below)
        below.set_defaults(run=command.run)
    return top


def indent(examples: str) -> str:
    return "examples:\n  " + examples.replace("\n", "\n  ") if examples else ""


def complain(text: str) -> None:
    print(f"mini-nn: {text}", file=sys.stderr, flush=True)


def sentence(error: Exception) -> str:
    """What went wrong, in words."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def main(argv: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name may have letters that a console lacks
            stream.reconfigure(errors="backslashreplace")
    args = parser().parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt as stopped:
        complain(str(stopped) or "stopped")
        return 130
    except BrokenPipeError:  # `mini-nn summary ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # closing it must not fail again
        return 141
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        complain(sentence(error))
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
