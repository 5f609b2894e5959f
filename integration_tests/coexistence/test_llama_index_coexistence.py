"""Beside other instrumentations of LlamaIndex: no span twice, ours in their trace, and everything on record."""

import asyncio
import gc
import logging
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
from coexistence.llama_index_scenes import SCENES, Scene, Searching, aquery, engine, query, threaded
from llama_index_instrumentation import get_dispatcher
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased

from doctrail_core import Lineage, Settings
from doctrail_core.grounding.settings import Grounding
from doctrail_core.testing.capture import MemoryStorage
from llama_index.observability.doctrail import LineageInstrumentor, LineageRetriever, handlers

OPENINFERENCE = "openinference.instrumentation.llama_index"
OPENLLMETRY = "opentelemetry.instrumentation.llamaindex"
GENAI = "opentelemetry.instrumentation.genai.llama_index"
PEERS = {
    "nobody": (),
    "openinference": (OPENINFERENCE,),
    "openllmetry": (OPENLLMETRY,),
    "genai": (GENAI,),
    "openinference and genai": (OPENINFERENCE, GENAI),
    "all": (OPENINFERENCE, GENAI, OPENLLMETRY),
}
SOME = ("query", "aquery, all wrapped", "astreamed", "retriever, wrapped", "two agents")

# what the peers' own packages, and FunctionTool when an agent looks at it, warn of
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
]


def installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


class Played:
    """What requests left, beside these instrumentations."""

    def __init__(self, peers: tuple[str, ...], order: str) -> None:
        self.peers, self.order = peers, order
        self.exporter = InMemorySpanExporter()
        self.storage = MemoryStorage()
        self.logged: list[str] = []

    @contextmanager
    def instrumented(self, mode: Any = "missing", *, sampled: bool = True) -> Generator[None]:
        sampler = ParentBased(ALWAYS_ON if sampled else ALWAYS_OFF)
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.lineage = Lineage(
            Settings(spans=mode),
            tracer_provider=self.provider,
            storage=self.storage,
            grounding=Grounding(sample_rate=1.0),
        )
        made = [import_module(peer).LlamaIndexInstrumentor() for peer in self.peers]
        ours = LineageInstrumentor(self.lineage)
        try:
            if self.order == "first":
                ours.install()
            for instrumentor in made:
                instrumentor.instrument(tracer_provider=self.provider, skip_dep_check=True)
            ours.install()
            yield
        finally:
            self.lineage.close()
            ours.uninstall()
            for instrumentor in made:
                instrumentor.uninstrument()
            self.provider.shutdown()

    def play(self, scene: Scene, *, request: bool = True) -> None:
        """Ask as the scene says, in a request of an application that is traced, too."""
        if scene.is_async:
            asyncio.run(self._aplay(scene, request=request))
        else:
            with self._around(request=request):
                scene.ask(scene.build())
        if scene.status != "ok":
            gc.collect()
        assert self.lineage.flush(30)

    async def _aplay(self, scene: Scene, *, request: bool) -> None:
        with self._around(request=request):
            answering: Any = scene.ask(scene.build())
            await answering

    @contextmanager
    def _around(self, *, request: bool) -> Generator[None]:
        tracer = self.provider.get_tracer("application")
        if not request:
            yield
            return
        with tracer.start_as_current_span("POST /ask") as span:
            yield
            self.kept = trace.get_current_span().get_span_context() == span.get_span_context()

    @property
    def trails(self) -> list[Any]:
        return self.storage.trails.closed

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def ours(self, *kinds: str) -> list[ReadableSpan]:
        found = [s for s in self.spans if s.instrumentation_scope.name == "doctrail"]
        return [s for s in found if not kinds or kind(s) in kinds]

    def by_id(self) -> dict[str, ReadableSpan]:
        return {f"{span.context.span_id:016x}": span for span in self.spans}


def kind(span: ReadableSpan) -> str:
    return str((span.attributes or {}).get("openinference.span.kind"))


@pytest.fixture(autouse=True)
def _dispatcher_as_it_was() -> Generator[None]:
    root: Any = get_dispatcher()
    events, spans = list(root.event_handlers), list(root.span_handlers)
    yield
    left = handlers.RUNS.open_count
    root.event_handlers, root.span_handlers = events, spans
    handlers._demand.instrumentors.clear()
    assert left == 0


