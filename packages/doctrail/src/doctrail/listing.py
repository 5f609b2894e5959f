"""Lists as every command prints them: aligned columns for people, JSON Lines or CSV for programs."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["add_csv", "show_list"]

_T = TypeVar("_T", bound="DataclassInstance")


def add_csv(parser: ArgumentParser) -> None:
    """Give a command `--csv`."""
    parser.add_argument("--csv", action="store_true", help="print CSV, with the fields of --json")


def show_list(
    terminal: Terminal,
    options: Namespace,
    items: Iterable[_T],
    header: Sequence[str],
    row: Callable[[_T], Sequence[str]],
) -> None:
    """Print the items as the options say; for programs, as they come."""
    if options.json:
        for item in items:
            terminal.data(asdict(item))
    elif getattr(options, "csv", False):
        terminal.csv(asdict(item) for item in items)
    elif rows := [row(item) for item in items]:
        terminal.table([header, *rows])
