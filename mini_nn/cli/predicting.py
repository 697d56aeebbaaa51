"""mini-nn predict: what is on photographs."""

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mini_nn.cli.command import Command, at_least_one, complain, expand, holds_model, png

if TYPE_CHECKING:
    from mini_nn.core import Layer
    from mini_nn.weights.preprocess import Preprocess

Best = list[tuple[str, float]]  # classes and their probabilities, the most probable first


def predict_takes(parser: ArgumentParser) -> None:
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTO",
        help="a picture file: JPEG, PNG, WebP, ...; a run's folder in the first place is the model",
    )  # fmt: skip
    parser.add_argument("--model", metavar="NAME", help="a pretrained network (efficientnet_lite0)")
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
    from mini_nn import demo

    if args.out and not args.out.absolute().parent.is_dir():
        raise ValueError(f"{args.out}: there is no folder {args.out.parent}; make it first")
    (model, preprocess, classes, sure), words = model_of(args)
    if args.mine:
        from lessons import mine

        model = yours = mine.Mine(model, mine.from_files())
    done: list[tuple[Path, Best]] = []
    photos = [path for word in words for path in expand(word)]
    for photo in photos:
        for path, best in demo.predict_photos([photo], model, preprocess, classes, args.top, complain):
            done.append((path, best))
            if not args.json:
                said = "" if sure is None else f": {verdict(best, sure)}"
                print(f"{path}{said}", *(f"  {p:6.1%}  {name}" for name, p in best), sep="\n", flush=True)
    if args.json:
        print(json.dumps([row(path, best, sure) for path, best in done], indent=1))
    if args.mine and done:
        print(yours.report(), file=sys.stderr if args.json else sys.stdout)
    if args.out and done:
        demo.draw(done, preprocess, args.out)
    return 0 if len(done) == len(photos) else 1 if done else 2


def model_of(
    args: Namespace,
) -> tuple[tuple["Layer", "Preprocess", tuple[str, ...], float | None], list[str]]:
    """(model, preprocess, classes, least probability to be sure of a class), and the words that name photographs."""
    from mini_nn import weights

    if not holds_model(args.photos[0]):
        return (*weights.pretrained(args.model or "efficientnet_lite0"), None), args.photos
    run, *words = args.photos
    if args.model:
        raise ValueError(f"{run} is a model, and so is --model {args.model}: name one of them")
    if not words:
        raise ValueError(f"{run} is the model; name photographs after it")
    from mini_nn import transfer

    found = transfer.load(run)
    return (found.model, found.preprocess, found.classes, found.sure), words


def verdict(best: Best, sure: float) -> str:
    from mini_nn.transfer import NOT_SURE

    return best[0][0] if best[0][1] >= sure else NOT_SURE


def row(path: Path, best: Best, sure: float | None) -> dict[str, Any]:
    """A photograph as JSON; the class that was decided on where a run of one's own was asked."""
    said = {} if sure is None else {"class": verdict(best, sure)}
    return {"photo": str(path), **said, "best": [{"class": name, "probability": p} for name, p in best]}


COMMANDS = (
    Command(
        "predict",
        "say what is on photographs",
        predict,
        predict_takes,
        "mini-nn predict cat.jpg dog.png --top 3\n"
        "mini-nn predict runs/cats holiday/*.jpg --json\n"
        "mini-nn predict cat.jpg --mine\n"
        "mini-nn predict holiday/*.jpg --out sheet.png",
    ),
)
