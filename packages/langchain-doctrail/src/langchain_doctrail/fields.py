"""Mappings that may be there or not: hosts fill the same place with a dict, None or something else."""

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["fields"]


def fields(value: object) -> Mapping[str, Any]:
    """The value as a mapping; empty if it is none."""
    if type(value) is str or value is None:  # most are, and to ask for a mapping takes long
        return {}
    return cast("Mapping[str, Any]", value) if isinstance(value, (dict, Mapping)) else {}
