"""The one event handler and the one span handler that LlamaIndex's root dispatcher gets from us.

The dispatcher swallows every exception of a handler without a word, so each hook catches its own
and counts it. Registered and taken away by identity: handlers are pydantic models, so somebody
else's may be equal, and twice in the list means everything twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import BoundArguments
from typing import TYPE_CHECKING, Any, Self

from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.events.rerank import ReRankStartEvent
from llama_index.core.instrumentation.span import BaseSpan, active_span_id
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base import BaseEvent

import doctrail_core
from doctrail_core.capture.scope import Scope
from llama_index.observability.doctrail.runs import Runs
from llama_index.observability.doctrail.searching import span_around

if TYPE_CHECKING:
    from doctrail_core import Lineage, Trail
    from doctrail_core.grounding.settings import Grounding

__all__ = ["RUNS", "LineageInstrumentor", "install_on_demand", "located"]


@dataclass
class _Demand:
    """Who wants to be told."""

    instrumentors: "list[LineageInstrumentor]" = field(default_factory=list["LineageInstrumentor"])
    wrapped: bool = False


_demand = _Demand()


class LineageInstrumentor:
    """Records every query of the process, from `install` until `uninstall`.

    Args:
        lineage: Where to record; default the process's own (`doctrail_core.configure`).
        grounding: Which of the answers are checked in the background, and by whom; default as the
            lineage has it.
    """

    def __init__(
        self, lineage: "Lineage | None" = None, *, grounding: "Grounding | None" = None
    ) -> None:
        """Record nothing yet."""
        self._lineage = lineage
        self.grounding = grounding

    @property
    def lineage(self) -> "Lineage":
        """Where it records."""
        return self._lineage or doctrail_core.default_lineage()

    @property
    def last(self) -> "Trail | None":
        """The trail that closed last; under concurrency look it up by response id instead."""
        return self.lineage.last

    def install(self) -> Self:
        """Record from now on. Of several that are installed, the last one records."""
        if not any(other is self for other in _demand.instrumentors):
            _demand.instrumentors.append(self)
        _install()
        return self

    def uninstall(self) -> None:
        """Record no more than wrapped retrievers, and scopes around them, ask for."""
        _demand.instrumentors[:] = [other for other in _demand.instrumentors if other is not self]
        _withdraw_if_unused()


def _recording() -> "LineageInstrumentor | None":
    return _demand.instrumentors[-1] if _demand.instrumentors else None


RUNS = Runs(_recording)


class LineageEvents(BaseEventHandler):
    """Follows LLM calls."""

    @classmethod
    def class_name(cls) -> str:
        """Say what it is called in LlamaIndex."""
        return "LineageEvents"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:  # noqa: ARG002  # the host's signature
        """Take note of an event."""
        hook = _HOOKS.get(type(event)) or _INNER_HOOKS.get(type(event).__name__)
        if hook is not None:
            try:
                hook(event)
            except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
                RUNS.fault(type(event).__name__, error)


_HOOKS: dict[type[BaseEvent], Callable[[Any], None]] = {
    LLMChatStartEvent: RUNS.call_started,
    LLMCompletionStartEvent: RUNS.call_started,
    LLMChatInProgressEvent: RUNS.call_progressed,
    LLMCompletionInProgressEvent: RUNS.call_progressed,
    LLMChatEndEvent: RUNS.call_ended,
    LLMCompletionEndEvent: RUNS.call_ended,
    ReRankStartEvent: RUNS.ranking_began,
    ExceptionEvent: lambda event: RUNS.call_failed(event.span_id, event.exception),
}


_INNER_HOOKS: dict[str, Callable[[Any], None]] = {  # of classes that are not to be imported
    "SpanCancelledEvent": lambda event: RUNS.cut(event.span_id),
}


class LineageSpans(BaseSpanHandler[BaseSpan]):
    """Follows spans, and keeps none itself: the base class would keep them all."""

    @classmethod
    def class_name(cls) -> str:
        """Say what it is called in LlamaIndex."""
        return "LineageSpans"

    def span_enter(
        self,
        id_: str,
        bound_args: BoundArguments,
        instance: Any | None = None,
        parent_id: str | None = None,
        tags: dict[str, Any] | None = None,  # noqa: ARG002  # the host's signature
        **kwargs: Any,  # noqa: ARG002  # likewise
    ) -> None:
        """Take note that a span begins."""
        if parent_id is None and _is_told_early():
            return
        RUNS.begin(id_, bound_args.arguments, instance, span_around(parent_id))

    def span_exit(
        self,
        id_: str,
        bound_args: BoundArguments,  # noqa: ARG002  # the host's signature
        instance: Any | None = None,  # noqa: ARG002  # likewise
        result: Any | None = None,
        **kwargs: Any,  # noqa: ARG002  # likewise
    ) -> None:
        """Take note that a span returned."""
        RUNS.end(id_, result)

    def span_drop(
        self,
        id_: str,
        bound_args: BoundArguments,  # noqa: ARG002  # the host's signature
        instance: Any | None = None,  # noqa: ARG002  # likewise
        err: BaseException | None = None,
        **kwargs: Any,  # noqa: ARG002  # likewise
    ) -> None:
        """Take note that a span ended by an exception."""
        RUNS.fail(id_, err or RuntimeError("dropped"))

    def new_span(self, *args: Any, **kwargs: Any) -> None:
        """Keep nothing."""

    def prepare_to_exit_span(self, *args: Any, **kwargs: Any) -> None:
        """Keep nothing."""

    def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> None:
        """Keep nothing."""


_EVENTS, _SPANS = LineageEvents(), LineageSpans()


def located() -> Scope | None:
    """The response that the running code is part of, as LlamaIndex's active span tells it."""
    return RUNS.scope(active_span_id.get())


def _is_told_early() -> bool:
    """Whether others are told of this span after us; then we are told once more, and last from now on.

    At the end of the list, whatever others write for a span is there when ours is told, and what others put
    in the place of an answer's stream is what we put ours around.
    """
    root: Any = get_dispatcher()
    handlers = root.span_handlers
    if handlers[-1] is _SPANS or not any(handler is _SPANS for handler in handlers):
        return False
    handlers.append(_SPANS)  # for who walks this list right now
    root.span_handlers = [handler for handler in handlers if handler is not _SPANS]
    root.add_span_handler(_SPANS)
    return True


def install_on_demand() -> None:
    """Have LlamaIndex tell us for as long as the process lives: wrappers and scopes may be anywhere."""
    _demand.wrapped = True
    _install()


def _install() -> None:
    """Have LlamaIndex tell us; doing it twice changes nothing."""
    root: Any = get_dispatcher()
    if not any(handler is _EVENTS for handler in root.event_handlers):
        root.add_event_handler(_EVENTS)
    if not any(handler is _SPANS for handler in root.span_handlers):
        root.add_span_handler(_SPANS)


def _withdraw_if_unused() -> None:
    if not _demand.instrumentors and not _demand.wrapped:
        root: Any = get_dispatcher()
        root.event_handlers[:] = [h for h in root.event_handlers if h is not _EVENTS]
        root.span_handlers[:] = [h for h in root.span_handlers if h is not _SPANS]
