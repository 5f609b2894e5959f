"""What becomes of an answer that cannot be put on record, where such answers are to be refused.

LlamaIndex lets nobody who listens keep an answer back. So whoever wraps an engine asks, when all who listen
have been told of its end, whether one was refused.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from doctrail_core.capture.events import Event, RunEnded

if TYPE_CHECKING:
    from doctrail_core import NotRecordedError

__all__ = ["insisting", "refused"]

_refusals: "ContextVar[list[NotRecordedError] | None]" = ContextVar(
    "doctrail_refusals", default=None
)


def refused(event: Event, error: "NotRecordedError") -> None:
    """Note that what the event tells of is not on record. Of a model's call, its answer's record will tell."""
    noted = _refusals.get()
    if noted is not None and isinstance(event, RunEnded):
        noted.append(error)


@contextmanager
def insisting() -> Generator[None]:
    """Let no answer leave that was refused.

    Raises:
        NotRecordedError: One was.
    """
    noted: list[NotRecordedError] = []
    token = _refusals.set(noted)
    try:
        yield
    finally:
        _refusals.reset(token)
    for error in noted:
        raise error
