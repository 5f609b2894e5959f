"""The conformance suite, played without a framework: by events, and by hand."""

import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from typing import Any

import pytest

from doctrail_core import Lineage, Settings
from doctrail_core.manual import (
    RetrievedChunk,
    context,
    generation,
    response,
    retrieval,
    step,
    tool,
)
from doctrail_core.testing.conformance import (
    MODEL,
    SCENARIOS,
    Ask,
    AsyncStage,
    Host,
    Keep,
    Passage,
    Reference,
    Request,
    ScriptedError,
    Search,
    Stage,
    Step,
    UseTool,
    pieces,
)
from doctrail_core.testing.conformance.load import numbered, soak
from doctrail_core.testing.conformance.suite import AdapterConformance


class ByHand(Host):
    """An application that tells its lineage itself."""

    def ask(self, request: Request, lineage: Lineage) -> str:
        with _response(request, lineage) as said:
            answer = ManualStage(request).play(request.acts)
            said.answered(answer)
            return answer

    async def aask(self, request: Request, lineage: Lineage) -> str:
        async with _response(request, lineage) as said:
            answer = await ManualAsyncStage(request).play(request.acts)
            said.answered(answer)
            return answer

    def stream(self, request: Request, lineage: Lineage) -> Generator[str]:
        @_response(request, lineage)
        def answer() -> Generator[str]:
            stage = ManualStage(request)
            stage.play(request.preparation)
            yield from _streamed(request.answering)(stage.prompt(request.answering))

        return answer()

    def astream(self, request: Request, lineage: Lineage) -> AsyncGenerator[str]:
        @_response(request, lineage)
        async def answer() -> AsyncGenerator[str]:
            stage = ManualAsyncStage(request)
            await stage.play(request.preparation)
            for piece in _streamed(request.answering)(stage.prompt(request.answering)):
                yield piece

        return answer()


class ManualStage(Stage):
    def search(self, act: Search) -> None:
        with retrieval(act.query, score_kind=act.scores) as search:
            ManualStage(self.request).play(act.inside)
            _fail(act.fails)
            search.found(_chunks(act))

    def ask(self, act: Ask) -> str:
        with generation(self.prompt(act), model=MODEL) as call:
            _fail(act.fails)
            call.said(act.says, tool_requests=act.chooses)
        return act.says

    def use_tool(self, act: UseTool) -> None:
        with _tool(act) as call:
            ManualStage(self.request).play(act.inside)
            _fail(act.fails)
            call.returned(act.returns)

    def step(self, act: Step) -> str:
        with step(act.name, given=act.asked) as part:
            said = ManualStage(self.request).play(act.inside)
            part.answered(said)
        return said

    def keep(self, act: Keep) -> None:
        with context("a step") as selecting:
            selecting.kept(act.chunk_ids)


class ManualAsyncStage(AsyncStage):
    async def search(self, act: Search) -> None:
        async with retrieval(act.query, score_kind=act.scores) as search:
            await ManualAsyncStage(self.request).play(act.inside)
            _fail(act.fails)
            search.found(_chunks(act))

    async def ask(self, act: Ask) -> str:
        async with generation(self.prompt(act), model=MODEL) as call:
            await self.play(act.inside)
            _fail(act.fails)
            call.said(act.says, tool_requests=act.chooses)
        return act.says

    async def use_tool(self, act: UseTool) -> None:
        async with _tool(act) as call:
            await ManualAsyncStage(self.request).play(act.inside)
            _fail(act.fails)
            call.returned(act.returns)

    async def step(self, act: Step) -> str:
        async with step(act.name, given=act.asked) as part:
            said = await ManualAsyncStage(self.request).play(act.inside)
            part.answered(said)
        return said

    async def keep(self, act: Keep) -> None:
        async with context("a step") as selecting:
            selecting.kept(act.chunk_ids)


def _response(request: Request, lineage: Lineage) -> Any:
    who = {"session_id": request.session_id, "user_id": request.user_id}
    return response(request.question, lineage=lineage, **who)


def _tool(act: UseTool) -> Any:
    return tool(act.name, arguments=act.arguments, tool_call_id=act.tool_call_id)


def _streamed(act: Ask) -> Any:
    @generation(model=MODEL)
    def said(prompt: Any) -> Generator[str]:
        yield from pieces(act.says)
        _fail(act.fails)

    return said


def _chunks(act: Search) -> list[RetrievedChunk]:
    return [_chunk(passage) for passage in act.found]


def _chunk(passage: Passage) -> RetrievedChunk:
    return RetrievedChunk(passage.text, passage.chunk_id, passage.document_id, score=passage.score)


def _fail(message: str | None) -> None:
    if message is not None:
        raise ScriptedError(message)


class TestReference(AdapterConformance):
    host = Reference()


class TestByHand(AdapterConformance):
    host = ByHand()
    beyond = (Keep,)  # which here drops all that was found before, wherever it was found


# --- the suite itself

PLAIN = next(s for s in SCENARIOS if s.name == "an answer from what was found")


class Silent(Reference):
    """Answers, and forgets to say what was found."""

    def ask(self, request: Request, lineage: Lineage) -> str:
        without = tuple(act for act in request.acts if not isinstance(act, Search))
        return super().ask(replace(request, acts=without), lineage)


class Hoarder(Reference):
    """Keeps something of every request."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def ask(self, request: Request, lineage: Lineage) -> str:
        self.kept.append(f"{len(self.kept):500}")
        return super().ask(request, lineage)


def suite_of(host: Host) -> AdapterConformance:
    suite = AdapterConformance()
    suite.host = host
    return suite


def test_what_is_missing_on_record_is_shown():
    with pytest.raises(AssertionError, match=r"(?s)on record differs.*\n-.*found renewal of"):
        PLAIN.check(Silent(), "sync")


def test_a_gap_is_expected_to_fail():
    suite = suite_of(Silent())
    suite.host.gaps = {PLAIN.name: "it says nothing of searches"}
    with pytest.raises(pytest.xfail.Exception, match="it says nothing of searches"):
        suite.test_the_record_is_exactly_as_it_has_to_be(PLAIN, "sync")


def test_a_gap_that_has_closed_fails():
    suite = suite_of(Reference())
    suite.host.gaps = {f"{PLAIN.name}, sync": "no longer true"}
    with pytest.raises(pytest.fail.Exception, match="the gap is closed"):
        suite.test_the_record_is_exactly_as_it_has_to_be(PLAIN, "sync")


def test_a_gap_of_no_scenario_fails():
    suite = suite_of(Reference())
    suite.host.absent = {"no such scenario": "anything"}
    with pytest.raises(AssertionError):
        suite.test_gaps_are_of_scenarios_that_exist()


def test_what_is_kept_of_every_request_is_seen(tmp_path):
    lineage = Lineage(Settings(home=tmp_path, spans="none"))
    request = replace(numbered(0), session_id=None)
    assert soak(Hoarder(), [request], lineage, 200).growth > 200
    lineage.close()


def test_scenarios_can_be_had_without_test_tools():
    code = "import sys, doctrail_core.testing.conformance; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"pytest", "hypothesis"} & set(loaded)
