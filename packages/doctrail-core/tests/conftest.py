"""What the core's tests share: a home folder, trails to put into it, and patience with a deadline."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunFailed,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.capture.settings import Settings
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.grounding.verifier import Answer, Findings, Verifier
from doctrail_core.model import (
    Arrival,
    Assessment,
    Chunk,
    Claim,
    Context,
    Evidence,
    Generation,
    Hit,
    Message,
    PromptSpan,
    Retrieval,
    ToolRequest,
    Trail,
    Usage,
    Verdict,
    VerdictKind,
)
from doctrail_core.testing import CapturedLineage
from doctrail_core.testing.fixtures import postgres  # noqa: F401  # a fixture is there by its name
from doctrail_core.text.identity import content_hash

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def faults(home):
    return Faults(home)


@pytest.fixture
def make_trail() -> Callable[..., Trail]:
    return build_trail


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    return wait_for


def wait_for(condition: Callable[[], Any], timeout: float = 20.0) -> Any:
    """The condition's value as soon as it is true."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
    return value


def build_trail(
    response_id: str = "response-1",
    *,
    texts: dict[str, str] | None = None,
    question: str | None = "When is the renewal deadline?",
    answer: str | None = "On February 28th.",
    minute: int = 0,
    **changes: Any,
) -> Trail:
    """A response that had these texts, by document id, all in its prompt."""
    known = {"doc_4": "The renewal deadline is February 28th."} if texts is None else texts
    chunks = [chunk(document_id, text) for document_id, text in known.items()]
    start = START + timedelta(minutes=minute)
    prompt, arrivals = f"{question}\n", []
    for order, each in enumerate(chunks):
        span = PromptSpan(0, len(prompt), len(prompt) + len(each.text or ""))
        prompt += f"{each.text}\n"
        arrivals.append(Arrival(each.chunk_id, each.document_id, "full", 1.0, 0.2, order, (span,)))
    retrieval = Retrieval(
        retrieval_id=f"{response_id}/retrieval",
        retriever="bm25",
        query=question,
        query_hash="hmac-sha256:00",
        hits=tuple(Hit(each, rank, 0.5, "similarity") for rank, each in enumerate(chunks)),
        started_at=start,
        ended_at=start,
    )
    generation = Generation(
        generation_id=f"{response_id}/generation",
        messages=(Message("user", prompt),),
        output=answer,
        started_at=start,
        ended_at=start,
        model="model-1",
        message_id=f"message-of-{response_id}",
    )
    trail = Trail(
        response_id=response_id,
        status="ok",
        started_at=start,
        ended_at=start + timedelta(seconds=2),
        query_hash="hmac-sha256:00",
        question=question,
        answer=answer,
        session_id="session-1",
        user_id="user-1",
        trace_id="0af7651916cd43dd8448eb211c80319c",
        retrievals=(retrieval,),
        contexts=(Context(generation.generation_id, tuple(arrivals), len(prompt), 30),),
        generations=(generation,),
    )
    return replace(trail, **changes)


def chunk(document_id: str, text: str) -> Chunk:
    return Chunk(f"{document_id}#0", document_id, content_hash(text), text, 0, source="a.pdf")


