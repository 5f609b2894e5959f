"""`doctrail diagnose`."""

import json

import pytest

APP = """
from doctrail_core.capture.events import RetrievedChunk

class Shelf:
    def search(self, query, k, *, filtered):
        text = "The renewal deadline is February 28th."
        return [RetrievedChunk(text, chunk_id="doc_42/7", document_id="doc_42")]

class Application:
    retriever = Shelf()

def shelf():
    return Shelf()

def application():
    return Application()

def nothing():
    return 42

def broken():
    raise RuntimeError("no such index")

constant = 1
"""


@pytest.fixture
def myapp(tmp_path, monkeypatch):
    """A module of the user's, importable from where the command is typed, in this test alone."""
    name = f"app_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    return name


def test_the_verdict_its_reasons_and_the_fix_are_told(app, doctrail):
    app.answer(answer="The renewal deadline is March 15th.")
    said = doctrail("diagnose", "response-0001", "--expected", "February 28th")
    assert said.code == 0
    assert (
        "Verdict: generation failure: it arrived, and the answer does not keep to it" in said.lines
    )
    assert "“The renewal deadline is February 28th.”" in said.out
    assert (
        "document doc_42, chunk doc_42/0, rank 1, arrived whole, place 1 in the prompt" in said.out
    )
    assert "What to do" in said.lines


def test_a_diagnosis_is_on_record_with_who_asked(app, doctrail):
    app.answer(answer="The renewal deadline is March 15th.")
    doctrail("diagnose", "response-0001", "--expected", "February 28th", "--by", "ann")
    (found,) = doctrail("why", "response-0001", "--json").json["diagnoses"]
    assert (found["fault"], found["by"], found["expected"]) == (
        "generation",
        "ann",
        "February 28th",
    )


def test_programs_read_every_field(app, doctrail):
    app.answer(answer="The renewal deadline is March 15th.")
    said = doctrail("diagnose", "renewal deadline", "--expected", "February 28th", "--json").json
    assert said["response_id"] == "response-0001"
    assert said["fault"] == "generation"
    assert said["missing"] == []
    assert said["findings"] == [
        {
            "code": "contradicts",
            "text": "This arrived in the prompt, and the answer says “March 15th” instead.",
            "evidence": {"chunk_id": "doc_42/0", "start": 0, "end": 38},
            "document_id": "doc_42",
            "sentence": "The renewal deadline is February 28th.",
            "arrival": "full",
            "order": 0,
            "rank": 0,
            "score": None,
            "claim_start": None,
            "claim_end": None,
        }
    ]


@pytest.mark.parametrize("factory", ["shelf", "application"])
def test_the_applications_retriever_is_asked_for_what_was_not_retrieved(
    app, doctrail, myapp, factory
):
    app.answer(answer="I do not know.", texts=("Fees are due.",))
    said = doctrail(
        "diagnose", "response-0001", "--expected", "February 28th", "--app", f"{myapp}:{factory}"
    )
    assert (said.code, said.err) == (0, "")
    assert "retrieval failure" in said.out


def test_without_a_retriever_it_says_that_it_could_not_look(app, doctrail):
    app.answer(answer="I do not know.", texts=("Fees are due.",))
    said = doctrail("diagnose", "response-0001", "--expected", "February 28th")
    assert "Verdict: undetermined" in said.out
    assert "  - whether the corpus has it: no retriever was given to ask" in said.lines


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("nowhere:factory", "nowhere cannot be imported"),
        ("{app}:missing", "has no missing"),
        ("{app}:constant", "constant is no function"),
        ("{app}:broken", "broken() failed: RuntimeError: no such index"),
        ("{app}:nothing", "returned a int, which is no retriever"),
        ("justaname", "must be MODULE:FACTORY"),
    ],
)
def test_a_factory_that_makes_no_retriever_is_refused_with_the_reason(
    app, doctrail, myapp, named, told
):
    app.answer()
    said = doctrail("diagnose", "response-0001", "--app", named.format(app=myapp))
    assert (said.code, said.out) == (2, "")
    assert told in said.err


def test_an_unknown_response_is_no_crash(app, doctrail):
    app.answer()
    said = doctrail("diagnose", "nothing like it")
    assert (said.code, said.out) == (1, "")
    assert "no answer on record matches" in said.err


def test_hostile_texts_stay_texts(app, doctrail):
    app.answer(
        answer="\x1b[2J March 15th.", texts=("\x1b]0;x\x07The renewal deadline is February 28th.",)
    )
    said = doctrail("diagnose", "response-0001", "--expected", "February 28th\x1b[31m")
    assert "\x1b" not in said.out
    assert json.dumps(said.out)
