"""The spans that other instrumentations of LlamaIndex have open, by the ids of the dispatcher's spans.

All listen to the same dispatcher, so they are found among its handlers: none is imported here, and where none
listens, that is a look at a short list. What is read of theirs is private to them. So it is read with care:
what is not as expected is as if it were not there.
"""

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

from llama_index_instrumentation import get_dispatcher

from doctrail_core.model import SpanReference

__all__ = ["agent", "any_listens", "written"]

log = logging.getLogger("doctrail")

_Read = Callable[[Any], Any]


def _openinference(kept: Any) -> Any:
    """As of openinference-instrumentation-llama-index 4.6.1."""
    return kept._otel_span  # noqa: SLF001  # there is no public way


def _openllmetry(kept: Any) -> Any:
    """As of opentelemetry-instrumentation-llamaindex 0.62.4; None where it leaves a call to another package."""
    return kept.otel_span


def _genai(kept: Any) -> Any:
    """As of opentelemetry-instrumentation-genai-llama-index 1.3b0; of a search inside of a search it has none."""
    invocation = kept._invocation  # noqa: SLF001  # likewise
    return invocation.span if invocation and invocation._start_span else None  # noqa: SLF001  # likewise


_PACKAGES: dict[str, _Read] = {
    "openinference.instrumentation.llama_index": _openinference,
    "opentelemetry.instrumentation.llamaindex": _openllmetry,
    "opentelemetry.instrumentation.genai.llama_index": _genai,
}
"""How to get from what their handlers keep of a span to OpenTelemetry's."""


def any_listens() -> bool:
    """Whether there is another instrumentation; all that are known make their spans the ambient ones."""
    return any(_reader(handler.__class__) for handler in _handlers())


def written(span_id: str) -> SpanReference | None:
    """The span that another instrumentation has open for this one of the dispatcher's."""
    for handler in _handlers():
        read = _reader(handler.__class__)
        if read and (found := _reference(handler, read, span_id)):
            return found
    return None


def agent(span_id: str) -> SpanReference | None:
    """The span of the agent that is called in this step, and lasts for as long as it is that one's turn."""
    for handler in _handlers():
        if _reader(handler.__class__) is _genai:  # others write one of the step
            return _reference(handler, _genai, span_id)
    return None


def _handlers() -> list[Any]:
    root: Any = get_dispatcher()
    return root.span_handlers


@cache
def _reader(handler: type) -> _Read | None:
    """How to read the spans of such a handler, if it is one of those."""
    within = f"{handler.__module__}."
    return next((read for name, read in _PACKAGES.items() if within.startswith(f"{name}.")), None)


def _reference(handler: Any, read: _Read, span_id: str) -> SpanReference | None:
    try:
        kept = handler.open_spans.get(span_id)
        span = None if kept is None else read(kept)
        return None if span is None else SpanReference.of(span.get_span_context())
    except Exception as error:  # noqa: BLE001  # another version of theirs: then there is none to be found
        _say_once(type(handler).__module__, type(error).__name__)
        return None


@cache
def _say_once(name: str, error: str) -> None:
    log.warning(
        "doctrail cannot read the spans of %s (%s), and writes its own beside them", name, error
    )
