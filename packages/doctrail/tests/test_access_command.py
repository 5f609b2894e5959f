"""`doctrail access report`."""

import pytest
from dirty_equals import IsPartialDict, IsStr

from doctrail_core import Lineage, Settings
from doctrail_core.access.gate import Gate
from doctrail_core.access.policies import EnginePolicy, LabelPolicy
from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
)
from doctrail_core.model import Message

POLICY = LabelPolicy(
    ("public", "internal", "secret"), principals={"ada": "internal", "eve": "secret"}
)


def chunk(name: str, label: str | None) -> RetrievedChunk:
    metadata = {} if label is None else {"label": label}
    return RetrievedChunk(
        f"Text of {name}.", chunk_id=f"{name}/0", document_id=name, metadata=metadata
    )


HANDBOOK, MERGER, MEMO = (
    chunk("handbook", "internal"),
    chunk("merger", "secret"),
    chunk("memo", None),
)


@pytest.fixture
def lineage(app):
    made = Lineage(Settings(home=app.home, spans="none"))
    yield made
    made.close()


@pytest.fixture
def search(lineage):
    """Ask a guarded retriever in a response of its own."""

    def ask(response_id, chunks, *, principal="ada", policy=POLICY, session=None):
        with lineage.scope(response_id=response_id, user_id=principal, session_id=session):
            run_id = f"{response_id}-search"
            lineage.record(RetrievalStarted(run_id, None, "store", "when?", "python"))
            gate = Gate(policy, "store", principal)
            passing = gate.admits(chunks, run_id, lineage.record, user_id=None)
            released = [c for c, passes in zip(chunks, passing, strict=True) if passes]
            lineage.record(RetrievalEnded(run_id, released))
        lineage.flush()

    return ask


def conditions(report):
    return {found["check"]: found["outcome"] for found in report["conditions"]}


def test_it_proves_that_every_chunk_has_a_decision(search, doctrail):
    search("r-1", [HANDBOOK, MERGER])
    search("r-2", [HANDBOOK, MERGER], principal="eve")
    said = doctrail("access", "report", "--json")
    report = said.json
    assert report["sentence"] == IsStr(
        regex=r"Among the [\d,]+ entries of the period \(#\d+ to #\d+\), every chunk that an answer had has an allow"
        rf" decision of policy {POLICY.policy}: 3 of 3; 0 exceptions\."
    )
    assert report["exceptions"] == []
    assert report["labels"] == [
        {"label": "internal", "allowed": 2, "denied": 0},
        {"label": "secret", "allowed": 1, "denied": 1},
    ]
    assert (report["searches"], report["decisions"], report["failures"]) == (2, 2, 0)
    assert conditions(report) == IsPartialDict(
        counters="holds", configuration="holds", denials="holds"
    )
    assert report["unproven"]


def test_a_label_means_it_and_those_above_it(search, doctrail):
    search("r-1", [HANDBOOK, MERGER], principal="eve")
    whole = doctrail("access", "report", "--label", "internal", "--json").json
    higher = doctrail("access", "report", "--label", "secret", "--json").json
    assert (whole["uses"], higher["uses"]) == (2, 1)
    assert "every chunk labelled secret or higher" in higher["sentence"]


def test_a_chunk_that_passed_no_guard_is_an_exception(search, app, doctrail):
    search("r-1", [HANDBOOK, MERGER])
    app.answer("r-2", document="memo")
    said = doctrail("access", "report", "--label", "secret", "--json")
    (exception,) = said.json["exceptions"]
    assert exception == IsPartialDict(
        why="no decision", response_id="r-2", document_id="memo", chunk_id="memo/0", label=None
    )
    assert said.code == 1


def test_what_was_denied_and_is_there_all_the_same_is_an_exception(search, lineage, doctrail):
    with lineage.scope(response_id="r-1", user_id="ada"):
        lineage.record(RetrievalStarted("s1", None, "store", "when?", "python"))
        Gate(POLICY, "store").admits([MERGER], "s1", lineage.record, user_id=None)
        lineage.record(RetrievalEnded("s1", []))
        lineage.record(RetrievalStarted("s2", None, "another", "when?", "python"))
        lineage.record(RetrievalEnded("s2", [MERGER]))
    lineage.flush()
    (exception,) = doctrail("access", "report", "--json").json["exceptions"]
    assert exception["why"] == "denied, and there all the same"
    assert (exception["document_id"], exception["label"]) == ("merger", "secret")


def test_a_decision_of_another_policy_is_an_exception(search, doctrail):
    search("r-1", [HANDBOOK, MERGER])
    search("r-2", [HANDBOOK, MERGER])
    looser = LabelPolicy(("public", "internal", "secret"), anybody="secret")
    search("r-3", [HANDBOOK, MERGER], policy=looser)
    report = doctrail("access", "report", "--json").json
    assert {e["why"] for e in report["exceptions"]} == {"another policy"}
    assert {e["policy"] for e in report["exceptions"]} == {looser.policy}
    assert conditions(report)["configuration"] == "open"
    named = doctrail("access", "report", "--policy", looser.policy, "--json").json
    assert {e["policy"] for e in named["exceptions"]} == {POLICY.policy}


