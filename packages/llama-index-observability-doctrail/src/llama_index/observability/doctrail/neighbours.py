"""The spans that other instrumentations of LlamaIndex have open, by the ids of the dispatcher's spans.

All listen to the same dispatcher, so they are found among its handlers: none is imported here, and where none
listens, that is a look at a short list. What is read of theirs is private to them. So it is read with care:
what is not as expected is as if it were not there.
"""

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

from llama_index_instrumentation import get_dispatcher

from doctrail_core.model import SpanReference

__all__ = ["agent", "any_listens", "written"]

_Read = Callable[[Any], Any]

_GENAI = "opentelemetry.instrumentation.genai.llama_index"
_OPEN_SPANS: dict[str, _Read] = {
    # openinference-instrumentation-llama-index 4.6.1
    "openinference.instrumentation.llama_index": attrgetter("_otel_span"),
    # opentelemetry-instrumentation-llamaindex 0.62.4 (OpenLLMetry)
    "opentelemetry.instrumentation.llamaindex": attrgetter("otel_span"),
    # opentelemetry-instrumentation-genai-llama-index 1.3b0
    _GENAI: attrgetter("_invocation.span"),
}
"""How to get from what their handlers keep of an open span to OpenTelemetry's, by their packages."""


def any_listens() -> bool:
    """Whether there is another instrumentation; all that are known make their spans the ambient ones."""
    return any(_package(handler.__class__) for handler in _handlers())


def written(span_id: str) -> SpanReference | None:
    """The span that another instrumentation has open for this one of the dispatcher's."""
    for handler in _handlers():
        package = _package(handler.__class__)
        found = _reference(handler, _OPEN_SPANS[package], span_id) if package else None
        if found is not None:
            return found
    return None


def agent(span_id: str) -> SpanReference | None:
    """The span of an agent that was called in this step; it lasts for as long as it is the agent's turn."""
    for handler in _handlers():
        if (
            _package(handler.__class__) == _GENAI
        ):  # others write one of the step, and none of the agent
            return _reference(handler, _OPEN_SPANS[_GENAI], span_id)
    return None


def _handlers() -> list[Any]:
    root: Any = get_dispatcher()
    return root.span_handlers


@cache
def _package(handler: type) -> str | None:
    """The instrumentation that a handler is of, if it is one of those."""
    return next(
        (name for name in _OPEN_SPANS if f"{handler.__module__}.".startswith(f"{name}.")), None
    )


def _reference(handler: Any, read: _Read, span_id: str) -> SpanReference | None:
    try:
        kept = handler.open_spans.get(span_id)
        if kept is None:
            return None
        context = read(kept).get_span_context()
        if not context.is_valid:
            return None
        sampled = bool(context.trace_flags & 1)
        return SpanReference(f"{context.trace_id:032x}", f"{context.span_id:016x}", sampled)
    except Exception:  # noqa: BLE001  # another version of theirs: then there is none to be found
        return None
