"""Where the running code is: the run that LangChain is in, and who records it.

LangChain tells it in the config of its context, inside whatever runnable or graph node is running.
"""

from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables.config import ensure_config

import doctrail_core
from doctrail_core.composition import swallow
from langchain_doctrail.callbacks import LineageCallbackHandler
from langchain_doctrail.open_runs import OpenResponse, OpenRun

if TYPE_CHECKING:
    from doctrail_core import Lineage

__all__ = ["is_heard", "note", "open_response", "running"]


def running() -> "tuple[Lineage, OpenRun] | None":
    """The run that the running code is in, and where that is recorded; None where nobody listens."""
    callbacks: Any = ensure_config().get("callbacks")
    run_id = getattr(callbacks, "parent_run_id", None)
    for handler in _handlers(callbacks):
        if run := handler.open_run(run_id):
            return handler.lineage, run
    return None


def open_response() -> OpenResponse | None:
    """The response that the running code is part of, as the handler that listens to it knows it."""
    found = running()
    return found[1].response if found else None


def is_heard(callbacks: object) -> bool:
    """Whether a lineage handler is among these callbacks, however they are given."""
    return bool(_handlers(callbacks))


def note(where: str, error: Exception) -> None:
    """Note an error of ours where the running code is recorded, or else where it would be by default."""
    listening = _handlers(ensure_config().get("callbacks"))
    if listening:
        listening[0].swallow(where, error)
    else:
        swallow(f"langchain.{where}", error, doctrail_core.default_lineage)


def _handlers(callbacks: object) -> list[LineageCallbackHandler]:
    managed: object = getattr(callbacks, "handlers", callbacks)
    handlers = cast("list[object]", managed) if isinstance(managed, list) else []
    return [handler for handler in handlers if isinstance(handler, LineageCallbackHandler)]