def test_a_period_without_any_denial_is_suspicious(search, doctrail):
    search("r-1", [HANDBOOK])
    said = doctrail("access", "report")
    assert "open     denials: nothing was denied in all the period, which is suspicious" in said.out
    assert said.code == 1


def test_searches_are_reconciled_with_the_stores_own_log(search, doctrail):
    search("r-1", [HANDBOOK, MERGER])
    search("r-2", [])
    outcomes = {
        told: conditions(doctrail("access", "report", "--searches", told, "--json").json)
        for told in ("2", "3")
    }
    assert [outcomes[told]["reconciliation"] for told in ("2", "3")] == ["holds", "broken"]


def test_a_failing_policy_is_counted(search, doctrail):
    def down(asked):
        raise TimeoutError

    with pytest.raises(Exception, match="no decision"):
        search("r-1", [HANDBOOK], policy=EnginePolicy(down))
    report = doctrail("access", "report", "--json").json
    assert (report["failures"], report["uses"]) == (1, 0)
    assert report["labels"] == [{"label": "internal", "allowed": 0, "denied": 1}]


def test_it_says_what_it_rests_on_and_what_it_does_not_prove(search, doctrail):
    search("r-1", [HANDBOOK, MERGER])
    said = doctrail("access", "report")
    assert "open     heartbeats: no heartbeats are noted" in said.out
    assert "open     checkpoints: no checkpoint covers the period" in said.out
    assert "What it does not prove" in said.out
    assert "passes no guarded retriever" in said.out


def test_with_a_checkpoint_around_it_the_period_is_covered(search, doctrail):
    assert doctrail("audit", "init").code == 0
    search("r-1", [HANDBOOK, MERGER])
    assert doctrail("audit", "checkpoint").code == 0
    report = doctrail("access", "report", "--searches", "1", "--json")
    assert conditions(report.json)["checkpoints"] == "holds"
    assert "between the checkpoints of" in report.json["sentence"]


def test_a_period_of_which_nothing_is_on_record_says_so(search, doctrail):
    search("r-1", [HANDBOOK])
    said = doctrail("access", "report", "--from", "2020-01-01", "--to", "2020-01-02", "--json")
    assert said.json["sentence"].startswith("Among the 0 entries")
    assert said.code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--label", "cosmic"),
        ("--labels", "a,,b"),
        ("--labels", "a,a"),
        ("--searches", "-1"),
    ],
)
def test_what_means_nothing_is_refused(search, doctrail, arguments):
    search("r-1", [HANDBOOK])
    said = doctrail("access", "report", *arguments)
    assert said.code == 2


def test_hostile_names_are_not_obeyed(search, doctrail):
    evil = "\x1b[31mred\u202e"
    search("r-1", [chunk(evil, "internal"), MERGER])
    search("r-2", [chunk(evil, evil), MERGER], policy=LabelPolicy((evil,), anybody=evil))
    said = doctrail("access", "report")
    assert "\x1b[31m" not in said.out
    assert "\u202e" not in said.out


def test_a_denied_chunk_is_told_by_why_and_affects_no_answer(search, doctrail):
    search("response-0001", [HANDBOOK, MERGER])
    assert "withheld: merger merger/0 (secret)" in doctrail("why", "response-0001").out
    affected = doctrail("affected", "--document", "merger", "--grade", "retrieved", "--json")
    assert (affected.code, affected.out) == (1, "")
    assert doctrail("affected", "--document", "handbook", "--json").code == 0
    assert doctrail("show", "merger").code == 1
    assert doctrail("responses", "--document", "merger").code == 1


def test_a_text_that_an_earlier_turn_brought_was_not_decided_about_again(lineage, doctrail):
    for turn, principal in enumerate(("eve", "ada")):
        with lineage.scope(response_id=f"r-{turn}", user_id=principal, session_id="s"):
            if turn == 0:
                lineage.record(RetrievalStarted("search", None, "store", "when?", "python"))
                Gate(POLICY, "store").admits([MERGER], "search", lineage.record, user_id=None)
                lineage.record(RetrievalEnded("search", [MERGER]))
            messages = [Message("user", "When?"), Message("assistant", "In May.")] * turn
            messages.append(Message("system", MERGER.text))
            lineage.record(PromptSent(f"call-{turn}", None, messages, "python"))
            lineage.record(GenerationEnded(f"call-{turn}", "In May."))
    lineage.flush()
    report = doctrail("access", "report", "--json").json
    (exception,) = report["exceptions"]
    assert exception == IsPartialDict(
        why="carried from an earlier turn", response_id="r-1", document_id="merger"
    )
    assert report["proven"] == 1
