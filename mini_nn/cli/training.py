"""mini-nn train and mini-nn augment: a small network from nothing, and what it is shown."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mini_nn.cli.command import Command, at_least_one, size

if TYPE_CHECKING:
    from mini_nn.rituals import Finding


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
    parser.add_argument(
        "--readable",
        action="store_true",
        help="run the layers as they are written, not their fused twins: slower",
    )
    parser.add_argument(
        "--rehearse", action="store_true", help="no training: four experiments that show bugs and good rates"
    )


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
    if args.rehearse:
        return rehearse(recipe.rehearse(model, splits, args.seed), args.out)
    run = recipe.fit(
        model,
        splits,
        args.seed,
        checkpoint=args.out,
        resume=args.resume,
        quiet=args.quiet,
        readable=args.readable,
    )
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


def rehearse(found: "dict[str, Finding]", out: Path) -> int:
    """Print what the rituals found; 1 where one of them does not like it."""
    from mini_nn import plot

    for name, finding in found.items():
        print(f"\n{name}\n{finding}")
    out.mkdir(parents=True, exist_ok=True)
    plot.rates(found["rates"], out / "rates.png")
    print(f"\nIn {out}: rates.png")
    return 0 if all(found.values()) else 1


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


COMMANDS = (
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
)
