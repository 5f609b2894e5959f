"""Drawings and exports: any trail makes a sound graph, and no text of it can escape from its label."""

import json
import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pydot
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from doctrail_core.graph import (
    draw,
    evidence_graph,
    graph_form,
    pathologies,
    tallied,
    to_dot,
    to_mermaid,
)
from doctrail_core.graph.pathologies import wrong
from doctrail_core.model import (
    Arrival,
    CarriedChunk,
    Chunk,
    Context,
    Generation,
    Hit,
    Message,
    PromptSpan,
    Retrieval,
    Step,
    ToolCall,
    ToolRequest,
    Trail,
    Usage,
)
from doctrail_core.model.printable import printable

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

EVIL = (
    ']]\\" --> n0\nclick n0 href javascript:alert(1)\n%%{init: {}}%%\n`**x**` <b>&quot;#quot; &#8238;'
    "\x1b[2J\u202eend subgraph $$x$$ fa:fa-bomb style a:#fff; \\N \\l :::x {{ }} |x| ; // graph"
)

IDS = st.sampled_from(["a", "b", "c", "d", "", "x y", EVIL])
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["", " ", EVIL, "search", "The notice period is ninety days.", "\u6f22" * 40]),
    st.text(max_size=40),
)
TIMES = st.integers(0, 9).map(lambda seconds: NOON + timedelta(seconds=seconds))
PARENTS = st.none() | IDS
STATES = st.sampled_from(["full", "partial", "absent", "ambiguous"])
CHUNKS = st.builds(
    Chunk,
    chunk_id=IDS,
    document_id=IDS,
    content_hash=TEXTS,
    text=TEXTS,
    index=st.none() | st.integers(),
)
REQUESTS = st.builds(ToolRequest, name=IDS, arguments=TEXTS, tool_call_id=PARENTS)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant", "tool"]),
    text=TEXTS,
    tool_call_id=PARENTS,
)
STEPS = st.builds(
    Step, IDS, IDS, TIMES, TIMES, parent_id=PARENTS, input=TEXTS, output=TEXTS, error=TEXTS
)
RETRIEVALS = st.builds(
    Retrieval,
    IDS,
    IDS,
    TEXTS,
    IDS,
    st.lists(st.builds(Hit, CHUNKS, st.integers(0, 3)), max_size=8).map(tuple),
    TIMES,
    TIMES,
    parent_id=PARENTS,
    enclosing_id=PARENTS,
    error=TEXTS,
)
GENERATIONS = st.builds(
    Generation,
    IDS,
    st.lists(MESSAGES, max_size=4).map(tuple),
    TEXTS,
    TIMES,
    st.none() | TIMES,
    model=TEXTS,
    usage=st.none() | st.builds(Usage, st.integers(0, 9), st.none()),
    auxiliary=st.booleans(),
    error=TEXTS,
    parent_id=PARENTS,
    tool_requests=st.lists(REQUESTS, max_size=3).map(tuple),
)
TOOL_CALLS = st.builds(
    ToolCall,
    IDS,
    IDS,
    TEXTS,
    TEXTS,
    TIMES,
    TIMES,
    tool_call_id=PARENTS,
    error=TEXTS,
    parent_id=PARENTS,
    arguments_hash=PARENTS,
)
ARRIVALS = st.builds(
    Arrival,
    IDS,
    IDS,
    STATES,
    st.floats(0, 1),
    spans=st.lists(st.builds(PromptSpan, st.just(0), st.just(0), st.integers(0, 9000))).map(tuple),
)
CONTEXTS = st.builds(
    Context, IDS, st.lists(ARRIVALS, max_size=4).map(tuple), st.just(99_000), st.just(0)
)
CARRIED = st.builds(
    CarriedChunk,
    CHUNKS,
    st.sampled_from(["artifact", "text", "answer"]),
    PARENTS,
    st.none() | st.integers(1, 9),
    PARENTS,
)


def some(strategy, most=4):
    return st.lists(strategy, max_size=most).map(tuple)


TRAILS = st.builds(
    Trail,
    response_id=IDS,
    status=st.sampled_from(["ok", "error", "aborted", "interrupted"]),
    started_at=TIMES,
    ended_at=TIMES,
    query_hash=st.just("hmac-sha256:00"),
    question=TEXTS,
    answer=TEXTS,
    error=TEXTS,
    retrievals=some(RETRIEVALS),
    contexts=some(CONTEXTS),
    generations=some(GENERATIONS),
    tool_calls=some(TOOL_CALLS),
    steps=some(STEPS),
    carried=some(CARRIED, 3),
)
MANY = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)


