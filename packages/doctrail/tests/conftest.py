"""Installations to ask, recorded as applications record them, and the command line to ask with."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from doctrail.cli import main
from doctrail_core import Lineage, Settings
from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunStarted,
)
from doctrail_core.capture.settings import Content
from doctrail_core.model import Message


@dataclass
class Outcome:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]


@dataclass
class Application:
    """Answers questions and records it in a home folder."""

    home: Path

    def answer(
        self,
        response_id: str = "response-0001",
        *,
        question: str = "When is the renewal deadline?",
        answer: str = "On February 28th.",
        document: str | None = "doc_42",
        texts: tuple[str, ...] = ("The renewal deadline is February 28th.",),
        prompt: str | None = None,
        session: str | None = None,
        user: str | None = None,
        at: str = "2026-11-22T12:00:00",
        interrupted: bool = False,
        flush: bool = True,
        content: Content = "full",
    ) -> None:
        now = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) * 10**9
        settings = Settings(home=self.home, spans="none", content=content)
        lineage = Lineage(settings, clock=lambda: now)
        chunks = [
            RetrievedChunk(text, chunk_id=f"{document}/{n}", document_id=document, index=n)
            for n, text in enumerate(texts)
        ]
        search, call = f"{response_id}-search", f"{response_id}-call"
        sent = prompt if prompt is not None else "\n".join(texts)
        lineage.record(RunStarted(response_id, None, "chain", "langchain", question, session, user))
        lineage.record(RetrievalStarted(search, response_id, "Retriever", question, "langchain"))
        lineage.record(RetrievalEnded(search, chunks))
        lineage.record(
            PromptSent(
                call, response_id, [Message("user", f"{sent}\n{question}")], "langchain", "m-1"
            )
        )
        lineage.record(GenerationEnded(call, answer, message_id=f"message-{response_id}"))
        lineage.record(RunEnded(response_id, answer, interrupted=interrupted))
        if flush:
            assert lineage.flush()
        lineage.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which nothing is recorded yet, and which the commands look into."""
    for name in ("DOCTRAIL_CONTENT", "DOCTRAIL_SPANS", "DOCTRAIL_SPAN_CONTENT", "DOCTRAIL_SERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.delenv("DOCTRAIL_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCTRAIL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def app(home: Path) -> Application:
    return Application(home)


@pytest.fixture
def doctrail(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a command in this process; argparse's way out counts as an exit code."""

    def run(*words: str) -> Outcome:
        try:
            code = main(words)
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return run
