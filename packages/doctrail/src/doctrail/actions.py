"""Actions of a command, such as `doctrail audit verify`."""

from argparse import SUPPRESS, ArgumentParser
from typing import Any

__all__ = ["add_action"]


def add_action(actions: Any, name: str, summary: str) -> ArgumentParser:
    """Give a command an action, as one of what `add_subparsers` made; `options.action` is then its name."""
    parser: ArgumentParser = actions.add_parser(name, help=summary, description=summary)
    # Also after the action's name, where they are typed more often than not.
    parser.add_argument("--json", action="store_true", default=SUPPRESS, help=SUPPRESS)
    parser.add_argument("--home", default=SUPPRESS, help=SUPPRESS)
    return parser
