"""mini-nn explore: any network of these families, drawn in a browser."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from mini_nn.cli.command import Command


def html(text: str) -> Path:
    if not text.lower().endswith((".html", ".htm")):
        raise ArgumentTypeError(f"{text!r} does not end in .html")
    return Path(text)


def takes(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=html, metavar="FILE", help="write the page there, as .html, and open nothing"
    )


def explore(args: Namespace) -> int:
    """Write the page, and show it where no file was asked for.  It needs no network, then or later."""
    import webbrowser

    from mini_nn import explorer
    from mini_nn.files import user_cache

    target = args.out or user_cache() / "explorer.html"
    if not args.out:
        target.parent.mkdir(parents=True, exist_ok=True)
    explorer.write(target)
    shown = not args.out and webbrowser.open(target.resolve().as_uri())
    print(f"{target}: {'shown in' if shown else 'open it in'} your browser")
    return 0


COMMANDS = (
    Command(
        "explore",
        "draw any network in your browser: blocks to scale, what each costs",
        explore,
        takes,
        "mini-nn explore\nmini-nn explore --out explorer.html",
    ),
)
