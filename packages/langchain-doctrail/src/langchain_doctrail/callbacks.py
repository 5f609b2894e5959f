"""LangChain's callbacks, translated into events.

Invariant: a hook observes. It changes nothing that it is handed, and no failure of ours reaches the
chain, unless answers that cannot be put on record are to be refused. Which response a run belongs to, and when that response is complete, the recorder knows.
"""

import asyncio
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables.config import ensure_config, var_child_runnable_config
from typing_extensions import override

import doctrail_core
from doctrail_core.capture.events import (
    ContextSelected,
    GenerationStreamed,
    PromptSent,
    Reranked,
    RetrievalDescribed,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunFailed,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.capture.scope import current_scope
from doctrail_core.model import Message
from langchain_doctrail import generation
from langchain_doctrail.artifacts import of_message, of_tool
from langchain_doctrail.choices import Choice, choice_between
from langchain_doctrail.compression import Passage
from langchain_doctrail.documents import as_documents, retrieved, scores_in
from langchain_doctrail.fields import fields
from langchain_doctrail.graphs import (
    Place,
    agent_of,
    asked_of,
    is_control_flow,
    state_of,
    update_of,
    waits_for_a_human,
)
from langchain_doctrail.messages import (
    answer_in,
    prompt_messages,
    question_in,
    text_of,
    tool_messages,
    wants_tools,
)
from langchain_doctrail.open_runs import Finding, OpenRun, OpenRuns
from langchain_doctrail.origins import chunk_of, traced

if TYPE_CHECKING:
    from doctrail_core import Grounding, Lineage, Trail
    from doctrail_core.grounding.worker import Worker

__all__ = ["CHECK_KEY", "RETRIEVAL_EVENT", "LineageCallbackHandler", "check_wanted", "who_asks"]

RETRIEVAL_EVENT = "doctrail.retrieval"
"""The custom event by which a retriever tells what callbacks do not: `RetrievalDescribed`'s fields."""

CHECK_KEY = "doctrail_check"
"""Where a request says in its metadata whether its answer is to be checked: True or False."""

_FRAMEWORK = "langchain"
_AGENT_CHAIN = "AgentExecutor"  # LangChain calls the run of a classic chain after its class
_SESSION_KEYS = ("thread_id", "session_id", "conversation_id")
_USER_KEYS = ("user_id",)
_DESCRIPTION = ("k", "filters", "search_type", "store", "retriever", "scores", "score_kind")

_Hook = TypeVar("_Hook", bound=Callable[..., None])


def _observing(hook: _Hook) -> _Hook:
    """Note a failure of the hook, and go on; but refuse what is not on record where that is wanted."""

    @functools.wraps(hook)
    def observed(self: "LineageCallbackHandler", *args: Any, **kwargs: Any) -> None:
        try:
            hook(self, *args, **kwargs)
        except doctrail_core.NotRecordedError:
            raise
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
            self.swallow(hook.__name__, error)

    return cast("_Hook", observed)


class LineageCallbackHandler(BaseCallbackHandler):
    """Records the lineage of every answer of the chains it is given to.

    Pass it once, where the chain is called: `chain.invoke(question, {"callbacks": [lineage]})`. It
    serves any number of chains, threads and tasks at the same time.
    """

    run_inline = True
    raise_error = True  # which nothing is but `NotRecordedError`

    def __init__(
        self, lineage: "Lineage | None" = None, *, grounding: "Grounding | None" = None
    ) -> None:
        """Record, and check a share of the answers in the background if that is asked for.

        Args:
            lineage: Where to record; default the process's lineage, which lies in `./.doctrail`.
            grounding: Which answers are checked, and by whom; default as `lineage` has it. A request has
                the last word, with `{"metadata": {"doctrail_check": True}}`, or False.

        Raises:
            TypeError: The verifier of `grounding` cannot be hashed.
        """
        super().__init__()
        hash(grounding)  # which tells those apart that check; better here than at every answer
        self._lineage = lineage
        self._grounding = grounding
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

    def flag(self, response_id: str) -> bool:
        """Have an answer checked in any case, as one that a user complained about; see `Lineage.flag`."""
        if self._grounding is None:
            return self.lineage.flag(response_id)
        trail = self.get(response_id)
        if trail is not None:
            self.lineage.checks(self._grounding).offer(trail, wanted=True)
        return trail is not None

    def swallow(self, where: str, error: BaseException) -> None:
        """Note an error of ours that the chain must not see."""
        from doctrail_core.composition import swallow

        swallow(f"{_FRAMEWORK}.{where}", error, lambda: self.lineage)

    def found_inside(self, run_id: UUID) -> Sequence[Document]:
        """What the retrievers inside of a running one have found."""
        return self._open.found_inside(str(run_id))

    def chosen(self, run_id: object, by: str, choice: Choice) -> None:
        """A step of a running one dropped some of the documents that it was given."""
        self.lineage.record(ContextSelected(str(run_id), choice.kept, by, among=choice.among))

    def passed(self, run_id: object, passage: Passage) -> None:
        """Documents passed through a step of a running retriever's compression."""
        if ranking := passage.ranking():
            self.lineage.record(
                Reranked(
                    str(run_id),
                    passage.by,
                    passage.started,
                    ranking.given,
                    ranking.kept,
                    query=passage.query,
                    model=ranking.model,
                    top_k=ranking.top_k,
                    at=passage.ended,
                )
            )
        if choice := passage.choice():
            self.chosen(run_id, passage.by, choice)

    def within(self, run_id: object) -> AbstractContextManager[None]:
        """Be inside the span of a running one."""
        try:
            return self.lineage.within(str(run_id))
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
            self.swallow("within", error)
            return nullcontext()

    def open_run(self, run_id: object) -> OpenRun | None:
        """What is known of this run, while it is open."""
        return self._open.get(str(run_id))

    def delegates(self, run_id: UUID) -> None:
        """A wrapped retriever's run hands its search on to another retriever's."""
        self._open.delegating(str(run_id))

    def __copy__(self) -> "LineageCallbackHandler":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "LineageCallbackHandler":
        """Itself: a copied chain keeps recording into the same lineage."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Only the default handler travels: elsewhere it stands for that process's own lineage."""
        if self._lineage is not None:
            raise TypeError(
                "a LineageCallbackHandler with a lineage of its own cannot be pickled: it holds open"
                " files and threads; create it in the process that uses it"
            )
        return partial(LineageCallbackHandler, grounding=self._grounding), ()

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
        run, parent = str(run_id), self._parent(run_id, parent_run_id)
        name = _name(serialized, kwargs, "chain")
        place = Place.of(metadata, self.lineage.now) if metadata else None
        agent = agent_of(metadata)
        if response := self._open.step_started(run, parent, name, inputs, place, agent):
            response.within = self._scope()
            asked, who = question_in(inputs) or question_in(state_of(inputs)), who_asks(metadata)
            check = check_wanted(metadata)
            self.lineage.record(
                RunStarted(
                    run,
                    parent,
                    name,
                    _FRAMEWORK,
                    asked,
                    **who,
                    checks=self._checks,
                    check=check,
                    agent=agent is not None or name == _AGENT_CHAIN,
                )
            )

    @_observing
    @override
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        run, inputs = str(run_id), kwargs.get("inputs")
        step = self._open.get(run)
        left = self._record_broken_off(run) or outputs is None
        finding = self._open.step_ended(run, outputs, inputs)
        if step is None:
            return
        try:
            if finding:
                self._record_finding(run, step.told_as, finding, outputs)
            elif choice := choice_between(step.inputs if inputs is None else inputs, outputs):
                self.chosen(step.response.root_id, step.name, choice)
        except Exception as error:  # noqa: BLE001  # whatever documents hold, the run is over
            self.swallow("documents", error)
        if step.told_as == run and not self._open.untold.discard(run):
            self._record_end(run, step, update_of(outputs) or outputs, inputs, left=left)

    @_observing
    @override
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        run = str(run_id)
        step = self._open.get(run)
        self._record_broken_off(run)
        if waits_for_a_human(error):
            self._open.waits(run)
        self._open.step_ended(run)
        if step is None or step.told_as != run:
            return
        if not is_control_flow(error):
            self._tell(run)
            self._record_failure(run_id, error, question_in(kwargs.get("inputs")))
        elif not self._open.untold.discard(run):
            self.lineage.record(RunEnded(run))

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
        run, parent = str(run_id), self._parent(run_id, parent_run_id)
        name = _name(serialized, kwargs, "retriever")
        if self._open.is_delegate(run, parent):
            return
        self._open.search_started(run, parent, str(query))
        around = self._around(parent)
        self.lineage.record(
            RetrievalStarted(run, around, name, str(query), _FRAMEWORK, **who_asks(metadata))
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
        run = str(run_id)
        if self._open.delegate_ended(run):
            return
        inner = self._open.found_inside(run)
        found = as_documents(documents)
        if inner:
            found = [traced(document, inner) for document in found]
        self._open.search_ended(run, found)
        self.lineage.record(RetrievalEnded(run, [chunk_of(each, inner) for each in found]))

    @_observing
    @override
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        if self._open.delegate_ended(str(run_id)):
            return
        self._open.search_ended(str(run_id))
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
        sent = messages[0] if messages else []
        prompt = prompt_messages(sent, asked.get("documents"))
        parent = self._parent(run_id, parent_run_id)
        carried = self._carried(sent, self._open.tool_calls_in(parent))
        self._record_prompt(run_id, parent, prompt, serialized, metadata, asked, carried)

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
        parent = self._parent(run_id, parent_run_id)
        self._record_prompt(run_id, parent, prompt, serialized, metadata, asked)

    @override
    def on_llm_new_token(
        self, token: str | list[Any], *, chunk: object = None, run_id: UUID, **kwargs: Any
    ) -> None:
        try:
            self._open.calls.heard(run_id, token if isinstance(token, str) else chunk)
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
            self.swallow("on_llm_new_token", error)

    @_observing
    @override
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        ended = generation.ended(str(run_id), response)
        self._open.call_ended(run_id, ended.output)
        self.lineage.record(ended)

    @_observing
    @override
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        said = self._open.call_ended(run_id) or generation.said_in(kwargs.get("response"))
        if said:
            self.lineage.record(GenerationStreamed(str(run_id), said))
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
        run, parent = str(run_id), self._parent(run_id, parent_run_id)
        name = _name(serialized, kwargs, "tool")
        call_id, inputs = kwargs.get("tool_call_id"), kwargs.get("inputs")
        self._open.tool_started(run, parent, name, inputs or input_str, call_id)
        around = self._around(parent)
        arguments = generation.arguments_text(inputs) if inputs else str(input_str)
        self.lineage.record(ToolCalled(run, around, name, _FRAMEWORK, arguments, call_id))

    @_observing
    @override
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        run, found = str(run_id), of_tool(output)
        if finding := self._open.finding(run, found):
            self._record_finding(run, run, finding, output)
        self._open.child_ended(run, found)
        answers = list(tool_messages(output))
        result = "\n".join(text_of(a.content) for a in answers) if answers else str(output)
        call_id = answers[0].tool_call_id if answers else None
        self.lineage.record(ToolReturned(run, result, call_id))

    @_observing
    @override
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._open.child_ended(str(run_id))
        if is_control_flow(error):
            self.lineage.record(RunEnded(str(run_id)))
        else:
            self._record_failure(run_id, error)

    # --- events

    @property
    def _checks(self) -> "Worker | None":
        return self.lineage.checks(self._grounding) if self._grounding else None

    def _parent(self, run_id: UUID, parent_run_id: UUID | None) -> str | None:
        """The run around this one; where callbacks of its own hide it, LangChain's context tells it."""
        if parent_run_id is not None:
            return self._open.standing_for(str(parent_run_id))
        self._open.watch(run_id, self._lost)
        around = (var_child_runnable_config.get() or {}).get("callbacks")
        parent = str(getattr(around, "parent_run_id", None))
        return parent if self._open.is_open(parent) else None

    def _scope(self) -> str | None:
        """The response that an open scope groups what begins now into."""
        scope = current_scope()
        return scope.response_id if scope and scope.lineage is self.lineage else None

    def _lost(self, run: str) -> None:
        """An outermost run was dropped: a cancelled model, retriever or tool does not say so."""
        try:
            self.lineage.record(RunFailed(run, asyncio.CancelledError()))
        except Exception as error:  # noqa: BLE001  # the garbage collector calls this, anywhere
            self.swallow("lost", error)

    def _around(self, parent: str | None) -> str | None:
        """The run that the recorder is to know around what happens in this one."""
        around = self._open.around(parent)
        self._tell(around)
        return around

    def _tell(self, run: str | None) -> None:
        """Tell of the steps up to this run. Two threads may both do so; the recorder takes the first."""
        for step in self._open.untold.around(run):
            asked = asked_of(step.inputs)
            self.lineage.record(
                RunStarted(
                    step.run_id,
                    step.parent_id,
                    step.name,
                    _FRAMEWORK,
                    asked,
                    at=step.at,
                    agent=step.agent,
                )
            )
            self._open.untold.discard(step.run_id)

    def _record_broken_off(self, run: str) -> bool:
        """Whether models were still speaking when this outermost run was over: its stream was left."""
        broken_off = self._open.broken_off(run)
        for call, said in broken_off.items():
            self.lineage.record(GenerationStreamed(call, said))
        return bool(broken_off)

    def _carried(
        self, messages: Sequence[BaseMessage], own_calls: Collection[str]
    ) -> list[RetrievedChunk]:
        """The chunks that earlier turns' tool messages brought along; this turn's are retrievals."""
        found: list[RetrievedChunk] = []
        for message in messages:
            if isinstance(message, ToolMessage) and message.tool_call_id not in own_calls:
                try:
                    found += [retrieved(document) for document in of_message(message)]
                except Exception as error:  # noqa: BLE001  # an artifact may be anything
                    self.swallow("artifact", error)
        return found

    def _record_end(
        self, run: str, step: OpenRun, outputs: object, inputs: object, *, left: bool
    ) -> None:
        asked, conversation = question_in(inputs), fields(outputs).get("messages")
        if asked is None and question_in(step.inputs) is None and conversation:
            asked = question_in(conversation)  # of a graph that went on where it stood
        answers = (answer_in(outputs, said) for said in (*step.said(), ()))
        answer = next((answer for answer in answers if answer is not None), None)
        waits = step.response.waits or (step.is_graph and wants_tools(conversation))
        self.lineage.record(
            RunEnded(run, answer, question=asked, interrupted=waits, abandoned=left)
        )

    def _record_failure(
        self, run_id: UUID, error: BaseException, question: str | None = None
    ) -> None:
        self.lineage.record(RunFailed(str(run_id), error, question=question))

    def _record_finding(self, run: str, told_as: str, finding: Finding, output: object) -> None:
        self._tell(told_as)
        search, scores = f"{run}/documents", scores_in(output)
        found = [(retrieved(document), scores.get(id(document))) for document in finding.documents]
        chunks = [
            replace(chunk, score=score) if score is not None else chunk for chunk, score in found
        ]
        self.lineage.record(
            RetrievalStarted(search, told_as, finding.step, finding.query, _FRAMEWORK)
        )
        self.lineage.record(RetrievalEnded(search, chunks))

    def _record_prompt(
        self,
        run_id: UUID,
        parent: str | None,
        prompt: Sequence[Message],
        serialized: dict[str, Any] | None,
        metadata: dict[str, Any] | None,
        asked: Mapping[str, Any],
        carried: Sequence[RetrievedChunk] = (),
    ) -> None:
        around = self._around(parent)
        self._open.call_started(run_id, parent)
        handed_in = map(retrieved, self._open.handed_in(around))
        sent = PromptSent(
            str(run_id),
            around,
            prompt,
            _FRAMEWORK,
            model=generation.model_of(serialized, metadata, asked),
            provider=generation.provider_of(serialized, metadata),
            parameters=generation.parameters_of(asked),
            carried=[*carried, *handed_in],
            **who_asks(metadata),
        )
        try:
            self.lineage.record(sent)
        except doctrail_core.NotRecordedError as error:
            self._open.call_ended(run_id)  # LangChain calls no model, and tells nobody of that
            self._record_failure(run_id, error)
            raise


def _name(serialized: dict[str, Any] | None, kwargs: dict[str, Any], default: str) -> str:
    return str(kwargs.get("name") or (serialized or {}).get("name") or default)


def check_wanted(metadata: Mapping[str, Any] | None) -> bool | None:
    """Whether a request says that its answer is to be checked, or is not."""
    wanted = metadata.get(CHECK_KEY) if metadata else None
    return wanted if isinstance(wanted, bool) else None


class Who(TypedDict):
    session_id: str | None
    user_id: str | None


def who_asks(metadata: dict[str, Any] | None) -> Who:
    """Session and user. Since langchain-core 1.3 `configurable` is no longer in the metadata."""
    told = {**(ensure_config().get("configurable") or {}), **(metadata or {})}
    return {"session_id": _first(told, _SESSION_KEYS), "user_id": _first(told, _USER_KEYS)}


def _first(told: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    found = (told.get(key) for key in keys)
    return next((str(value) for value in found if isinstance(value, (str, int, UUID))), None)
