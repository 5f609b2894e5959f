"""A JSON copy of anything: what a host handed us, as it was at that moment.

The copy shares nothing with the original, holds only JSON values, is bounded in depth and size
whatever came in, and making it never raises.
"""

import re
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, time
from decimal import Decimal
from itertools import islice
from math import isfinite
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any, cast
from uuid import UUID

__all__ = ["json_value"]

_FEW = 32
_SHORT = 1024
_SMALL = 2**53

_MAX_DEPTH = 8
_MAX_ITEMS = 256
_MAX_STRING = 4096
_MAX_REPR = 200
_MAX_TOTAL = 256 * 1024
"""Characters in one snapshot, all strings together; every value counts for at least one."""
_LARGEST_INTEGER = 2**63 - 1  # what databases and span attributes hold

_SURROGATE = re.compile("[\ud800-\udfff]")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def json_value(value: object) -> Any:
    """Copy `value` as JSON; what JSON cannot say becomes None (NaN) or a short description."""
    anything: Any = value
    if type(value) is dict and _is_simple(anything):
        return anything.copy()
    return _Snapshot().copy(anything)


def _is_simple(value: dict[Any, Any]) -> bool:
    """Whether it is what metadata mostly is, a few names of short texts and numbers: JSON already."""
    return len(value) <= _FEW and all(
        type(key) is str and key.isascii() and len(key) <= _SHORT and _is_plain(item)
        for key, item in value.items()
    )


def _is_plain(item: object) -> bool:
    if type(item) is str:
        return len(item) <= _SHORT and item.isascii()
    if type(item) is float:
        return isfinite(item)
    return item is None or type(item) is bool or (type(item) is int and -_SMALL < item < _SMALL)


class _Snapshot:
    def __init__(self) -> None:
        self._room = _MAX_TOTAL
        self._open: list[object] = []

    def copy(self, value: object) -> Any:
        self._room -= 1
        if self._room < 0:
            return "…"
        try:
            return self._copy(value)
        except Exception:  # noqa: BLE001 -- a host's mapping or repr may raise anything
            return f"<unreadable {type(value).__name__}>"

    def _copy(self, value: object) -> Any:
        # What metadata is made of comes first: whether a type is an abstract one takes long to tell.
        if type(value) is str:
            return self._string(value, _MAX_STRING)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float | Integral | Real):
            return self._number(value)
        if isinstance(value, dict | list | tuple | set | frozenset | Mapping):
            return self._container(cast("Mapping[Any, Any] | Collection[Any]", value))
        if isinstance(value, str | UUID | PurePath | date | time | Decimal):
            return self._string(str(value), _MAX_STRING)
        shown = value[:_MAX_REPR] if isinstance(value, bytes | bytearray) else value
        return self._string(_ADDRESS.sub("", repr(shown)), _MAX_REPR)

    def _number(self, value: float | Integral | Real) -> int | float | str | None:
        if not isinstance(value, int | Integral):
            return float(value) if isfinite(value) else None
        number = int(value)
        return number if abs(number) <= _LARGEST_INTEGER else self._string(repr(number), _MAX_REPR)

    def _container(self, value: Mapping[Any, Any] | Collection[Any]) -> Any:
        if any(value is outer for outer in self._open):
            return "<cycle>"
        if len(self._open) == _MAX_DEPTH:
            return f"<{type(value).__name__} nested too deep>"
        self._open.append(value)
        try:
            if isinstance(value, dict | Mapping):
                return self._mapping(cast("Mapping[Any, Any]", value))
            return self._sequence(value)
        finally:
            self._open.pop()

    def _mapping(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        items = islice(value.items(), _MAX_ITEMS)
        copied = {str(self.copy(key)): self.copy(item) for key, item in items}
        if len(value) > _MAX_ITEMS:
            copied["…"] = f"{len(value) - _MAX_ITEMS} more"
        return copied

    def _sequence(self, value: Collection[Any]) -> list[Any]:
        copied = [self.copy(item) for item in islice(value, _MAX_ITEMS)]
        if isinstance(value, AbstractSet):
            copied.sort(key=repr)  # sets have no order that would be the same in the next process
        if len(value) > _MAX_ITEMS:
            copied.append(f"… {len(value) - _MAX_ITEMS} more")
        return copied

    def _string(self, text: str, limit: int) -> str:
        kept = max(0, min(limit, self._room))
        self._room -= min(len(text), kept)
        cut = text if len(text) <= kept else f"{text[:kept]}… ({len(text) - kept} more characters)"
        return cut if cut.isascii() else _SURROGATE.sub("\ufffd", cut)
