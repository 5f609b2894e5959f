"""Every response mode, in every way to ask: what was read by which call, and what was answered."""

from dataclasses import dataclass

import pytest
from llama_index.core import Settings

WAYS = ["query", "aquery", "stream", "astream"]
CHUNKS = {"chunk-renewal", "chunk-refund", "chunk-support", "chunk-travel"}


@dataclass(frozen=True)
class Mode:
    """What is to be seen of a mode with four chunks that fit into a prompt, and with a smaller window."""

    name: str
    calls: int = 1
    splits: bool = True
    window: int = 420
    streams: bool = True
    reads: bool = True


MODES = [
    Mode("compact", window=1200),
    Mode("refine", calls=4, window=1000),
    Mode("tree_summarize"),
    Mode("simple_summarize", splits=False, window=1200),
    Mode("accumulate", calls=4, streams=False),
    Mode("compact_accumulate", streams=False),
    Mode("generation", reads=False),
]


@pytest.fixture(autouse=True)
def _recorded(instrumented):
    pass


@pytest.fixture
def rag(rag, monkeypatch):
    """Chunks of some length, each with words of its own."""
    for node in rag.nodes:
        name = node.metadata["title"]
        rules = (f"{name}{n} is decided by clause{n * 7}{name}." for n in range(30))
        node.set_content(f"{node.text} {' '.join(rules)}")
    rag.__post_init__()
    monkeypatch.setattr(Settings, "_llm", rag.llm)
    return rag


async def ask(rag, way, mode):
    engine = rag.engine(rag.retriever(4), mode=mode, streaming="stream" in way)
    if way.startswith("a"):
        said = await rag.adrawn(await engine.aquery(rag.question))
    else:
        said = rag.drawn(engine.query(rag.question))
    [trail] = rag.captured.trails
    assert trail.question == rag.question
    assert trail.status == "ok"
    assert (trail.answer or "None") == said  # so the host prints no text
    assert [r.retriever for r in trail.retrievals] == ["VectorIndexRetriever"]
    assert set(trail.chunks) == CHUNKS
    assert trail.steps == ()
    return trail


def read(trail, *states):
    return {a.chunk_id for c in trail.contexts for a in c.arrivals if a.state in states}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
async def test_every_call_answers_and_together_they_read_all(rag, mode, way):
    if "stream" in way and not mode.streams:
        pytest.skip("the host does not stream it")
    trail = await ask(rag, way, mode.name)
    assert [g.auxiliary for g in trail.generations] == [False] * mode.calls
    assert {g.output for g in trail.generations} == {rag.answer}
    assert {g.parent_id for g in trail.generations} == {None}
    assert len(trail.contexts) == mode.calls
    assert read(trail, "full") == (CHUNKS if mode.reads else set())
    assert read(trail, "partial", "ambiguous") == set()
    assert set(trail.involvements.values()) == ({"direct"} if mode.reads else set())
    expected = "in_prompt" if mode.reads else "retrieved"
    assert set(trail.chunk_grades.values()) == {expected}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", [m for m in MODES if m.reads], ids=lambda mode: mode.name)
async def test_so_they_do_where_one_prompt_does_not_hold_it(rag, mode, way):
    if "stream" in way and not mode.streams:
        pytest.skip("the host does not stream it")
    rag.llm.window = mode.window
    trail = await ask(rag, way, mode.name)
    assert (len(trail.generations) > 1) is mode.splits
    assert not any(g.auxiliary for g in trail.generations)
    if not mode.splits:
        lost = {a.chunk_id: a.reason for a in trail.contexts[0].arrivals if a.state != "full"}
        assert set(lost.values()) == {"truncated"}
    else:
        assert read(trail, "full", "partial") == CHUNKS
        assert not [a for c in trail.contexts for a in c.arrivals if a.reason == "filtered"]


@pytest.mark.parametrize("way", ["query", "aquery"])
@pytest.mark.parametrize("mode", ["no_text", "context_only"])
async def test_modes_that_ask_no_model_read_nothing(rag, mode, way):
    trail = await ask(rag, way, mode)
    assert trail.generations == trail.contexts == ()
    assert set(trail.chunk_grades.values()) == {"retrieved"}
    assert trail.involvements == {}
    assert (rag.nodes[0].text in trail.answer) is (mode == "context_only")


async def test_of_refining_each_call_reads_one_chunk_and_what_was_answered_before(rag):
    trail = await ask(rag, "query", "refine")
    for number, context in enumerate(trail.contexts):
        own = {a.chunk_id for a in context.arrivals if a.state == "full"}
        others = {a.reason_detail for a in context.arrivals if a.state == "absent"}
        assert own == {trail.retrievals[0].hits[number].chunk.chunk_id}
        assert others == {"read by another call of this answer"}
    for before, after in zip(trail.generations, trail.generations[1:], strict=False):
        assert before.output in after.messages[-1].text


async def test_the_last_prompt_of_a_tree_holds_summaries_alone(rag):
    rag.llm.window = 420
    trail = await ask(rag, "query", "tree_summarize")
    last = trail.contexts[-1]
    assert {a.state for a in last.arrivals} == {"absent"}
    assert rag.answer in trail.generations[-1].messages[-1].text
    assert trail.involvements == dict.fromkeys(CHUNKS, "direct")


async def test_the_spans_are_one_request_with_all_below_it(rag):
    trail = await ask(rag, "query", "refine")
    [[root, below]] = rag.captured.span_tree()
    assert root
    assert len(below) == 1 + 2 * len(trail.generations)
    assert all(children == [] for _, children in below)
