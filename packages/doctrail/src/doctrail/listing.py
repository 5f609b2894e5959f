"""Lists as every command prints them: aligned columns for people, JSON Lines for programs."""

from argparse import Namespace
from collections.abc import Callable, Sequence
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
    items: Sequence[_T],
    header: Sequence[str],
    row: Callable[[_T], Sequence[str]],
) -> None:
    """Print the items as `options.json` says."""
    if options.json:
        for item in items:
            terminal.data(asdict(item))
    elif items:
        terminal.table([header, *map(row, items)])
