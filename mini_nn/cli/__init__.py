"""The command line: `mini-nn predict | transfer | evaluate | ensemble | export | train | ... | doctor`.

A command is a row of COMMANDS.  What is heavy is imported by the command that needs it, so that `mini-nn --help`
answers at once.  Exit codes: 0 done, 1 done in part, 2 wrong input, 130 stopped with Ctrl-C, 141 the reader of the
output went away.
"""

import io
import os
import shlex
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence

from mini_nn import __version__
from mini_nn.cli import course, exploring, judging, networks, predicting, training, transferring
from mini_nn.cli.command import Command as Command
from mini_nn.cli.command import complain

COMMANDS = (
    *predicting.COMMANDS, *transferring.COMMANDS, *judging.COMMANDS, *training.COMMANDS, *networks.COMMANDS, *exploring.COMMANDS,
    *course.COMMANDS,
)  # fmt: skip


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
    args.typed = shlex.join(["mini-nn", *(sys.argv[1:] if argv is None else argv)])
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
