"""What the core's tests share: a home folder, trails to put into it, and patience with a deadline."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.model import (
    Arrival,
    Chunk,
    Context,
    Generation,
    Hit,
    Message,
    PromptSpan,
    Retrieval,
    Trail,
)
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
