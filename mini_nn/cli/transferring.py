"""mini-nn transfer: from a folder of photographs to a classifier and a report."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mini_nn.cli.command import Command, at_least_one, whole

if TYPE_CHECKING:
    from mini_nn.folder_check import Check


def transfer_takes(parser: ArgumentParser) -> None:
    parser.add_argument(
        "photos", type=Path, metavar="PHOTOS",
        help="a folder with a sub-folder for each class; where it has none, a contact sheet and a table to fill in are made",
    )  # fmt: skip
    strategies = ("auto", "A", "B", "C", "scratch")
    parser.add_argument(
        "--strategy", choices=strategies, default="auto",
        help="A: a new head; B: the later stages too; C: everything; auto: whichever is better; scratch: to compare with (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--model", default="efficientnet_lite0", metavar="NAME", help="a pretrained network (%(default)s)"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="of the run (runs/ and the folder's name)")
    parser.add_argument("--labels", type=Path, metavar="FILE.csv", help="classes from this table, filled in")
    parser.add_argument("--valid", type=float, default=0.2, metavar="X", help="share held back (%(default)s)")
    parser.add_argument("--size", type=at_least_one, metavar="N", help="pixels a side (the strategy's)")
    parser.add_argument("--epochs", type=at_least_one, metavar="N", help="of B and C (the strategy's)")
    parser.add_argument(
        "--minutes", type=float, default=10.0, metavar="X", help="that auto may take (%(default)g)"
    )
    parser.add_argument(
        "--workers", type=at_least_one, default=2, metavar="N", help="processes for features (%(default)s)"
    )
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="for features (the user's cache)")
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="(%(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars, and no word of the folder")


def transfer(args: Namespace) -> int:
    """Check the folder, train, and write the run's folder; without classes, write what is needed to name them."""
    from mini_nn import folder_check, labelling, report
    from mini_nn import transfer as learning

    model, changes = prepared(args)
    if args.labels:
        items = labelling.read(args.labels, args.photos)
        found = folder_check.look_over(args.photos, items, quiet=args.quiet)
    else:
        found = folder_check.check(args.photos, args.quiet)
        if not found.classes and (loose := folder_check.loose(args.photos)):
            return ask_for_classes(args, model, loose)
    if not args.quiet:
        print(found)
    check_enough(found)
    splits = found.splits(args.valid, args.seed)
    print(intention(args, len(splits.train), len(splits.valid)), flush=True)
    options = {
        name: getattr(args, name) for name in ("seed", "valid", "cache", "workers", "minutes", "quiet")
    }
    run = learning.fit(splits, args.strategy, model, **options, **changes)
    run.config |= {
        "command": args.typed,
        "photos": str(args.photos),
        "labels": args.labels and str(args.labels),
        "versions": report.versions(),
        "learned_from": found.marks(splits.train.paths),
    }
    run.save(args.out)
    report.write(run, found, args.out / "report.html")
    print(f"{run}\nIn {args.out}: model.safetensors, report.html, history.csv, config.json")
    print(f"Look at {args.out / 'report.html'}, then try: mini-nn predict {args.out} PHOTO...")
    return 0


def prepared(args: Namespace) -> tuple[Any, dict[str, Any]]:
    """The network and the strategy's changes; what cannot work is refused before any work is done."""
    from mini_nn import models, weights
    from mini_nn.data.splits import check_valid
    from mini_nn.transfer import tune

    if not args.photos.is_dir():
        raise ValueError(f"{args.photos} is not a folder of photographs")
    check_valid(args.valid)
    if not args.minutes >= 0:
        raise ValueError(f"--minutes must be a number from 0, not {args.minutes}")
    if args.size and args.size < models.MIN_SIZE:
        raise ValueError(f"--size {args.size} is too small: sizes start at {models.MIN_SIZE}")
    args.out = args.out or Path("runs", args.photos.resolve().name)
    if args.out.resolve().is_relative_to(args.photos.resolve()):
        raise ValueError(
            f"--out {args.out} lies in {args.photos}, and its pictures would count as photographs"
        )
    network, how, *_ = weights.pretrained(args.model)
    args.out.mkdir(parents=True, exist_ok=True)
    changes = {"size": args.size, "epochs": args.epochs}
    return (network, tune.resized(how, args.size)), {k: v for k, v in changes.items() if v is not None}


def check_enough(found: "Check") -> None:
    base, names = found.base, found.classes
    if not names:
        why = f"; {len(found.broken)} cannot be read, {found.broken[0][1]}" if found.broken else ""
        raise ValueError(
            f"{base} has no class sub-folder with a photograph that can be read; it should look like "
            f"{base / 'cat'}, {base / 'dog'}, ...{why}"
        )
    if len(names) < 2:
        raise ValueError(
            f"{base} has the one class {names[0]}; a classifier needs two or more: photographs of anything else in a "
            'folder "other", say'
        )


def intention(args: Namespace, learn: int, judge: int) -> str:
    """Which strategy is taken and why, before it begins."""
    from mini_nn.transfer import STRATEGIES

    parts = f"{learn} photographs to learn from, {judge} held back to judge by"
    if args.strategy != "auto":
        return f"{parts}.\nStrategy {args.strategy}, as you asked: {STRATEGIES[args.strategy].what}."
    then = (
        f"then B and C while {args.minutes:g} minutes last, one of which is kept only if it gets more of the held-back right"
        if judge
        else "and no other, since nothing can be held back to compare by"
    )
    return f"{parts}.\nStrategy auto: first A, which is quick and needs few ({STRATEGIES['A'].what}), {then}."


def ask_for_classes(args: Namespace, model: tuple[Any, ...], loose: list[Path]) -> int:
    """A contact sheet, like beside like, and labels.csv to write the classes into."""
    from mini_nn import features, files, folder_check, labelling

    table = args.out / "labels.csv"
    again = f"mini-nn transfer {args.photos} --labels {table}"
    if table.exists():
        raise ValueError(
            f"{table} is there already and stays as it is: fill in its column class, then: {again}"
        )
    found: Check = folder_check.look_over(args.photos, [("", path) for path in loose], quiet=args.quiet)
    if not found.paths:
        raise ValueError(
            f"{args.photos}: none of its {len(loose)} photographs can be read, {found.broken[0][1]}"
        )
    for finding in found.unreadable():
        print(finding)
    cache = args.cache or files.user_cache() / "features"
    rows = features.compute(model[0], model[1], found.paths, cache, args.workers, quiet=args.quiet)
    paths = [found.paths[i] for i in labelling.order(rows)]
    sheets = labelling.sheets(paths, args.out, args.quiet)
    labelling.write(table, paths, args.photos)
    print(
        f"{args.photos} has no sub-folder for each class, but {len(paths)} photographs.  In {args.out}: "
        f"{', '.join(sheet.name for sheet in sheets)} shows them numbered, like beside like.\n"
        f"Write a class beside each number in {table} (leave out what you like), then: {again}"
    )
    return 0


COMMANDS = (
    Command(
        "transfer",
        "make a classifier of your own photographs, and a report on it",
        transfer,
        transfer_takes,
        "mini-nn transfer photos/ --out runs/cats\n"
        "mini-nn transfer photos/ --strategy B --model mobilenet_v2 --seed 1\n"
        "mini-nn transfer photos/ --labels runs/photos/labels.csv",
    ),
)
