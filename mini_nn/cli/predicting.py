"""mini-nn predict: what is on photographs."""

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mini_nn.cli.command import Command, at_least_one, complain, expand, png

if TYPE_CHECKING:
    from mini_nn.core import Layer
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


COMMANDS = (
    Command(
        "predict",
        "say what is on photographs",
        predict,
        predict_takes,
        "mini-nn predict cat.jpg dog.png --top 3\nmini-nn predict cat.jpg --mine\nmini-nn predict holiday/*.jpg --out sheet.png",
    ),
)
