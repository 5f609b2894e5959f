"""Which span another instrumentation of LangChain has open for a run.

OpenInference, OpenLLMetry and OpenTelemetry's GenAI instrumentation each wrap the constructor of callback
managers, so that every new one gets a handler of theirs: that is where they are found, without importing any
of them, and while nobody wraps it there is nothing to ask.

What is read of their handlers is theirs to change. Where it is not as expected they have no span, which
costs no more than that doctrail writes its own beside it.
"""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackManager

from doctrail_core.capture.scope import when_traced_elsewhere
from doctrail_core.model import SpanReference

__all__ = ["follow_neighbours", "span_elsewhere"]

log = logging.getLogger("doctrail")


def _openinference(handler: Any, run: UUID) -> Any:
    """As of openinference-instrumentation-langchain 0.1.80."""
    return handler.get_span(run)


def _openllmetry(handler: Any, run: UUID) -> Any:
    """As of opentelemetry-instrumentation-langchain 0.62.4."""
    held = handler.spans.get(run)
    return None if held is None else held.span


def _opentelemetry(handler: Any, run: UUID) -> Any:
    """As of opentelemetry-instrumentation-genai-langchain 1.3b0.

    It has no span for many runs, and for a search inside of a search it names that of the outer one.
    """
    invocation = handler._invocation_manager.get_invocation(run)  # noqa: SLF001  # there is no public way
    if invocation is None or not invocation._start_span:  # noqa: SLF001  # likewise
        return None
    return invocation.span


_READ: dict[str, Callable[[Any, UUID], Any]] = {
    "OpenInferenceTracer": _openinference,
    "TraceloopCallbackHandler": _openllmetry,
    "OpenTelemetryLangChainCallbackHandler": _opentelemetry,
}


class _Neighbours:
    """The handlers that others put into every callback manager, as long as nobody begins or ceases to."""

    def __init__(self) -> None:
        self._known: tuple[object, list[Any]] = (None, [])
        self._unreadable: set[str] = set()

    def span_of(self, run_id: str) -> SpanReference | None:
        """The span that one of them has open for a run."""
        handlers = self._handlers()
        if not handlers:
            return None
        try:
            run = UUID(run_id)
        except ValueError:
            return None  # a run that only we know of
        return next(filter(None, (self._read(handler, run) for handler in handlers)), None)

    def _handlers(self) -> list[Any]:
        constructor = vars(BaseCallbackManager)["__init__"]
        wrapped, handlers = self._known
        if constructor is not wrapped:
            handlers = _given_to_everybody()
            self._known = constructor, handlers
        return handlers

    def _read(self, handler: Any, run: UUID) -> SpanReference | None:
        name = type(handler).__name__
        try:
            span = _READ[name](handler, run)
            return None if span is None else SpanReference.of(span.get_span_context())
        except Exception:
            if name not in self._unreadable:
                self._unreadable.add(name)
                log.warning(
                    "doctrail cannot read the spans of %s, and writes its own beside them",
                    name,
                    exc_info=True,
                )
            return None


def _given_to_everybody() -> list[Any]:
    """The handlers that a callback manager has which was given none."""
    try:
        handlers = BaseCallbackManager([]).handlers
    except Exception:
        log.warning("doctrail cannot tell who else traces LangChain", exc_info=True)
        return []
    return [handler for handler in handlers if type(handler).__name__ in _READ]


span_elsewhere = _Neighbours().span_of
"""The span that another instrumentation has open for a run."""


def follow_neighbours() -> None:
    """Have the core ask here for spans that others have written."""
    when_traced_elsewhere(span_elsewhere)
