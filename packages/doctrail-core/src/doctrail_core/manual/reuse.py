"""Answers that a cache gives again, told by hand, in whatever framework the cache stands."""

from doctrail_core.capture.events import AnswerReused
from doctrail_core.capture.scope import located
from doctrail_core.composition import default_lineage, swallow
from doctrail_core.text.identity import as_name

__all__ = ["current_response_id", "reused"]


def reused(response_id: str) -> None:
    """Say that what the running code answers is, or holds, the answer of an earlier response. Never raises.

    To be called where a cache gives that answer: inside a response, or in the running chain, engine or
    workflow of a recorded framework.

    Args:
        response_id: The earlier response. Whatever its answer came from is behind this one, too.
    """
    try:
        earlier = as_name(response_id)
        if (place := located()) is not None and earlier is not None:
            place.lineage.record(AnswerReused(place.run_id, earlier))
    except Exception as error:  # noqa: BLE001  # lineage never breaks the user's code
        swallow("reused", error, default_lineage)


def current_response_id() -> str | None:
    """The id of the response that the running code is part of: keep it with an answer that is cached."""
    place = located()
    return None if place is None else place.response_id
