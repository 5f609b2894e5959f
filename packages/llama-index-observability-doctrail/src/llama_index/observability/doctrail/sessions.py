"""The session that a query belongs to, as the application tells LlamaIndex in its instrument tags.

Tags are read, never set: whoever sets them replaces all that were there.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from llama_index_instrumentation.dispatcher import active_instrument_tags

__all__ = ["tagged_session"]

_SESSION = ("session_id", "thread_id", "conversation_id")
_USER = ("user_id",)


def tagged_session() -> tuple[str | None, str | None]:
    """The session and the user that the running code is tagged with."""
    tags = active_instrument_tags.get()
    return (_named(tags, _SESSION), _named(tags, _USER)) if tags else (None, None)


def _named(tags: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    found = (tags.get(name) for name in names)
    return next(
        (str(value) for value in found if value and isinstance(value, str | int | UUID)), None
    )
