"""docs/conventions.md says what is on our spans, no more and no less: names, types, families, what is content."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
from opentelemetry import context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from doctrail_core import Lineage, Settings
from doctrail_core.capture.events import (
    ContextSelected,
    GenerationEnded,
    PromptSent,
    Reranked,
    RetrievalDescribed,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunFailed,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.model import (
    Assessment,
    Claim,
    Evidence,
    Message,
    RankedChunk,
    ToolRequest,
    Usage,
    Verdict,
)
from doctrail_core.telemetry import semconv
from doctrail_core.telemetry.content import Shown
from doctrail_core.testing.capture import MemoryStorage, TickingClock

PAGE = (Path(__file__).parent / "conventions.md").read_text(encoding="utf-8")
SECTIONS = {
    match["title"].lower(): match["body"]
    for match in re.finditer(r"^### (?P<title>.+)\n(?P<body>(?:(?!^##).*\n?)*)", PAGE, re.MULTILINE)
}
TEXT = "The contract renewal deadline for enterprise accounts is February 28th."
ASKED = "When is the renewal deadline?"
SAID = "February 28th."
NAMES = {  # the start of a span's name, and the section that it is in
    "invoke_workflow": "request",
    "invoke_agent": "agent",
    "node": "step",
    "retrieval": "retrieval",
    "rerank": "rerank",
    "context assembly": "context assembly",
    "chat": "generation",
    "execute_tool": "tool",
    "grounding": "grounding",
}
FAMILIES = ("openinference", "genai", "backends")


def answered(lineage: Lineage, **run):
    """One answer with all that can be told of one."""
    lineage.record(RunStarted("r", None, "app", "test", ASKED, "session-7", "ada", **run))
    lineage.record(RunStarted("node", "r", "node", "test", ASKED))
    lineage.record(RetrievalStarted("ret", "node", "VectorStoreRetriever", ASKED, "test"))
    lineage.record(RetrievalDescribed("ret", 2, {"tenant": "acme"}, "similarity", "handbook"))
    found = [
        RetrievedChunk(f"{TEXT} {n}", f"c{n}", "doc", n, {"page": n}, 0.5, "similarity")
        for n in range(3)
    ]
    lineage.record(RetrievalEnded("ret", found))
    given = [RankedChunk(f"c{n}", 0.5) for n in range(3)]
    started = lineage.now()
    lineage.record(Reranked("node", "Judge", started, given, given[:2], ASKED, "rr-1", 2))
    lineage.record(ContextSelected("node", ["c0", "c1"], "Judge"))
    lineage.record(RunEnded("node", "2 documents"))
    lineage.record(ToolCalled("tool", "r", "search", "test", '{"q": "renewal"}', "call_1"))
    lineage.record(ToolReturned("tool", TEXT))
    prompt = [
        Message("system", f"{TEXT} 0 {TEXT} 1"),
        Message("user", ASKED),
        Message("tool", "found", "call_1"),
    ]
    wording = [Message("user", "Word it as a search")]
    lineage.record(PromptSent("worded", "r", wording, "test", "m-1", auxiliary=True))
    lineage.record(GenerationEnded("worded", "renewal deadline"))
    parameters = {"temperature": 0}
    lineage.record(PromptSent("llm", "r", prompt, "test", "m-1", "openai", parameters))
    asks = [ToolRequest("search", '{"q": "deadline"}', "call_2")]
    usage = Usage(10, 4, 14)
    lineage.record(GenerationEnded("llm", SAID, "m-1-2026", usage, ["stop"], "msg-1", asks))
    lineage.record(RunEnded("r", SAID))


def failed(lineage: Lineage, **run):
    """One where all goes wrong."""
    lineage.record(RunStarted("f", None, "app", "test", ASKED, **run))
    lineage.record(RunStarted("node", "f", "node", "test", ASKED))
    lineage.record(RetrievalStarted("ret", "node", "VectorStoreRetriever", ASKED, "test"))
    lineage.record(ToolCalled("tool", "f", "search", "test", "{}", "call_1"))
    lineage.record(PromptSent("llm", "f", [Message("user", ASKED)], "test", "m-1"))
    for run_id in ("ret", "tool", "llm", "node", "f"):
        lineage.record(RunFailed(run_id, ValueError("the reason")))


def checked(lineage: Lineage, **changes):
    trail = lineage.last
    assert trail is not None
    verdict = Verdict(
        claim=Claim(0, 5, SAID),
        verdict="supported",
        score=0.1,
        reason="judged",
        evidence=(Evidence("c0", 0, 4),),
    )
    told = {"status": "checked", "verdicts": (verdict,)} | changes
    times = {"started_at": trail.ended_at, "ended_at": trail.ended_at}
    assessment = Assessment(
        response_id=trail.response_id,
        verifier="embedded",
        version="1",
        generation_id="llm",
        usage=Usage(10, 4, 14),
        cost=0.25,
        degraded_from="judge",
        **times,
        **told,
    )
    lineage.assessed(assessment, trail)


def spans_of(settings: Settings):
    """The spans of both, by the section that they are in."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    storage = MemoryStorage()
    lineage = Lineage(settings, tracer_provider=provider, clock=TickingClock(), storage=storage)
    marks = {"metadata": '{"tenant": "acme"}', "tag.tags": ["beta"]}
    marks |= {"llm.prompt_template.version": "v2"}
    around = context.get_current()
    for name, value in marks.items():
        around = context.set_value(name, value, around)
    token = context.attach(around)
    try:
        for agent in (False, True):
            answered(lineage, agent=agent)
            checked(lineage)
            failed(lineage, agent=agent)
            checked(lineage, status="failed", error="TimeoutError: slow", verdicts=())
    finally:
        context.detach(token)
        lineage.close()
        provider.shutdown()
    assert storage.faults.errors == []
    found = defaultdict(list)
    for span in exporter.get_finished_spans():
        (section,) = [title for start, title in NAMES.items() if span.name.startswith(start)]
        found[section].append(span)
        if span.events:
            found["gen_ai.evaluation.result"].extend(span.events)
    return found


