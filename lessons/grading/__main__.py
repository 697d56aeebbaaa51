"""python -m lessons.grading release 00 | grade 00 FOLDER_OR_ZIP | freeze"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(
        "python -m lessons.grading", description="Assignments from the lessons, and grades."
    )
    parser.add_argument(
        "--classroom",
        type=Path,
        default=Path("classroom"),
        metavar="FOLDER",
        help="nbgrader's folder (classroom)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("release", help="make a lesson's assignment")
    one.add_argument("lesson", help="00, 1 or L1")
    two = commands.add_parser(
        "grade", help="grade what students handed in; the same command goes on after a break"
    )
    two.add_argument("lesson", help="00, 1 or L1")
    two.add_argument(
        "source",
        type=Path,
        help="a folder with a notebook or a folder for each student, or a zip file of these",
    )
    two.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="submissions at a time (all cores)"
    )
    commands.add_parser("freeze", help="note this version's new exercises among those that stay as they are")
    args = parser.parse_args(argv)
    from lessons.grading import grade, release
    from lessons.learn import lesson_named

    try:
        if args.command == "freeze":
            release.freeze()
        elif args.command == "release":
            print(f"for students: {release.release(lesson_named(args.lesson), args.classroom)}")
        else:
            folder = grade.grade(lesson_named(args.lesson), args.source, args.classroom, args.workers)
            print(
                f"the class: {folder / 'class.html'}; points: {folder / 'grades.csv'}; students' pages: {args.classroom / 'feedback'}"
            )
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return 130
    except (ValueError, ImportError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