class Story:
    """A response as a host would tell it, one event after the other; the response's run is "r"."""

    def __init__(self, question: str | None, settings: Settings | None = None) -> None:
        self.lineage = CapturedLineage(settings)
        self.lineage.record(RunStarted("r", None, "app", "test", question, session_id="s1"))

    def step(self, run_id: str, parent: str | None, name: str, told: str | None) -> None:
        self.lineage.record(RunStarted(run_id, parent or "r", name, "test", told))

    def ended(self, run_id: str, output: str | None) -> None:
        self.lineage.record(RunEnded(run_id, output))

    def search(self, run_id: str, parent: str | None, query: str, found: dict[str, str]) -> None:
        """Find these texts, by chunk ids such as `doc_1#0`."""
        chunks = [
            RetrievedChunk(text, name, name.partition("#")[0], int(name.partition("#")[2]))
            for name, text in found.items()
        ]
        self.lineage.record(RetrievalStarted(run_id, parent or "r", "Retriever", query, "test"))
        self.lineage.record(RetrievalEnded(run_id, chunks))

    def call(
        self,
        run_id: str,
        parent: str | None,
        *messages: Message | str,
        says: str | None,
        asks: Sequence[ToolRequest] = (),
        auxiliary: bool = False,
        usage: Usage | None = None,
    ) -> None:
        """Call a model; it never ends where it says None."""
        prompt = [Message("user", m) if isinstance(m, str) else m for m in messages]
        sent = PromptSent(run_id, parent or "r", prompt, "test", "m-1", auxiliary=auxiliary)
        self.lineage.record(sent)
        if says is not None:
            self.lineage.record(GenerationEnded(run_id, says, usage=usage, tool_requests=asks))

    def tool(
        self, run_id: str, parent: str | None, name: str, arguments: str, call_id: str | None
    ) -> None:
        self.lineage.record(ToolCalled(run_id, parent or "r", name, "test", arguments, call_id))

    def returned(self, run_id: str, result: str) -> None:
        self.lineage.record(ToolReturned(run_id, result))

    def answered(self, answer: str) -> Trail:
        return self._closed(RunEnded("r", answer))

    def failed(self) -> Trail:
        return self._closed(RunFailed("r", ValueError("the model is down")))

    def aborted(self) -> Trail:
        return self._closed(RunFailed("r", asyncio.CancelledError()))

    def interrupted(self) -> Trail:
        return self._closed(RunEnded("r", interrupted=True))

    def _closed(self, event: RunEnded | RunFailed) -> Trail:
        self.lineage.record(event)
        (trail,) = self.lineage.trails
        assert self.lineage.errors == []
        self.lineage.close()
        self.lineage.tracer_provider.shutdown()
        return trail


@pytest.fixture
def story() -> type[Story]:
    return Story


class ScriptedVerifier(Verifier):
    """A fake: says the same of every answer, as one claim, or raises. Keeps what it was asked."""

    name = "scripted"
    version = "1"

    def __init__(self, verdict: VerdictKind = "supported", *, fails: int = 0) -> None:
        self.verdict = verdict
        self.fails = fails
        self.asked: list[Answer] = []

    def verify(self, answer: Answer) -> Findings:
        self.asked.append(answer)
        if self.fails:
            self.fails -= 1
            raise ConnectionError("the judge is down")
        return Findings(verdicts=(build_verdict(self.verdict, answer),))


def build_verdict(kind: VerdictKind, answer: Answer) -> Verdict:
    """The whole answer as one claim, with the first passage for evidence."""
    risks = {"supported": 0.1, "contradicted": 0.95, "unsupported": 0.7, "not_checked": None}
    named = answer.passages[:1] if kind in ("supported", "contradicted") else ()
    return Verdict(
        claim=Claim(0, len(answer.text), answer.text),
        verdict=kind,
        score=risks[kind],
        reason="judged",
        evidence=tuple(Evidence(p.chunk_id, 4, 20) for p in named),
        conflicting_value="renewal deadline" if kind == "contradicted" else None,
    )


def build_assessment(trail: Trail, *verdicts: Verdict, **changes: Any) -> Assessment:
    assessment = Assessment(
        response_id=trail.response_id,
        verifier="scripted",
        version="1",
        status="checked",
        started_at=trail.ended_at,
        ended_at=trail.ended_at + timedelta(seconds=1),
        verdicts=verdicts,
    )
    return replace(assessment, **changes)


@pytest.fixture
def scripted() -> type[ScriptedVerifier]:
    return ScriptedVerifier


@pytest.fixture
def make_assessment() -> Callable[..., Assessment]:
    return build_assessment


@pytest.fixture
def make_verdict() -> Callable[..., Verdict]:
    return build_verdict
