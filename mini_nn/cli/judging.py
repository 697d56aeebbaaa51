"""mini-nn evaluate, ensemble and export: what a run is worth, alone and together with others, and elsewhere."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mini_nn.cli.command import MODEL, Command, at_least_one, complain, expand, holds_model, size

if TYPE_CHECKING:
    from mini_nn.evaluation import Labelled
    from mini_nn.folder_check import Check
    from mini_nn.transfer import Classifier


def evaluate_takes(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="RUN", help="a run's folder")
    parser.add_argument(
        "photos", type=Path, metavar="PHOTOS", help="a folder with a sub-folder for each class"
    )
    parser.add_argument(
        "--crops", type=int, choices=(1, 2, 10), default=1, metavar="N",
        help="look at each photograph 2 (mirrored) or 10 times, too, and say what that gains and costs",
    )  # fmt: skip
    common(parser)


def common(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, and no word of the folder")


def evaluate(args: Namespace) -> int:
    """Judge a run on labelled photographs."""
    from mini_nn import evaluation, transfer
    from mini_nn.inference import crops

    classifier = transfer.load(args.model)
    found, known = labelled_in(args, classifier.classes)
    predictors: dict[str, Any] = {"the middle": classifier}
    if args.crops > 1:
        predictors[f"{args.crops} crops"] = crops.Cropped(classifier, args.crops)
    scores = evaluation.score(predictors, known, quiet=args.quiet)
    fresh = evaluation.fresh(args.model, found, known)
    if args.json:
        print(json.dumps(evaluation.plain(scores, known, fresh), indent=1))
    else:
        print(evaluation.text(scores[0], known, fresh))
        if args.crops > 1:
            print(evaluation.table(scores, known.y))
    return 1 if found.broken else 0


def labelled_in(args: Namespace, classes: tuple[str, ...]) -> tuple["Check", "Labelled"]:
    """The photographs to judge by; what cannot be used is complained of."""
    from mini_nn import evaluation, folder_check

    found = folder_check.check(args.photos, args.quiet)
    known = evaluation.labelled(found, classes)
    for finding in found.unreadable():
        complain(str(finding))
    for sentence in known.differences():
        complain(sentence)
    return found, known


def ensemble_takes(parser: ArgumentParser) -> None:
    parser.add_argument(
        "words", nargs="+", metavar="RUN", help="folders of runs, and photographs to name together"
    )
    parser.add_argument(
        "--photos", type=Path, metavar="FOLDER", help="judge by these, a sub-folder for each class"
    )
    parser.add_argument(
        "--how", choices=("probabilities", "logits", "votes"), default="probabilities",
        help="what is put together (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--top", type=at_least_one, default=5, metavar="K", help="how many classes (%(default)s)"
    )
    common(parser)


def ensemble(args: Namespace) -> int:
    """Ask several runs together: name photographs, or measure what it gains and costs."""
    from mini_nn import evaluation, inference, transfer

    runs = [word for word in args.words if holds_model(word)]
    words = [word for word in args.words if word not in runs]
    for word in words:
        if Path(word).is_dir() or args.photos:
            raise ValueError(f"{word} holds no {MODEL}; an ensemble is made of the folders of runs")
    if len(runs) < 2:
        raise ValueError(f"an ensemble needs two runs or more, there is {', '.join(runs) or 'none'}")
    if not args.photos and not words:
        raise ValueError("name photographs after the runs, or a folder to judge by with --photos")
    members = {run: transfer.load(run) for run in runs}
    together = inference.ensemble(members.values(), args.how)
    if not args.photos:
        return name_photos(args, together, words)
    found, known = labelled_in(args, next(iter(members.values())).classes)
    scores = evaluation.score({**members, f"together ({args.how})": together}, known, quiet=args.quiet)
    if args.json:
        print(json.dumps(evaluation.plain(scores, known), indent=1))
    else:
        print(evaluation.table(scores, known.y))
    return 1 if found.broken else 0


def name_photos(args: Namespace, predictor: Any, words: list[str]) -> int:
    """The classes of photographs, as `mini-nn predict` prints them."""
    from mini_nn import photos

    rows = []
    paths = [path for word in words for path in expand(word)]
    for path in paths:
        try:
            (said,) = predictor.predict([path])
        except photos.PhotoError as error:
            complain(str(error))
            continue
        order = said.probabilities.argsort()[::-1][: args.top]
        best = [(predictor.classes[i], float(said.probabilities[i])) for i in order]
        rows.append({
            "photo": path, "class": said.name, "best": [{"class": name, "probability": p} for name, p in best],
        })  # fmt: skip
        if not args.json:
            print(f"{path}: {said.name}", *(f"  {p:6.1%}  {name}" for name, p in best), sep="\n", flush=True)
    if args.json:
        print(json.dumps(rows, indent=1))
    return 0 if len(rows) == len(paths) else 1 if rows else 2


def export_takes(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="RUN", help="a run's folder, or a pretrained network's name")
    parser.add_argument("out", metavar="FILE.onnx", help="the file to write")
    parser.add_argument(
        "--size", type=size, metavar="N", help="160, or height x width: 160x224 (the model's)"
    )


def export(args: Namespace) -> int:
    """Write a run as ONNX, once ONNX Runtime gives the same answers."""
    from mini_nn import export as exporting
    from mini_nn import transfer, weights

    if holds_model(args.model):
        source: Classifier = transfer.load(args.model)
    elif Path(args.model).is_dir():
        raise ValueError(f"{args.model} holds no {MODEL}; name a run's folder, or a pretrained network")
    else:
        source = transfer.Classifier(*weights.pretrained(args.model))
    print(exporting.onnx(source, args.out, args.size))
    return 0


COMMANDS = (
    Command(
        "evaluate",
        "judge a run on labelled photographs",
        evaluate,
        evaluate_takes,
        "mini-nn evaluate runs/cats photos/\nmini-nn evaluate runs/cats photos/ --crops 10",
    ),
    Command(
        "ensemble",
        "ask several runs together, and measure what that gains and costs",
        ensemble,
        ensemble_takes,
        "mini-nn ensemble runs/a runs/b cat.jpg\nmini-nn ensemble runs/a runs/b runs/c --photos photos/ --how logits",
    ),
    Command(
        "export",
        "write a run as an ONNX file, checked against ONNX Runtime",
        export,
        export_takes,
        "mini-nn export runs/cats cats.onnx",
    ),
)
