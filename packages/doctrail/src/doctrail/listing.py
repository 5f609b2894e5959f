"""Lists as every command prints them: aligned columns for people, JSON Lines for programs."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["show_list"]

_T = TypeVar("_T", bound="DataclassInstance")


def show_list(
    terminal: Terminal,
    options: Namespace,
    items: Iterable[_T],
    header: Sequence[str],
    row: Callable[[_T], Sequence[str]],
) -> int:
    """Print the items as `options.json` says; returns how many there were."""
    if options.json:
        return sum(_told(terminal, item) for item in items)
    rows = [row(item) for item in items]
    if rows:
        terminal.table([header, *rows])
    return len(rows)


def _told(terminal: Terminal, item: "DataclassInstance") -> int:
    terminal.data(asdict(item))
    return 1