def plain(name):
    """The name without the places in lists."""
    return re.sub(r"\.\d+\.", ".{i}.", name)


KINDS = {str: "string", bool: "boolean", int: "int", float: "double", tuple: "string[]"}


def told_by(settings):
    """Per section, every attribute with its types."""
    found = defaultdict(lambda: defaultdict(set))
    for section, spans in spans_of(settings).items():
        for span in spans:
            for name, value in span.attributes.items():
                found[section][plain(name)].add(KINDS[type(value)])
    return {section: dict(attributes) for section, attributes in found.items()}


ROW = re.compile(
    r"^\| `(?P<name>[^`]+)` \| (?P<type>[^|]+) \| `(?P<example>.+)` \| (?P<family>[a-z]+) \| (?P<content>yes)? ?\|$",
    re.MULTILINE,
)
MARKS = {"metadata", "tag.tags", "llm.prompt_template.version"}
FULL = Settings(span_content=True, service="shop")


def documented(section):
    return {row["name"]: row for row in ROW.finditer(SECTIONS[section])}


EVERY = documented("every span")
STAGES = [*dict.fromkeys(NAMES.values()), "gen_ai.evaluation.result"]


def expected(section, wanted=lambda _: True):
    rows = documented(section)
    if section != "gen_ai.evaluation.result":
        rows |= EVERY
    return {name: row["type"] for name, row in rows.items() if wanted(row)}


def told(section, settings=FULL):
    """What real spans of that section have, but for what only some of the stages have in common."""
    found = {name: "/".join(kinds) for name, kinds in real(settings)[section].items()}
    if section == "grounding":
        found |= {name: EVERY[name]["type"] for name in MARKS}  # it comes later than the marks
    if section in ("rerank", "context assembly"):
        found["error.type"] = "string"  # they are told of when they have ended well
    return found


REAL = {}


