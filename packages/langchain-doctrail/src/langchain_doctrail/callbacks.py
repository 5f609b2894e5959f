"""LangChain's callbacks, translated into events.

Invariant: a hook observes. It changes nothing that it is handed, and no failure of ours reaches the
chain. Which response a run belongs to, and when that response is complete, the recorder knows.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables.config import ensure_config
from typing_extensions import override

import doctrail_core
from doctrail_core.capture.events import (
    PromptSent,
    RetrievalDescribed,
    RetrievalEnded,
    RetrievalStarted,
    RunEnded,
    RunFailed,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.model import Message
from langchain_doctrail import generation
from langchain_doctrail.documents import as_documents, retrieved
from langchain_doctrail.fields import fields
from langchain_doctrail.messages import answer_in, prompt_messages, question_in, text_of
from langchain_doctrail.open_runs import Finding, OpenRuns

if TYPE_CHECKING:
    from doctrail_core import Lineage, Trail

__all__ = ["RETRIEVAL_EVENT", "LineageCallbackHandler"]

RETRIEVAL_EVENT = "doctrail.retrieval"
"""The custom event by which a retriever tells what callbacks do not: `RetrievalDescribed`'s fields."""

_FRAMEWORK = "langchain"
_INTERRUPT = "__interrupt__"  # under this key a graph says that it waits for a human
_SESSION_KEYS = ("thread_id", "session_id", "conversation_id")
_USER_KEYS = ("user_id",)
_DESCRIPTION = ("k", "filters", "search_type", "store", "retriever", "scores", "score_kind")

_Hook = TypeVar("_Hook", bound=Callable[..., None])


