"""Mappings that may be there or not: hosts fill the same place with a dict, None or something else."""

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["fields"]


def fields(value: object) -> Mapping[str, Any]:
    """The value as a mapping; empty if it is none."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
