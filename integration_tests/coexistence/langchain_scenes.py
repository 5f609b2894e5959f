"""Plays LangChain requests beside one other instrumentation, and prints what both left, as JSON.

Instrumentations patch their host and stay, so each has a process of its own:
`python langchain_scenes.py openinference`.
"""

import asyncio
import contextlib
import gc
import json
import logging
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any, ClassVar, TypedDict

from langchain.agents import create_agent
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.callbacks import AsyncCallbackManager, CallbackManager
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnablePassthrough
from langchain_core.tools import create_retriever_tool
from langchain_core.vectorstores import InMemoryVectorStore
from langgraph.graph import END, START, StateGraph
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from doctrail_core import Lineage, Settings
from doctrail_core.grounding.settings import Grounding
from doctrail_core.testing.capture import MemoryStorage
from langchain_doctrail import LineageCallbackHandler, LineageRetriever

QUESTION = "When is the renewal deadline?"
ANSWER = "On February 28th."

PEERS = {
    "nobody": (),
    "openinference": ("openinference.instrumentation.langchain:LangChainInstrumentor",),
    "openllmetry": ("opentelemetry.instrumentation.langchain:LangchainInstrumentor",),
    "genai": ("opentelemetry.instrumentation.genai.langchain:LangChainInstrumentor",),
}
PEERS["both"] = PEERS["openinference"] + PEERS["genai"]

WAYS = (
    ("missing", "first", "on"),
    ("missing", "last", "on"),
    ("all", "first", "on"),
    ("all", "last", "on"),
    ("none", "first", "on"),
    ("missing", "first", "off"),
    ("missing", "last", "parent off"),
    ("all", "first", "parent off"),
)
"""Which spans are ours, whether our handler comes before or after theirs, and what is sampled."""


class NamedModel(FakeListChatModel):
    """A model that has a name: OpenTelemetry's instrumentation passes over those that have none."""

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {**super()._get_ls_params(stop, **kwargs), "ls_model_name": "some-model"}


class FailingModel(NamedModel):
    def _call(self, *args: Any, **kwargs: Any) -> str:
        raise ConnectionError("the model is away")


class Librarian(BaseChatModel):
    """Searches, then answers."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {**super()._get_ls_params(stop, **kwargs), "ls_model_name": "some-model"}

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any):
        from langchain_core.outputs import ChatGeneration, ChatResult

        call = {"name": "search", "args": {"query": QUESTION}, "id": "call-1"}
        asked = len(messages) > 1
        said = AIMessage(ANSWER) if asked else AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=said)])


class Backwards(BaseDocumentCompressor):
    """Ranks anew: what came last is best."""

    top_n: int = 2

    def compress_documents(self, documents: Any, query: str, callbacks: Any = None) -> Any:
        return list(reversed(documents))[: self.top_n]


class Found(BaseRetriever):
    """A retriever that is no vector store's."""

    documents: list[Document]

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        with trace.get_tracer("database").start_as_current_span("SELECT"):
            return self.documents


DOCUMENTS = [
    Document("The contract renewal deadline for enterprise accounts is February 28th.", id="c-1"),
    Document("Refunds are granted within thirty days of the purchase.", id="c-2"),
    Document("Support answers within four hours on working days.", id="c-3"),
]


def _text(documents: list[Document]) -> str:
    return "\n\n".join(document.page_content for document in documents)


def rag(retriever: Any, model: Any = None) -> Runnable[Any, Any]:
    prompt = ChatPromptTemplate.from_template("{context}\n\n{question}")
    answering = model or NamedModel(responses=[ANSWER])
    return {"context": retriever | _text, "question": RunnablePassthrough()} | prompt | answering


def agent(retriever: Any) -> Any:
    search = create_retriever_tool(retriever, "search", "Search.")
    return create_agent(Librarian(), [search], name="librarian")


class State(TypedDict, total=False):
    question: str
    documents: list[Document]
    answer: str


def graph(retriever: Any) -> Any:
    model = NamedModel(responses=[ANSWER])
    built = StateGraph(State)
    built.add_node("search", lambda s: {"documents": retriever.invoke(s["question"])})
    built.add_node(
        "answer",
        lambda s: {"answer": model.invoke(_text(s["documents"]) + "\n" + s["question"]).text},
    )
    built.add_edge(START, "search")
    built.add_edge("search", "answer")
    built.add_edge("answer", END)
    return built.compile()


# --- the ways to ask


Call = Callable[[Any, Any, Any], Any]


def invoke(chain: Any, asked: Any, config: Any) -> None:
    chain.invoke(asked, config)


async def ainvoke(chain: Any, asked: Any, config: Any) -> None:
    await chain.ainvoke(asked, config)


def stream(chain: Any, asked: Any, config: Any) -> None:
    for _ in chain.stream(asked, config):
        pass


async def astream(chain: Any, asked: Any, config: Any) -> None:
    async for _ in chain.astream(asked, config):
        pass


