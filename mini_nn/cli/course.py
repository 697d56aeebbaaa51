"""mini-nn learn, demo, warmup and doctor: the course, a first look, and the machine."""

from argparse import ArgumentParser, Namespace

from mini_nn.cli.command import Command


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


def warmup(args: Namespace) -> int:  # noqa: ARG001
    from mini_nn.warmup import warm

    for line in warm():
        print(line, flush=True)
    return 0


def doctor(args: Namespace) -> int:  # noqa: ARG001
    from mini_nn.doctor import main

    return main()


COMMANDS = (
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
    Command("warmup", "compile all kernels now, so that nothing waits for it later", warmup),
    Command("doctor", "look at this machine, and say what to type where something is wrong", doctor),
)