@pytest.fixture(autouse=True)
def _event_loop_of_the_host() -> Generator[None]:
    """LlamaIndex runs some things in an event loop in sync code, too; the one that it makes stays open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture(params=PEERS)
def peers(request) -> tuple[str, ...]:
    needed = PEERS[request.param]
    if not all(map(installed, needed)):
        pytest.skip(f"{request.param} is not installed")
    return needed


def traces_all(peers: tuple[str, ...]) -> bool:
    """Whether one of them has a span for whatever LlamaIndex does."""
    return OPENINFERENCE in peers or OPENLLMETRY in peers


def complete(played: Played, scene: Scene) -> None:
    """Ledger and trail have it all."""
    trails = played.trails
    assert [t.status for t in trails] == [scene.status] * scene.requests
    for trail in trails:
        assert len(trail.retrievals) == scene.searches
        assert len(trail.generations) == scene.calls
        assert [rerank.by for rerank in trail.reranks] == list(scene.reranked)
        assert trail.documents
    recorded = [trail.response_id for _, trail in played.storage.ledger.entries]
    assert set(recorded) == {trail.response_id for trail in trails}
    assert played.storage.faults.errors == []
    assert played.lineage.open_count == handlers.RUNS.open_count == 0


def only_what_nobody_else_writes(played: Played, scene: Scene) -> None:
    alone, by_all = not played.peers, traces_all(played.peers)
    assert len(played.ours("RETRIEVER")) == (scene.searches * scene.requests if alone else 0)
    assert len(played.ours("LLM")) == (0 if by_all else scene.calls * scene.requests)
    theirs = by_all and scene.reranked_elsewhere
    assert len(played.ours("RERANKER")) == (0 if theirs else len(scene.reranked))
    # A workflow of agents is a span of all others; of the agents in it only one of them knows.
    inside = scene.agents - 1 if scene.agents > 1 and GENAI not in played.peers else 0
    assert len(played.ours("AGENT")) == (scene.agents if alone else inside)


def in_one_trace(played: Played, scene: Scene) -> None:
    """What is ours stands under what is theirs, and names it."""
    spans = played.by_id()
    request = next(span for span in played.spans if span.name == "POST /ask")
    for trail in played.trails:
        if scene.ask is not threaded:
            assert trail.trace_id == f"{request.context.trace_id:032x}"
        for generation in trail.generations:
            named = spans[generation.span_id]
            assert named.instrumentation_scope.name == "doctrail" or traces_all(played.peers)
            assert kind(named) == "LLM" or played.peers[0] == OPENLLMETRY
    for span in played.ours():
        if span.name.startswith("grounding"):
            ids = [generation.span_id for t in played.trails for generation in t.generations]
            assert {f"{link.context.span_id:016x}" for link in span.links} <= set(ids)
            assert len(span.links) == 1 or not scene.calls or scene.status != "ok"
        elif span.parent is not None:
            around = spans[f"{span.parent.span_id:016x}"]
            assert around.context.trace_id == span.context.trace_id
        else:
            assert scene.ask is threaded


def nothing_left_attached(played: Played, logged: str) -> None:
    if OPENLLMETRY not in played.peers:  # which itself leaves contexts behind
        assert played.kept
        assert "detach" not in logged


@pytest.mark.parametrize("name", SCENES)
def test_only_what_nobody_else_writes_is_written(name, peers, caplog):
    scene, played = SCENES[name], Played(peers, "last")
    with caplog.at_level(logging.ERROR), played.instrumented():
        played.play(scene)
    complete(played, scene)
    only_what_nobody_else_writes(played, scene)
    nothing_left_attached(played, caplog.text)
    if not leaves_open(peers, name, scene):
        in_one_trace(played, scene)


def leaves_open(peers: tuple[str, ...], name: str, scene: Scene) -> bool:
    """Whether one of the others does not end, or not soon, a span that ours stands under."""
    if OPENLLMETRY in peers and (scene.status != "ok" or "stream" in name):
        return True
    return OPENINFERENCE in peers and name == "left early, async"


@pytest.mark.parametrize("name", SOME)
def test_who_listened_first_makes_no_difference(name, peers, caplog):
    scene, played = SCENES[name], Played(peers, "first")
    with caplog.at_level(logging.ERROR), played.instrumented():
        played.play(scene)
    complete(played, scene)
    only_what_nobody_else_writes(played, scene)
    nothing_left_attached(played, caplog.text)


@pytest.mark.parametrize("name", SOME)
def test_all_is_written_where_that_is_wanted(name, peers):
    scene, played = SCENES[name], Played(peers, "last")
    with played.instrumented("all"):
        played.play(scene)
    complete(played, scene)
    assert len(played.ours("RETRIEVER")) == scene.searches
    assert len(played.ours("LLM")) == scene.calls
    assert len(played.ours("AGENT")) == scene.agents


@pytest.mark.parametrize("name", SOME)
def test_nothing_is_written_where_that_is_wanted_and_theirs_are_named(name, peers):
    scene, played = SCENES[name], Played(peers, "last")
    with played.instrumented("none"):
        played.play(scene)
    complete(played, scene)
    assert played.ours() == []
    # A wrapped retriever by itself is on record before others hear of its search.
    if traces_all(peers) and OPENLLMETRY not in peers and name != "retriever, wrapped":
        in_one_trace(played, scene)


@pytest.mark.parametrize("mode", ["missing", "all"])
@pytest.mark.parametrize("name", SOME)
def test_what_is_not_sampled_is_on_record_all_the_same(name, mode, peers):
    scene, played = SCENES[name], Played(peers, "last")
    with played.instrumented(mode, sampled=False):
        played.play(scene)
    complete(played, scene)
    assert played.spans == ()


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("mode", ["missing", "all"])
def test_what_a_databases_client_writes_is_part_of_the_search(mode, asynchronous, peers):
    searching = Searching()
    retriever = LineageRetriever(searching)
    scene = Scene(lambda: engine(retriever), aquery if asynchronous else query)
    played = Played(peers, "last")
    with played.instrumented(mode):
        searching.client = played.provider.get_tracer("database")
        played.play(scene, request=False)
    spans = played.by_id()
    select = next(span for span in played.spans if span.name == "SELECT")
    around = spans[f"{select.parent.span_id:016x}"]
    if peers:
        assert around.instrumentation_scope.name in peers or traces_all(peers)
        assert around.instrumentation_scope.name != "doctrail"
    else:
        assert kind(around) == "RETRIEVER"
    assert select.context.trace_id == int(played.trails[0].trace_id, 16)


def test_a_wrapped_engine_and_what_others_write_of_it_are_one_trace(peers):
    played = Played(peers, "last")
    with played.instrumented():
        played.play(SCENES["query, all wrapped"], request=False)
    [trail] = played.trails
    searched = (s for s in played.spans if s.name == "retrieval" or kind(s) == "RETRIEVER")
    assert {span.context.trace_id for span in searched} <= {int(trail.trace_id, 16)}


def test_a_search_is_one_for_others_however_it_is_wrapped(peers):
    def theirs(name: str) -> list[str]:
        played = Played(peers, "last")
        with played.instrumented():
            played.play(SCENES[name])
        found = (s for s in played.spans if s.instrumentation_scope.name != "doctrail")
        return sorted(span.name for span in found if "Lineage" not in span.name)

    assert theirs("query, wrapped") == theirs("query")
    assert theirs("retriever, wrapped, async") == theirs("retriever, async")


def test_who_asks_is_taken_from_the_code_around(peers):
    """OpenInference's `using_session` and `using_user` do no more than this."""
    for name in ("query", "aquery, wrapped", "agent", "workflow"):
        scene, played = SCENES[name], Played(peers, "last")
        marked = otel.set_value("session.id", "s-1", otel.set_value("user.id", "u-1"))
        token = otel.attach(marked)
        try:
            with played.instrumented():
                played.play(scene)
        finally:
            otel.detach(token)
        [trail] = played.trails
        assert (trail.session_id, trail.user_id) == ("s-1", "u-1")
        for span in played.ours():
            assert span.attributes["session.id"] == "s-1"
            assert span.attributes["user.id"] == "u-1"
