"""What a user's own code gives to a command, by the name `module:factory`."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from doctrail.errors import UsageError

__all__ = ["made_by"]


def made_by(named: str, option: str) -> Any:
    """What the user's factory returns; modules are looked up from the working directory, too.

    Args:
        named: `module:factory`, where the factory takes nothing.
        option: What it was typed after, for the error.

    Raises:
        UsageError: There is no such module or factory, or it failed; the message says which.
    """
    module, _, factory = named.partition(":")
    if not module or not factory:
        raise UsageError(
            f"{option} is {named!r}; it must be MODULE:FACTORY, such as myapp.chains:build"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` has it
    try:
        make: Any = import_module(module)
    except Exception as error:
        raise UsageError(
            f"{option} {named}: {module} cannot be imported: {_said(error)}"
        ) from error
    for name in factory.split("."):
        if not hasattr(make, name):
            raise UsageError(f"{option} {named}: {module} has no {factory}")
        make = getattr(make, name)
    if not callable(make):
        raise UsageError(f"{option} {named}: {factory} is no function")
    try:
        return make()
    except Exception as error:
        raise UsageError(f"{option} {named}: {factory}() failed: {_said(error)}") from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
