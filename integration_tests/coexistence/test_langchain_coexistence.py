"""Beside other instrumentations of LangChain: no span twice, ours in their trace, and everything on record.

Every request of `langchain_scenes` is played beside each of them, in a process of its own.
"""

import functools
import json
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("langchain.agents")
pytest.importorskip("langchain_classic")
pytest.importorskip("langgraph")

PEERS = {
    "nobody": (),
    "openinference": ("openinference.instrumentation.langchain",),
    "openllmetry": ("opentelemetry.instrumentation.langchain",),
    "genai": ("opentelemetry.instrumentation.genai.langchain",),
}
PEERS["both"] = PEERS["openinference"] + PEERS["genai"]
SCRIPT = Path(__file__).with_name("langchain_scenes.py")


def installed(module):
    """Whether there is such a module; a package around it may be missing, too."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@functools.cache
def played(peer):
    result = subprocess.run(
        [sys.executable, SCRIPT, peer], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module", params=PEERS)
def peer(request):
    if not all(map(installed, PEERS[request.param])):
        pytest.skip(f"{request.param} is not installed")
    return request.param


def requests(peer, *modes, sampled=True):
    """What was left of the requests that were played in these modes."""
    found = [
        left
        for left in played(peer)
        if left["way"][0] in modes and (left["way"][2] == "on") == sampled
    ]
    assert found
    return found


def named(left):
    return " / ".join([left["name"], *left["way"]])


def ours(left):
    return [s for s in left["spans"] if s["scope"] == "doctrail"]


def searches(left):
    return [
        s
        for s in left["spans"]
        if s["kind"] == "RETRIEVER" or s["operation"] in ("retrieval", "vector_db_retrieve")
    ]


def calls(left):
    return [s for s in left["spans"] if s["kind"] == "LLM" or s["operation"] == "chat"]


def differing(peer, lefts, look, expect):
    """The requests in which what is there differs from what is expected, but for the known gaps."""
    told = {named(left): (look(left), expect(left)) for left in lefts if not gap(peer, left)}
    return {name: pair for name, pair in told.items() if pair[0] != pair[1]}


def gap(peer, left):
    """What is the others' own doing and cannot be mended here; docs/coexistence.md tells of each."""
    name, order = left["name"], left["way"][1]
    if name == "cancelled":
        # OpenInference ends no span of a cancelled call; GenAI's ends before anybody is told.
        return peer in ("openinference", "genai", "both")
    # OpenLLMetry forgets the call with its chain, and our handler looked before theirs had begun.
    return peer == "openllmetry" and name == "left early" and order == "first"


def test_every_request_is_on_record(peer):
    """Whatever is written as spans, and by whom, sampled or not."""
    for left in played(peer):
        expected, about = left["expected"], named(left)
        assert left["faults"] == [], about
        assert (left["counted"], left["open"]) == ({}, 0), about
        assert len(left["trails"]) == expected["requests"], about
        for trail in left["trails"]:
            assert trail["status"] == expected["status"], about
            assert trail["retrievals"] == expected["searches"], about
            assert len(trail["generations"]) == expected["calls"], about
            assert trail["arrived"][-1] == expected["read"], about
            kinds = Counter(kind for kind, about_id in left["ledger"] if about_id == trail["id"])
            assert (kinds["answered"], kinds["retrieved"] > 0) == (1, True), about


def test_a_search_and_a_call_have_one_span_each(peer):
    lefts = requests(peer, "missing")
    times = 2 if peer == "both" else 1  # each of those two writes its own

    def expected(left, what):
        return left["expected"][what] * left["expected"]["requests"] * times

    def expected_searches(left):
        nested = left["expected"]["searches"] - 1  # GenAI has no span for a search in a search
        return expected(left, "searches") - (nested if peer == "both" else 0)

    assert differing(peer, lefts, lambda left: len(searches(left)), expected_searches) == {}
    assert (
        differing(peer, lefts, lambda left: len(calls(left)), lambda left: expected(left, "calls"))
        == {}
    )


def test_what_nobody_else_writes_is_ours(peer):
    wanted = {"context assembly", "grounding embedded"}
    lefts = [left for left in requests(peer, "missing") if left["expected"]["status"] == "ok"]
    for left in lefts:
        names = {s["name"] for s in ours(left)}
        assert wanted <= names, named(left)
        assert ("rerank Backwards" in names) == left["name"].startswith("compressing")
        if peer in ("openinference", "openllmetry", "both"):
            assert names <= wanted | {"rerank Backwards"}, named(left)


def test_all_of_ours_are_there_if_asked_for(peer):
    def written(left):
        kinds = Counter(s["kind"] for s in ours(left))
        return kinds["RETRIEVER"], kinds["LLM"], kinds["CHAIN"] + kinds["AGENT"] > 1

    def expected(left):
        wanted = left["expected"]
        times = wanted["requests"]
        return wanted["searches"] * times, wanted["calls"] * times, True

    assert differing(peer, requests(peer, "all"), written, expected) == {}


def test_none_of_ours_is_there_if_none_is_wanted(peer):
    for left in requests(peer, "none"):
        assert ours(left) == [], named(left)


def test_ours_are_in_the_requests_trace(peer):
    for left in requests(peer, "missing", "all"):
        known = {s["id"]: s for s in left["spans"]}
        for span in ours(left):
            if span["kind"] == "EVALUATOR":
                continue  # comes later, in a trace of its own
            assert span["trace"] == left["request"], named(left)
            if not gap(peer, left):
                assert known[span["parent"]]["trace"] == left["request"], named(left)
        assert {t["trace"] for t in left["trails"]} == {left["request"]}, named(left)


def test_a_prompts_assembly_is_in_what_is_around_the_call(peer):
    """Whoever has written that span: steps that only they or only we tell of may lie between."""
    for left in requests(peer, "missing"):
        known = {s["id"]: s for s in left["spans"]}
        written = [g for t in left["trails"] for g in t["generations"] if g in known]
        outer = {span for g in written for span in around(known, known[g]["parent"])}
        for span in ours(left):
            if span["name"] == "context assembly" and not gap(peer, left):
                place = known[span["parent"]]
                step_of_ours = place["scope"] == "doctrail" and place["parent"] in outer
                assert place["id"] in outer or step_of_ours, named(left)
                assert place["scope"] != "application", named(left)


def around(known, span_id):
    """This span and all around it."""
    while span_id in known:
        yield span_id
        span_id = known[span_id]["parent"]


def test_trails_and_checks_name_the_call_that_answered(peer):
    lefts = requests(peer, "missing", "all")
    lefts = [left for left in lefts if left["expected"]["status"] == "ok"]
    for left in lefts:
        written = {s["id"] for s in calls(left)}
        assert {g for t in left["trails"] for g in t["generations"]} <= written, named(left)
        last = {(t["trace"], t["generations"][-1]) for t in left["trails"]}
        checks = [s for s in ours(left) if s["kind"] == "EVALUATOR"]
        assert {tuple(*s["links"]) for s in checks} == last, named(left)


def test_what_is_not_sampled_has_no_spans(peer):
    for left in requests(peer, "missing", "all", sampled=False):
        assert [s for s in left["spans"] if s["kind"] != "EVALUATOR"] == [], named(left)


def test_nothing_of_ours_stays_attached(peer):
    """OpenLLMetry's own stays, in async code and where nothing is sampled."""
    for left in played(peer):
        assert left["detaching"] == [], named(left)
        if peer != "openllmetry":
            assert left["ambient kept"], named(left)
