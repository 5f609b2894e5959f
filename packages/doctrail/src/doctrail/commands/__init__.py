"""The commands, one module each.

A module is a command when it has what `Command` names. It imports what it needs inside `run`, so that
`doctrail --help` stays as fast as Python itself.
"""

from typing import TYPE_CHECKING

from doctrail.commands import (
    access,
    affected,
    archive,
    audit,
    check,
    demo,
    diagnose,
    doctor,
    erase,
    export,
    graph,
    ground,
    grounding,
    hold,
    import_,
    pathologies,
    replay,
    responses,
    retention,
    review,
    serve,
    show,
    subject,
    why,
)

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Protocol

    from doctrail.terminal import Terminal

    class Command(Protocol):
        """What a command's module holds."""

        @property
        def NAME(self) -> str: ...  # noqa: N802 - a module's constant, read through a protocol
        @property
        def SUMMARY(self) -> str: ...  # noqa: N802
        @property
        def DESCRIPTION(self) -> str: ...  # noqa: N802
        @property
        def EXAMPLE(self) -> str: ...  # noqa: N802

        def add_arguments(self, parser: ArgumentParser) -> None:
            """Declare what can be typed after the command's name."""
            ...

        def run(self, options: Namespace, terminal: Terminal) -> int:
            """Do it; returns an exit code."""
            ...


__all__ = ["COMMANDS"]

COMMANDS: "tuple[Command, ...]" = (
    demo,
    serve,
    import_,
    why,
    graph,
    responses,
    affected,
    audit,
    archive,
    access,
    show,
    pathologies,
    check,
    ground,
    grounding,
    diagnose,
    replay,
    export,
    erase,
    subject,
    hold,
    retention,
    review,
    doctor,
)