def real(settings):
    if settings not in REAL:
        REAL[settings] = told_by(settings)
    return REAL[settings]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for flag in ("INPUTS", "OUTPUTS", "RETRIEVAL_DOCUMENTS"):
        monkeypatch.delenv(f"OPENINFERENCE_HIDE_{flag}", raising=False)


def test_the_page_has_every_span_that_we_write_and_no_other():
    assert set(real(FULL)) == set(STAGES)
    assert {"every span", *STAGES} == set(SECTIONS)


@pytest.mark.parametrize("section", STAGES)
def test_what_is_on_real_spans_is_what_the_page_says_with_its_types(section):
    assert told(section) == expected(section)


@pytest.mark.parametrize("section", STAGES)
def test_without_texts_what_is_marked_as_content_is_missing_and_nothing_else(section):
    bare = expected(section, lambda row: not row["content"])
    assert told(section, Settings(service="shop")) == bare


@pytest.mark.parametrize("family", [*FAMILIES, None])
@pytest.mark.parametrize("section", STAGES)
def test_with_one_family_there_are_its_attributes_and_ours(section, family):
    chosen = Settings(span_content=True, service="shop", span_families=frozenset({family} - {None}))
    if section == "gen_ai.evaluation.result":
        assert (section in real(chosen)) == (family == "genai")
        return
    wanted = expected(section, lambda row: row["family"] in (family, "doctrail", "all"))
    assert told(section, chosen) == wanted


@pytest.mark.parametrize("section", [s for s in STAGES if "." not in s])
def test_name_and_kind_are_as_the_page_says(section):
    said = SECTIONS[section].strip().partition("\n\n")[0].replace("\n", " ")
    (kind,) = re.findall(r"kind `(\w+)`", said)
    names = re.findall(r"(?:Name|else) `([^`]+)`", said) or ["node"]
    starts = tuple(name.partition(" {")[0] for name in names)
    for span in spans_of(FULL)[section]:
        assert span.kind.name == kind
        assert span.name.startswith(starts)


@pytest.mark.parametrize("section", STAGES)
def test_every_example_is_of_its_type(section):
    for name, row in (documented(section) | EVERY).items():
        example, kind = row["example"], row["type"]
        if kind == "string[]":
            assert isinstance(json.loads(example), list), name
        elif kind != "string":
            assert re.fullmatch(r"true|[0-9.]+", example), name
        elif example.startswith(("{", "[")):
            json.loads(example)


def test_the_page_names_every_flag_that_hides_something_and_no_other():
    flags = set()

    class Asked(dict):
        def get(self, name, default=None):
            flags.add(name)
            return default

    Shown.load(Asked(), texts=True, hashes=True)
    rows = re.findall(r"^\| (`OPENINFERENCE_HIDE_[^|]+) \|", PAGE, re.MULTILINE)
    named = {name.lstrip("…_") for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert {name.removeprefix("OPENINFERENCE_HIDE_") for name in named} == {
        name.removeprefix("OPENINFERENCE_HIDE_") for name in flags
    }


def test_the_page_names_the_versions_of_the_conventions():
    (table,) = re.findall(r"^\| family .*\n(?:\|.*\n)+", PAGE, re.MULTILINE)
    rows = [line.split("|")[1:4:2] for line in table.splitlines()[2:]]
    versions = {name.strip(): version.strip() for name, version in rows}
    assert versions["openinference"] == semconv.OPENINFERENCE_VERSION
    assert versions["genai"] == semconv.GENAI_VERSION


def test_the_page_names_every_attribute_that_there_is_a_constant_for():
    rows = {name for section in SECTIONS for name in documented(section)}
    parts = {part for name in rows for part in name.split(".{i}.")} | rows
    unwritten = {
        name
        for name, value in vars(semconv).items()
        if name.isupper()
        and isinstance(value, str)
        and "." in value
        and not name.endswith("_VERSION")
        and value not in parts
        and value not in SECTIONS
    }
    assert unwritten == set()