async def events(chain: Any, asked: Any, config: Any) -> None:
    async for _ in chain.astream_events(asked, config, version="v2"):
        pass


def left(chain: Any, asked: Any, config: Any) -> None:
    pieces = chain.stream(asked, config)
    next(pieces)
    pieces.close()


def batch(chain: Any, asked: Any, config: Any) -> None:
    chain.batch([asked, asked], config)


async def abatch(chain: Any, asked: Any, config: Any) -> None:
    await chain.abatch([asked, asked], config)


async def gathered(chain: Any, asked: Any, config: Any) -> None:
    await asyncio.gather(*(chain.ainvoke(asked, config) for _ in range(3)))


def failing(chain: Any, asked: Any, config: Any) -> None:
    with contextlib.suppress(ConnectionError):
        chain.invoke(asked, config)


async def cancelled(chain: Any, asked: Any, config: Any) -> None:
    task = asyncio.create_task(chain.ainvoke(asked, config))
    while not Hanging.begun.is_set():  # noqa: ASYNC110  # nobody tells when it hangs
        await asyncio.sleep(0.001)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    Hanging.begun.clear()


class Hanging(NamedModel):
    begun: ClassVar[threading.Event] = threading.Event()

    async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
        self.begun.set()
        await asyncio.Event().wait()


@dataclass(frozen=True)
class Scene:
    """What is asked, in which way, and what a trail of it has."""

    build: Callable[[], Any]
    call: Call
    asked: Any = QUESTION
    requests: int = 1
    searches: int = 1
    calls: int = 1
    status: str = "ok"
    read: int = 2
    """So many chunks are in the last prompt."""


def plain() -> Any:
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    store.add_documents(DOCUMENTS)
    return store.as_retriever(search_kwargs={"k": 2})


def wrapped() -> LineageRetriever:
    return LineageRetriever.wrap(plain())


def delegated() -> LineageRetriever:
    return LineageRetriever.wrap(Found(documents=DOCUMENTS[:2]))


def compressing() -> LineageRetriever:
    inner = LineageRetriever.wrap(plain())
    return LineageRetriever.wrap(
        ContextualCompressionRetriever(base_compressor=Backwards(), base_retriever=inner)
    )


_SAID = {"messages": [("human", QUESTION)]}

SCENES = {
    "invoke": Scene(lambda: rag(plain()), invoke),
    "invoke, wrapped": Scene(lambda: rag(wrapped()), invoke),
    "invoke, no vector store": Scene(lambda: rag(delegated()), invoke),
    "ainvoke": Scene(lambda: rag(plain()), ainvoke),
    "ainvoke, wrapped": Scene(lambda: rag(wrapped()), ainvoke),
    "ainvoke, no vector store": Scene(lambda: rag(delegated()), ainvoke),
    "compressing": Scene(lambda: rag(compressing()), invoke, searches=2),
    "compressing, async": Scene(lambda: rag(compressing()), ainvoke, searches=2),
    "stream": Scene(lambda: rag(wrapped()), stream),
    "astream": Scene(lambda: rag(wrapped()), astream),
    "astream_events": Scene(lambda: rag(wrapped()), events),
    "left early": Scene(lambda: rag(wrapped()), left, status="aborted"),
    "batch": Scene(lambda: rag(wrapped()), batch, requests=2),
    "abatch": Scene(lambda: rag(wrapped()), abatch, requests=2),
    "gathered": Scene(lambda: rag(wrapped()), gathered, requests=3),
    "failing": Scene(lambda: rag(wrapped(), FailingModel(responses=[])), failing, status="error"),
    "cancelled": Scene(lambda: rag(wrapped(), Hanging(responses=[])), cancelled, status="aborted"),
    "agent": Scene(lambda: agent(wrapped()), invoke, asked=_SAID, calls=2),
    "agent, async": Scene(lambda: agent(wrapped()), ainvoke, asked=_SAID, calls=2),
    "agent, streaming": Scene(lambda: agent(wrapped()), stream, asked=_SAID, calls=2),
    "graph": Scene(lambda: graph(wrapped()), invoke, asked={"question": QUESTION}),
    "graph, async": Scene(lambda: graph(wrapped()), ainvoke, asked={"question": QUESTION}),
}


# --- playing them


class Choosing(Sampler):
    """A sampler that is changed between requests."""

    chosen: Sampler = ALWAYS_ON

    def should_sample(self, *args: Any, **kwargs: Any) -> Any:
        return self.chosen.should_sample(*args, **kwargs)

    def get_description(self) -> str:
        return "chosen"


@dataclass
class Told:
    """What was logged that should not be."""

    lines: list[str] = field(default_factory=list)

    def emit(self, record: logging.LogRecord) -> None:
        if "detach" in record.getMessage():
            self.lines.append(record.getMessage())