def _observing(hook: _Hook) -> _Hook:
    """Note a failure of the hook, and go on."""

    @functools.wraps(hook)
    def observed(self: "LineageCallbackHandler", *args: Any, **kwargs: Any) -> None:
        try:
            hook(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
            self.swallow(hook.__name__, error)

    return cast("_Hook", observed)


class LineageCallbackHandler(BaseCallbackHandler):
    """Records the lineage of every answer of the chains it is given to.

    Pass it once, where the chain is called: `chain.invoke(question, {"callbacks": [lineage]})`. It
    serves any number of chains, threads and tasks at the same time.
    """

    run_inline = True
    raise_error = False

    def __init__(self, lineage: "Lineage | None" = None) -> None:
        """Record into `lineage`, or into the process's default one, which lies in `./.doctrail`."""
        super().__init__()
        self._lineage = lineage
        self._open = OpenRuns()

    @property
    def lineage(self) -> "Lineage":
        """Where this handler records."""
        return doctrail_core.default_lineage() if self._lineage is None else self._lineage

    @property
    def last(self) -> "Trail | None":
        """The trail that was completed last."""
        return self.lineage.last

    def get(self, response_id: str) -> "Trail | None":
        """The trail of a response; its id is the run id of the outermost chain."""
        return self.lineage.get(response_id)

    def swallow(self, where: str, error: BaseException) -> None:
        """Note an error of ours that the chain must not see."""
        from doctrail_core.composition import swallow

        swallow(f"{_FRAMEWORK}.{where}", error, lambda: self.lineage)

    def delegates(self, run_id: UUID) -> None:
        """A wrapped retriever's run hands its search on to another retriever's."""
        self._open.delegating(str(run_id))

    def __copy__(self) -> "LineageCallbackHandler":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "LineageCallbackHandler":
        """Itself: a copied chain keeps recording into the same lineage."""
        return self

    def __reduce__(self) -> tuple[type["LineageCallbackHandler"], tuple[()]]:
        """Only the default handler travels: elsewhere it stands for that process's own lineage."""
        if self._lineage is not None:
            raise TypeError(
                "a LineageCallbackHandler with a lineage of its own cannot be pickled: it holds open"
                " files and threads; create it in the process that uses it"
            )
        return LineageCallbackHandler, ()

    # --- chains

    @_observing
    @override
    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        run, parent, name = str(run_id), _id(parent_run_id), _name(serialized, kwargs, "chain")
        if self._open.step_started(run, parent, name, inputs):
            asked, who = question_in(inputs), _who(metadata)
            self.lineage.record(RunStarted(run, parent, name, _FRAMEWORK, asked, **who))

    @_observing
    @override
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        run, inputs = str(run_id), kwargs.get("inputs")
        told_as = self._open.told_as(run)
        finding = self._open.step_ended(run, outputs, inputs)
        if told_as and finding:
            self._record_finding(run, told_as, finding)
        if told_as != run:
            return
        answer, question = answer_in(outputs), question_in(inputs)
        waits, left = _INTERRUPT in fields(outputs), outputs is None
        self.lineage.record(
            RunEnded(run, answer, question=question, interrupted=waits, abandoned=left)
        )

    @_observing
    @override
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        run = str(run_id)
        told_as = self._open.told_as(run)
        self._open.step_ended(run)
        if told_as == run:
            self._record_failure(run_id, error, question_in(kwargs.get("inputs")))

    # --- retrievers

    @_observing
    @override
    def on_retriever_start(
        self,
        serialized: dict[str, Any] | None,
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        run, parent, name = str(run_id), _id(parent_run_id), _name(serialized, kwargs, "retriever")
        if self._open.is_delegate(run, parent):
            return
        self._open.child_started(run, parent)
        around = self._open.around(parent)
        self.lineage.record(
            RetrievalStarted(run, around, name, str(query), _FRAMEWORK, **_who(metadata))
        )

    @_observing
    @override
    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **kwargs: Any) -> None:
        if name == RETRIEVAL_EVENT:
            told = {key: data[key] for key in _DESCRIPTION if key in data}
            self.lineage.record(RetrievalDescribed(str(run_id), **told))

    @_observing
    @override
    def on_retriever_end(
        self, documents: Sequence[Document], *, run_id: UUID, **kwargs: Any
    ) -> None:
        if self._open.delegate_ended(str(run_id)):
            return
        found = as_documents(documents)
        self._open.child_ended(str(run_id), found)
        self.lineage.record(
            RetrievalEnded(str(run_id), [retrieved(document) for document in found])
        )

    @_observing
    @override
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        if self._open.delegate_ended(str(run_id)):
            return
        self._open.child_ended(str(run_id))
        self._record_failure(run_id, error)

    # --- models

    @_observing
    @override
    def on_chat_model_start(
        self,
        serialized: dict[str, Any] | None,
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        asked = fields(kwargs.get("invocation_params"))
        prompt = prompt_messages(messages[0] if messages else (), asked.get("documents"))
        self._record_prompt(run_id, parent_run_id, prompt, serialized, metadata, asked)

    @_observing
    @override
    def on_llm_start(
        self,
        serialized: dict[str, Any] | None,
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        asked = fields(kwargs.get("invocation_params"))
        prompt = [Message("user", text) for text in prompts[:1]]
        self._record_prompt(run_id, parent_run_id, prompt, serialized, metadata, asked)

    @_observing
    @override
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        self.lineage.record(generation.ended(str(run_id), response))

    @_observing
    @override
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._record_failure(run_id, error)

    # --- tools

    @_observing
    @override
    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        run, parent, name = str(run_id), _id(parent_run_id), _name(serialized, kwargs, "tool")
        self._open.child_started(run, parent)
        call_id = kwargs.get("tool_call_id")
        around = self._open.around(parent)
        self.lineage.record(ToolCalled(run, around, name, _FRAMEWORK, str(input_str), call_id))

    @_observing
    @override
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._open.child_ended(str(run_id))
        message = output if isinstance(output, ToolMessage) else None
        result = text_of(message.content) if message else str(output)
        call_id = message.tool_call_id if message else None
        self.lineage.record(ToolReturned(str(run_id), result, call_id))

    @_observing
    @override
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._open.child_ended(str(run_id))
        self._record_failure(run_id, error)

    # --- events

    def _record_failure(
        self, run_id: UUID, error: BaseException, question: str | None = None
    ) -> None:
        self.lineage.record(RunFailed(str(run_id), error, question=question))

    def _record_finding(self, run: str, told_as: str, finding: Finding) -> None:
        search = f"{run}/documents"
        chunks = [retrieved(document) for document in finding.documents]
        self.lineage.record(
            RetrievalStarted(search, told_as, finding.step, finding.query, _FRAMEWORK)
        )
        self.lineage.record(RetrievalEnded(search, chunks))

    def _record_prompt(
        self,
        run_id: UUID,
        parent_run_id: UUID | None,
        prompt: Sequence[Message],
        serialized: dict[str, Any] | None,
        metadata: dict[str, Any] | None,
        asked: Mapping[str, Any],
    ) -> None:
        self.lineage.record(
            PromptSent(
                str(run_id),
                self._open.around(_id(parent_run_id)),
                prompt,
                _FRAMEWORK,
                model=generation.model_of(serialized, metadata, asked),
                provider=generation.provider_of(serialized, metadata),
                parameters=generation.parameters_of(asked),
                **_who(metadata),
            )
        )


def _id(run_id: UUID | None) -> str | None:
    return None if run_id is None else str(run_id)


def _name(serialized: dict[str, Any] | None, kwargs: dict[str, Any], default: str) -> str:
    return str(kwargs.get("name") or (serialized or {}).get("name") or default)


class _Who(TypedDict):
    session_id: str | None
    user_id: str | None


def _who(metadata: dict[str, Any] | None) -> _Who:
    """Session and user. Since langchain-core 1.3 `configurable` is no longer in the metadata."""
    told = {**(ensure_config().get("configurable") or {}), **(metadata or {})}
    return {"session_id": _first(told, _SESSION_KEYS), "user_id": _first(told, _USER_KEYS)}


def _first(told: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    found = (told.get(key) for key in keys)
    return next((str(value) for value in found if isinstance(value, (str, int, UUID))), None)
