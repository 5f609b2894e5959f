"""A response and the steps inside of it, told by hand."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from doctrail_core.capture.events import AnswerReused, Event, RunEnded, RunFailed, RunStarted
from doctrail_core.capture.scope import acting_for
from doctrail_core.manual.arguments import question_in
from doctrail_core.manual.block import FRAMEWORK, Block

if TYPE_CHECKING:
    from doctrail_core.composition import Lineage

__all__ = ["Run", "response", "step"]


class Run(Block):
    """A response or a step while it happens: tell it what was `answered`."""

    def __init__(
        self,
        name: str | None,
        question: str | None,
        session_id: str | None,
        user_id: str | None,
        lineage: "Lineage | None",
    ) -> None:
        """See `response` and `step`."""
        super().__init__(lineage)
        self._name = name
        self._question = question
        self._session_id = session_id
        self._user_id = user_id
        self._answer: str | None = None
        self._pieces: list[str] = []

    @property
    def response_id(self) -> str:
        """The id of the response that this is, or that it is part of."""
        return self._response_id

    def answered(self, answer: str | None) -> None:
        """Say the answer, where it is not simply what the last model call said."""
        self._answer = answer

    def reused(self, response_id: str) -> None:
        """Say that the answer, or a part of it, is that of an earlier response, as a cache gave it.

        Args:
            response_id: The earlier response.
        """
        self._learn(self._reuse, response_id)

    def _reuse(self, response_id: str) -> None:
        self._recording().record(AnswerReused(self._run_id, response_id))

    def _inside(self) -> AbstractContextManager[Any]:
        return _both(super()._inside(), acting_for(self._user_id))

    def _called(self, name: str, arguments: Mapping[str, Any]) -> None:
        self._name = self._name or name
        self._question = question_in(arguments) if self._question is None else self._question
        if self._session_id is None and isinstance(arguments.get("session_id"), str):
            self._session_id = arguments["session_id"]

    def _returned(self, result: Any) -> None:
        if isinstance(result, str) and self._answer is None:
            self._answer = result

    def _yielded(self, piece: Any) -> None:
        if isinstance(piece, str):
            self._pieces.append(piece)

    def _started(self, run_id: str) -> Iterable[Event]:
        self._answer, self._pieces = None, []  # of a decorated function, each call has its own
        name = self._name or "request"
        who = (self._session_id, self._user_id)
        yield RunStarted(run_id, None, name, FRAMEWORK, self._question, *who)

    def _ended(self, run_id: str) -> Iterable[Event]:
        yield RunEnded(run_id, self._answer or self._handed_on())

    def _failed(self, run_id: str, error: BaseException) -> Iterable[Event]:
        # A model's async generator inside of a stream that is left is closed later, by the event loop.
        yield RunFailed(run_id, error, output=self._handed_on())

    def _handed_on(self) -> str | None:
        return "".join(self._pieces) or None


@contextmanager
def _both(
    outer: AbstractContextManager[Any], inner: AbstractContextManager[Any]
) -> Generator[None]:
    with outer, inner:
        yield


def response(
    question: str | None = None,
    *,
    session_id: str | None = None,
    user_id: str | None = None,
    name: str | None = None,
    lineage: "Lineage | None" = None,
) -> Run:
    """Record one answer.

    As a block: `with response(question) as request: ...`. Or decorate the function that gives it.

    All that is told inside belongs to it. Inside another response it is a step of that one.

    Args:
        question: What the user asked. Of a decorated function: its argument `question` or `query`,
            else its first text.
        session_id: The conversation. Of a decorated function: its argument `session_id`.
        user_id: Who asked.
        name: Default the name of the decorated function.
        lineage: Where to record; default the enclosing scope's, else the process's own.
    """
    return Run(name, question, session_id, user_id, lineage)


def step(
    name: str | None = None, *, given: str | None = None, lineage: "Lineage | None" = None
) -> Run:
    """Record a part of an answer that a person would look for, such as a sub-agent; also as a decorator.

    Args:
        name: Default the name of the decorated function.
        given: Its input. Of a decorated function: its argument `question` or `query`, else its first text.
        lineage: Where to record; default the enclosing scope's, else the process's own.
    """
    return Run(name, given, None, None, lineage)