class Played:
    """The process, instrumented by this peer."""

    def __init__(self, peer: str) -> None:
        self.sampler, self.exporter = Choosing(), InMemorySpanExporter()
        self.provider = TracerProvider(sampler=self.sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.lineages: dict[str, tuple[Lineage, MemoryStorage]] = {}
        self.told = Told()
        listening = logging.Handler()
        listening.emit = self.told.emit  # type: ignore[method-assign]
        logging.getLogger("opentelemetry").addHandler(listening)
        logging.getLogger("opentelemetry").propagate = False
        for place in PEERS[peer]:
            module, name = place.split(":")
            instrumentor = getattr(import_module(module), name)
            instrumentor().instrument(tracer_provider=self.provider, skip_dep_check=True)

    def play(self, scene: Scene, mode: Any, order: str, sampling: str) -> dict[str, Any]:
        """One scene, and what was left of it."""
        lineage, storage = self._lineage(mode)
        handler = LineageCallbackHandler(lineage)
        self.exporter.clear()
        self.told.lines.clear()
        with self._around(sampling) as request:
            kept = self._ask(scene, handler, order)
        if scene.call is cancelled:
            gc.collect()  # LangChain drops such a run without a word
        lineage.flush(30)
        return {
            "trails": [_trail(t) for t in storage.trails.closed],
            "assessed": [a.response_id for a in storage.trails.assessments],
            "ledger": [[kind, t.response_id] for kind, t in storage.ledger.entries],
            "faults": [f"{where}: {e!r}" for where, e in storage.faults.errors],
            "counted": storage.faults.counted,
            "open": lineage.open_count + handler._open.open_count,
            "spans": [_span(s) for s in self.exporter.get_finished_spans()],
            "ambient kept": kept,
            "request": request,
            "detaching": list(self.told.lines),
        }

    def _lineage(self, mode: Any) -> tuple[Lineage, MemoryStorage]:
        """The lineage of this mode, which has recorded nothing."""
        if mode not in self.lineages:
            storage = MemoryStorage()
            made = Lineage(
                Settings(spans=mode),
                tracer_provider=self.provider,
                storage=storage,
                grounding=Grounding(sample_rate=1.0),
            )
            self.lineages[mode] = made, storage
        lineage, storage = self.lineages[mode]
        storage.trails.closed.clear()
        storage.trails.assessments.clear()
        storage.ledger.entries.clear()
        return lineage, storage

    @contextmanager
    def _around(self, sampling: str) -> Iterator[str | None]:
        self.sampler.chosen = ALWAYS_OFF if sampling == "off" else ParentBased(ALWAYS_ON)
        if sampling == "parent off":
            unsampled = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(0))
            with trace.use_span(NonRecordingSpan(unsampled)):
                yield None
        else:
            tracer = self.provider.get_tracer("application")
            with tracer.start_as_current_span("POST /ask") as span:
                yield f"{span.get_span_context().trace_id:032x}"

    def _ask(self, scene: Scene, handler: LineageCallbackHandler, order: str) -> bool:
        asking = asyncio.iscoroutinefunction(scene.call)
        callbacks: Any = [handler]
        if order == "last":
            callbacks = (AsyncCallbackManager if asking else CallbackManager)([])
            callbacks.add_handler(handler)
        chain, config = scene.build(), {"callbacks": callbacks}
        before = trace.get_current_span()
        if not asking:
            scene.call(chain, scene.asked, config)
            return trace.get_current_span() is before

        async def ask() -> bool:
            call: Callable[..., Awaitable[None]] = scene.call
            await call(chain, scene.asked, config)
            return trace.get_current_span() is before

        return asyncio.run(ask())


def _span(span: ReadableSpan) -> dict[str, Any]:
    shown = span.attributes or {}
    scope = span.instrumentation_scope
    return {
        "name": span.name,
        "scope": scope.name if scope else "",
        "trace": f"{span.context.trace_id:032x}",
        "id": f"{span.context.span_id:016x}",
        "parent": f"{span.parent.span_id:016x}" if span.parent else None,
        "links": [
            [f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}"] for link in span.links
        ],
        "kind": shown.get("openinference.span.kind"),
        "operation": shown.get("gen_ai.operation.name"),
    }


def _trail(trail: Any) -> dict[str, Any]:
    return {
        "id": trail.response_id,
        "trace": trail.trace_id,
        "status": trail.status,
        "answer": trail.answer,
        "retrievals": len(trail.retrievals),
        "reranks": [r.by for r in trail.reranks],
        "generations": [g.span_id for g in trail.generations],
        "arrived": [sum(a.state == "full" for a in c.arrivals) for c in trail.contexts],
    }


def main() -> None:
    """Play all scenes beside the peer that the command line names."""
    played = Played(sys.argv[1])
    gc.freeze()
    for name, scene in SCENES.items():
        for way in WAYS:
            left_behind = played.play(scene, *way)
            expected = {**asdict(scene), "build": None, "call": None}
            told = {"name": name, "way": way, "expected": expected, **left_behind}
            print(json.dumps(told))  # noqa: T201  # for the tests to read


if __name__ == "__main__":
    main()
