"""What a user's own code gives to a command, by the name `module:factory`."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from doctrail.errors import UsageError

__all__ = ["made_by"]


def made_by(reference: str, option: str) -> Any:
    """Call the user's factory, found as Python finds modules from the working directory.

    Args:
        reference: `module:factory`, where the factory takes nothing.
        option: What it was typed after, for the error.

    Raises:
        UsageError: There is no such module or factory, or it raised; the message says which.
    """
    module, colon, name = reference.partition(":")
    if not (module and colon and name):
        raise UsageError(
            f"{option} {reference!r} must be module:factory, such as my_app:make_judge"
        )
    factory = _found(module, name, option)
    try:
        return factory()
    except Exception as error:
        raise UsageError(
            f"{option} {reference!r}: calling {name}() failed: {type(error).__name__}: {error}"
        ) from error


def _found(module: str, name: str, option: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{option} {module}:{name} cannot be loaded: {error}") from error
    if not callable(found):
        raise UsageError(
            f"{option} {module}:{name} cannot be called; name a function without arguments"
        )
    return found
