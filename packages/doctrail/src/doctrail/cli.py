"""The command line: parses, dispatches, and turns every error into one clear line and an exit code."""

import os
import sys
from argparse import Action, ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from doctrail import exit_codes
from doctrail.commands import COMMANDS
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from doctrail.commands import Command

__all__ = ["main"]

_EXIT_CODES = """\
exit codes:
  0    done, found, healthy
  1    nothing found; check: a claim is contradicted; doctor: something to look at
  2    the command line or a setting means nothing
  3    a store or file cannot be read or written, or a verifier does not answer
  70   a fault of doctrail itself
  130  stopped from the keyboard
  141  whoever read the output went away
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The words of the command line; default those of the process.

    Returns:
        One of the exit codes.

    Raises:
        SystemExit: After `--help`, `--version`, or words that make no command.
    """
    terminal = Terminal(sys.stdout, sys.stderr)
    options = _parser().parse_args(argv)
    try:
        code: int = options.command.run(options, terminal)
        terminal.flush()
    except BrokenPipeError:
        _discard_output()
        return exit_codes.BROKEN_PIPE
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the guard: a traceback helps no user
        return _explain(error, terminal)
    return code


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="doctrail",
        description="Where did that answer come from?",
        epilog=_EXIT_CODES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and leave")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        _describe(
            command,
            subparsers.add_parser(
                command.NAME,
                help=command.SUMMARY,
                description=command.DESCRIPTION,
                epilog=f"example:\n  {command.EXAMPLE}",
                formatter_class=RawDescriptionHelpFormatter,
            ),
        )
    return parser


def _describe(command: "Command", parser: ArgumentParser) -> None:
    command.add_arguments(parser)
    parser.add_argument(
        "--json", action="store_true", help="print JSON, one object a line; see the README"
    )
    parser.add_argument(
        "--home",
        metavar="DIR",
        help="the folder that holds the records (default: $DOCTRAIL_HOME, else ./.doctrail)",
    )
    parser.set_defaults(command=command)


class _Version(Action):
    """Reads the version only when it is asked for: the metadata machinery is slow to load."""

    def __call__(self, parser: ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"doctrail {version('doctrail')}")  # noqa: T201 - parser.exit would say it on stderr
        parser.exit()


def _explain(error: Exception, terminal: Terminal) -> int:
    from doctrail.errors import explained

    code, text = explained(error)
    terminal.complain(text)
    if os.environ.get("DOCTRAIL_DEBUG"):
        import traceback

        traceback.print_exception(error)
    return code


def _discard_output() -> None:
    # Else the interpreter tries to flush what is left when it exits, and complains.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