def cells(line):
    """What the line takes on a terminal."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in line)
    return len(line) + wide - sum(bool(unicodedata.combining(c)) for c in line)


def test_the_json_of_a_graph_has_the_keys_that_are_documented(story):
    told = story("When is it due?")
    told.call("m1", None, "When?", says="", asks=[ToolRequest("search", "{}", "a")])
    told.tool("t1", None, "search", "{}", "a")
    told.step("e", "t1", "engine", "due date")
    told.search("s1", "e", "due date", {"doc_1#0": "It is due in March of every year."})
    told.ended("e", "It is due in March of every year.")
    told.returned("t1", "It is due in March of every year.")
    result = Message("tool", "It is due in March of every year.", "a")
    told.call("m2", None, "When?", result, says="In March.", usage=Usage(12, 3))
    trail = told.answered("In March.")
    carried = CarriedChunk(Chunk("doc_2#0", "doc_2", "sha256:00"), "artifact", "turn-1", 1)
    form = graph_form(evidence_graph(replace(trail, carried=(carried,))))
    assert {k: v for k, v in form.items() if k not in ("nodes", "edges")} == {
        "version": 1,
        "response_id": "r",
    }
    shapes = {node["kind"]: sorted(set(node) - {"id", "kind", "label"}) for node in form["nodes"]}
    assert shapes == snapshot(
        {
            "response": [
                "ended_at",
                "failed",
                "query_hash",
                "response_id",
                "session_id",
                "started_at",
                "status",
                "turn",
            ],
            "generation": [
                "auxiliary",
                "ended_at",
                "failed",
                "generation_id",
                "input_tokens",
                "model",
                "output_tokens",
                "started_at",
            ],
            "tool_call": [
                "arguments_hash",
                "ended_at",
                "failed",
                "name",
                "started_at",
                "tool_call_id",
                "tool_run_id",
            ],
            "step": ["ended_at", "failed", "input_hash", "name", "started_at", "step_id"],
            "retrieval": [
                "ended_at",
                "failed",
                "hits",
                "k",
                "query_hash",
                "retrieval_id",
                "retriever",
                "started_at",
            ],
            "chunk": [
                "chunk_id",
                "content_hash",
                "document_id",
                "grade",
                "index",
                "involvement",
            ],
            "earlier_turn": ["response_id", "turn"],
        }
    )
    assert form["edges"][-1] == snapshot(
        {
            "kind": "answered",
            "source": "generation:m2",
            "target": "response:r",
            "state": None,
            "coverage": None,
            "inferred": False,
        }
    )
    (chunk,) = (node for node in form["nodes"] if node["id"] == "chunk:doc_1#0")
    assert chunk == snapshot(
        {
            "id": "chunk:doc_1#0",
            "kind": "chunk",
            "label": """\
document doc_1
chunk 0
text It is due in March of every year.\
""",
            "chunk_id": "doc_1#0",
            "document_id": "doc_1",
            "index": 0,
            "content_hash": "sha256:64371e56278bb9fe1ca9a3217bd19387a58cbf1280c1d50e6e02e33db5de2833",
            "grade": "in_prompt",
            "involvement": "direct",
        }
    )


@MANY
@given(TRAILS)
def test_any_trail_makes_a_sound_graph(trail):
    graph = evidence_graph(trail)
    ids = [node.node_id for node in graph.nodes]
    assert len(set(ids)) == len(ids)
    assert graph.response.record is trail
    assert len({(e.kind, e.source, e.target) for e in graph.edges}) == len(graph.edges)
    for edge in graph.edges:
        assert {edge.source, edge.target} <= set(ids)
    parents = {e.target: e.source for e in graph.edges if e.kind == "contains"}
    runs = [n.node_id for n in graph.nodes if n.kind not in ("response", "chunk", "earlier_turn")]
    assert sorted(parents) == sorted(runs)
    expected = trail.steps + trail.retrievals + trail.generations + trail.tool_calls
    assert len(runs) == len(expected)
    for node_id in runs:
        for _ in range(len(runs)):
            node_id = parents.get(node_id, node_id)  # noqa: PLW2901
        assert node_id == graph.response.node_id
    assert evidence_graph(trail) == graph


@MANY
@given(TRAILS, st.integers(40, 120))
def test_any_trail_can_be_drawn(trail, width):
    graph = evidence_graph(trail)
    for full in (False, True):
        drawn = draw(graph, full=full, width=width)
        for line in drawn.splitlines():
            assert printable(line) == line
            assert full or cells(line) <= width


@MANY
@given(TRAILS)
def test_any_graph_is_json(trail):
    form = graph_form(evidence_graph(trail))
    again = json.loads(json.dumps(form, default=str))
    assert (again["version"], len(again["nodes"])) == (1, len(form["nodes"]))


@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")  # inside of pydot
@settings(MANY, max_examples=20)
@given(TRAILS, st.booleans())
def test_graphviz_reads_any_graph_as_what_it_is(trail, full):
    graph = evidence_graph(trail)
    (parsed,) = pydot.graph_from_dot_data(to_dot(graph, full=full))
    nodes = [node for node in parsed.get_nodes() if node.get_name() != "node"]
    assert len(nodes) == len(graph.nodes)
    assert len(parsed.get_edges()) == len(graph.edges)
    assert parsed.get_subgraphs() == []
    assert {key for node in nodes for key in node.get_attributes()} <= {"shape", "label"}


LABEL = r'"(?:[^\W_]|[ ,_…]|#\d+;|<br/>)*"'
NODE = rf"  n\d+(?:\(\[{LABEL}\]\)|\[\[{LABEL}\]\]|\[\({LABEL}\)\]|\({LABEL}\)|\{{\{{{LABEL}\}}\}}|\[{LABEL}\])"
EDGE = rf"  n\d+ (?:---|-- {LABEL} -->|-\. {LABEL} \.->) n\d+"


@MANY
@given(TRAILS, st.booleans())
def test_nothing_in_a_flowchart_is_more_than_a_node_or_an_edge(trail, full):
    graph = evidence_graph(trail)
    first, *lines = to_mermaid(graph, full=full).splitlines()
    assert first == "flowchart TD"
    assert sum(bool(re.fullmatch(NODE, line)) for line in lines) == len(graph.nodes)
    assert sum(bool(re.fullmatch(EDGE, line)) for line in lines) == len(graph.edges)
    assert len(lines) == len(graph.nodes) + len(graph.edges)


@MANY
@given(TRAILS)
def test_whatever_is_wrong_can_be_told_and_counted(trail):
    found = pathologies(trail)
    for pathology in found:
        assert pathology.count > 0
        assert pathology.ids
        assert printable(pathology.sentence) == pathology.sentence
        assert 0 <= (pathology.share or 0) <= 1
    assert sum(t.count for t in tallied([trail])) == sum(p.count for p in found if p.checked)
    for line in wrong(trail):
        assert printable(line) == line
