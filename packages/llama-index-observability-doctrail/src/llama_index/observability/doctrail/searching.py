"""A wrapped retriever at work: a span of ours between two of the host's, of which nobody else is told.

Were it one of the host's, other instrumentations would show each search twice.
"""

import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass

from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.schema import NodeWithScore

__all__ = ["Search", "begun", "span_around"]


@dataclass(slots=True, eq=False)
class Search:
    """What a wrapped retriever is asked once.

    Attributes:
        span_id: What stands for it, in the host's form.
        around: The host's span that it happens in.
        found: What it hands on.
    """

    span_id: str
    around: str | None
    found: list[NodeWithScore] | None = None


_SEARCH: ContextVar[Search | None] = ContextVar("doctrail_search", default=None)


@contextmanager
def begun(retriever: object) -> Generator[Search]:
    """Have what the host begins in here be part of a search of this retriever."""
    span_id = f"{type(retriever).__name__}.retrieve-{uuid.uuid4()}"
    search = Search(span_id, active_span_id.get())
    token = _SEARCH.set(search)
    try:
        yield search
    finally:
        with suppress(ValueError):  # where a coroutine is closed from somewhere else
            _SEARCH.reset(token)


def span_around(parent_id: str | None) -> str | None:
    """What encloses a span that the host begins in this one: the search that is at work there, if any."""
    search = _SEARCH.get()
    return parent_id if search is None or search.around != parent_id else search.span_id
