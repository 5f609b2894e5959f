"""The host without a framework: every act as the events that an adapter has to send.

It shows what the recorder wants to hear, and it is what other hosts are compared with where no
expected trail is written down.
"""

import uuid
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from doctrail_core import Lineage
from doctrail_core.capture.events import (
    ContextSelected,
    GenerationEnded,
    GenerationStreamed,
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
from doctrail_core.capture.response import StartEvent
from doctrail_core.model import Message
from doctrail_core.testing.conformance.host import Host
from doctrail_core.testing.conformance.script import (
    MODEL,
    Ask,
    Keep,
    Passage,
    Request,
    ScriptedError,
    Search,
    Step,
    UseTool,
)
from doctrail_core.testing.conformance.stage import AsyncStage, Stage, pieces

__all__ = ["Reference"]

_HOST = "reference"


class Reference(Host):
    """Plays scripts by telling the lineage of each act."""

    def ask(self, request: Request, lineage: Lineage) -> str:
        run = _Run(lineage, _new_id())
        with run.request(request) as over:
            over.answer = _Stage(run, request).play(request.acts)
        return over.answer

    async def aask(self, request: Request, lineage: Lineage) -> str:
        run = _Run(lineage, _new_id())
        with run.request(request) as over:
            over.answer = await _AsyncStage(run, request).play(request.acts)
        return over.answer

    def stream(self, request: Request, lineage: Lineage) -> Generator[str]:
        run = _Run(lineage, _new_id())
        with run.request(request) as over:
            stage = _Stage(run, request)
            stage.play(request.preparation)
            yield from run.streamed(request.answering, stage.prompt(request.answering))
            over.answer = request.answering.says

    async def astream(self, request: Request, lineage: Lineage) -> AsyncGenerator[str]:
        run = _Run(lineage, _new_id())
        with run.request(request) as over:
            stage = _AsyncStage(run, request)
            await stage.play(request.preparation)
            for piece in run.streamed(request.answering, stage.prompt(request.answering)):
                yield piece
            over.answer = request.answering.says


@dataclass(slots=True)
class _Over:
    answer: str = ""


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that is open, and what is told of those right inside of it."""

    lineage: Lineage
    run_id: str

    @contextmanager
    def request(self, request: Request) -> Generator[_Over]:
        """The response itself; its answer is known when it is over."""
        over = _Over()
        started = RunStarted(
            self.run_id,
            None,
            "request",
            _HOST,
            request.question,
            request.session_id,
            request.user_id,
        )
        with self._told(started):
            yield over
        self.lineage.record(RunEnded(self.run_id, over.answer))

    @contextmanager
    def search(self, act: Search) -> Generator["_Run"]:
        """A retriever is asked."""
        run = self._inner()
        with self._told(RetrievalStarted(run.run_id, self.run_id, "Scripted", act.query, _HOST)):
            yield run
            _fail(act.fails)
        found = [_chunk(passage, act) for passage in act.found]
        self.lineage.record(RetrievalEnded(run.run_id, found))

    @contextmanager
    def call(self, act: Ask, prompt: tuple[Message, ...]) -> Generator[None]:
        """A model is called."""
        run_id = _new_id()
        with self._told(PromptSent(run_id, self.run_id, prompt, _HOST, MODEL)):
            yield
            _fail(act.fails)
        self.lineage.record(GenerationEnded(run_id, act.says, tool_requests=act.chooses))

    def streamed(self, act: Ask, prompt: tuple[Message, ...]) -> Generator[str]:
        """A model is called and answers in pieces; of a stream that breaks off, what came is kept."""
        run_id, said = _new_id(), ""
        with self._told(PromptSent(run_id, self.run_id, prompt, _HOST, MODEL)):
            try:
                for piece in pieces(act.says):
                    said += piece
                    yield piece
                _fail(act.fails)
            except BaseException:
                self.lineage.record(GenerationStreamed(run_id, said))
                raise
        self.lineage.record(GenerationEnded(run_id, said))

    @contextmanager
    def tool(self, act: UseTool) -> Generator["_Run"]:
        """A tool is called."""
        run = self._inner()
        called = ToolCalled(
            run.run_id, self.run_id, act.name, _HOST, act.arguments, act.tool_call_id
        )
        with self._told(called):
            yield run
            _fail(act.fails)
        self.lineage.record(ToolReturned(run.run_id, act.returns))

    @contextmanager
    def step(self, act: Step) -> Generator[tuple["_Run", _Over]]:
        """A part of the response with a name of its own."""
        run, over = self._inner(), _Over()
        with self._told(RunStarted(run.run_id, self.run_id, act.name, _HOST, act.asked)):
            yield run, over
        self.lineage.record(RunEnded(run.run_id, over.answer))

    def kept(self, act: Keep, found: tuple[Passage, ...]) -> None:
        """A step before the prompt kept only these of what was found."""
        among = [passage.chunk_id for passage in found if passage.chunk_id is not None]
        kept = [chunk_id for chunk_id in among if chunk_id in act.chunk_ids]
        self.lineage.record(ContextSelected(self.run_id, kept, "a step", among=among))

    def _inner(self) -> "_Run":
        return _Run(self.lineage, _new_id())

    @contextmanager
    def _told(self, started: StartEvent) -> Generator[None]:
        self.lineage.record(started)
        try:
            yield
        except BaseException as error:
            self.lineage.record(RunFailed(started.run_id, error))
            raise


class _Stage(Stage):
    def __init__(self, run: _Run, request: Request) -> None:
        super().__init__(request)
        self._run = run

    def search(self, act: Search) -> None:
        with self._run.search(act) as run:
            _Stage(run, self.request).play(act.inside)

    def ask(self, act: Ask) -> str:
        with self._run.call(act, self.prompt(act)):
            return act.says

    def use_tool(self, act: UseTool) -> None:
        with self._run.tool(act) as run:
            _Stage(run, self.request).play(act.inside)

    def step(self, act: Step) -> str:
        with self._run.step(act) as (run, over):
            over.answer = _Stage(run, self.request).play(act.inside)
        return over.answer

    def keep(self, act: Keep) -> None:
        self._run.kept(act, self.found)


class _AsyncStage(AsyncStage):
    def __init__(self, run: _Run, request: Request) -> None:
        super().__init__(request)
        self._run = run

    async def search(self, act: Search) -> None:
        with self._run.search(act) as run:
            await _AsyncStage(run, self.request).play(act.inside)

    async def ask(self, act: Ask) -> str:
        with self._run.call(act, self.prompt(act)):
            await self.play(act.inside)
            return act.says

    async def use_tool(self, act: UseTool) -> None:
        with self._run.tool(act) as run:
            await _AsyncStage(run, self.request).play(act.inside)

    async def step(self, act: Step) -> str:
        with self._run.step(act) as (run, over):
            over.answer = await _AsyncStage(run, self.request).play(act.inside)
        return over.answer

    async def keep(self, act: Keep) -> None:
        self._run.kept(act, self.found)


def _new_id() -> str:
    return str(uuid.uuid4())


def _fail(message: str | None) -> None:
    if message is not None:
        raise ScriptedError(message)


def _chunk(passage: Passage, act: Search) -> RetrievedChunk:
    return RetrievedChunk(
        passage.text,
        passage.chunk_id,
        passage.document_id,
        score=passage.score,
        score_kind="unknown" if passage.score is None else act.scores,
    )
