"""`doctrail check`."""

import io
import json
import sys

import pytest

CHUNK = {
    "chunk_id": "c-1",
    "document_id": "doc_42",
    "text": "This agreement renews every year. The renewal deadline for enterprise accounts is February 28th.",
}
TRUE = "The renewal deadline for enterprise accounts is February 28th."
FALSE = "The renewal deadline for enterprise accounts is March 15th."


def line(name, answer, *chunks, **more):
    return json.dumps({"id": name, "answer": answer, "chunks": list(chunks or [CHUNK]), **more})


@pytest.fixture
def answers(tmp_path):
    def write(*lines):
        path = tmp_path / "answers.jsonl"
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    return write


def test_a_changed_date_is_contradicted_with_both_places(doctrail, answers):
    said = doctrail("check", answers(line("q-1", FALSE, question="When?")), "--json")
    assert (said.code, said.err) == (1, "")
    assert said.json["id"] == "q-1"
    assert said.json["risk"] >= 0.9
    (claim,) = said.json["claims"]
    assert FALSE[claim["start"] : claim["end"]] == claim["text"] == FALSE
    assert (claim["verdict"], claim["reason"]) == ("contradicted", "value_conflict")
    (evidence, *_) = claim["evidence"]
    assert evidence["chunk_id"] == "c-1"
    assert CHUNK["text"][evidence["start"] : evidence["end"]] == "February 28th"
    assert claim["conflicting_value"] == "February 28th"


def test_what_the_chunk_says_is_supported(doctrail, answers):
    said = doctrail("check", answers(line("q-1", TRUE)), "--json")
    assert said.code == 0
    assert [claim["verdict"] for claim in said.json["claims"]] == ["supported"]
    assert said.json["risk"] < 0.5


def test_a_line_for_each_answer_in_order_also_without_being_asked_for_json(doctrail, answers):
    said = doctrail("check", answers(line(1, TRUE), "", line(None, TRUE), line("three", FALSE)))
    assert [each["id"] for each in said.json_lines] == [1, None, "three"]


def test_standard_input_is_read_with_a_dash(doctrail, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(line("q", TRUE)))
    said = doctrail("check", "-", "--json")
    assert (said.code, said.json["id"]) == (0, "q")


def test_the_first_answer_is_out_before_the_second_is_read(doctrail, monkeypatch, capsys):
    out = []

    def lines():
        yield line("first", TRUE)
        out.append(capsys.readouterr().out)
        yield line("second", TRUE)

    monkeypatch.setattr(sys, "stdin", lines())
    doctrail("check", "-", "--json")
    assert json.loads(out[0])["id"] == "first"


@pytest.mark.parametrize(
    ("fail_on", "answer", "code"),
    [
        ("contradicted", FALSE, 1),
        ("contradicted", "The supplier Zanzibar Holdings delivers 40 tons of copper wire.", 0),
        ("unsupported", "The supplier Zanzibar Holdings delivers 40 tons of copper wire.", 1),
        ("unsupported", FALSE, 1),
        ("never", FALSE, 0),
    ],
)
def test_the_exit_code_says_whether_a_claim_failed(doctrail, answers, fail_on, answer, code):
    assert doctrail("check", answers(line("q", answer)), "--fail-on", fail_on).code == code


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("{", "it is not JSON"),
        ("[1]", "it must be an object, not list"),
        ('{"chunks": []}', "`answer` must be a string, not missing"),
        ('{"answer": "a"}', "`chunks` must be a list, not missing"),
        ('{"answer": "a", "chunks": [7]}', "chunk 0 must be an object, not int"),
        ('{"answer": "a", "chunks": [{"chunk_id": "c"}]}', "chunk 0 has no text"),
        ('{"answer": "a", "chunks": [{"text": "t", "chunk_id": []}]}', "chunk_id of chunk 0"),
        ('{"answer": "a", "chunks": [{"text": "t", "metadata": [1]}]}', "metadata of chunk 0"),
        ('{"answer": "a", "question": 3, "chunks": []}', "`question` must be a string, not int"),
    ],
)
def test_a_line_that_is_no_answer_is_named_and_the_others_are_checked(
    doctrail, answers, wrong, why
):
    said = doctrail("check", answers(line("one", FALSE), wrong, line("three", TRUE)), "--json")
    assert said.code == 2
    assert "line 2 of" in said.err
    assert why in said.err
    first, second, third = said.json_lines
    assert (first["id"], second["line"], third["id"]) == ("one", 2, "three")
    assert why in second["error"]


def test_a_file_that_is_not_there_is_an_error_of_one_line(doctrail, tmp_path):
    said = doctrail("check", str(tmp_path / "none.jsonl"))
    assert said.code == 3
    assert "none.jsonl" in said.err
    assert "--home" not in said.err  # which has nothing to do with it


def test_a_file_with_a_byte_order_mark_is_read(doctrail, answers):
    said = doctrail("check", answers("\ufeff" + line("one", TRUE)))
    assert (said.code, [each["id"] for each in said.json_lines]) == (0, ["one"])


def test_standard_input_is_utf_8_whatever_the_locale_is(doctrail, monkeypatch):
    piped = io.BytesIO('{"id": "ü", "answer": "", "chunks": []}'.encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(piped, encoding="ascii"))
    said = doctrail("check", "-", "--json")
    assert (said.code, said.json_lines[0]["id"]) == (0, "ü")


def test_an_empty_file_is_no_error(doctrail, answers):
    assert doctrail("check", answers()).code == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--verifier", "judge"], "--verifier judge needs --model"),
        (["--verifier", "nli"], "--verifier nli needs --model"),
        (["--model", "m:f"], "embedded needs none"),
        (["--verifier", "judge", "--model", "m"], "must be MODULE:FACTORY"),
        (["--verifier", "judge", "--model", "no_such_module:f"], "cannot be imported"),
        (["--verifier", "judge", "--model", "json:no_such"], "json has no no_such"),
        (["--verifier", "judge", "--model", "json:loads"], "loads() failed"),
        (["--verifier", "judge", "--model", "m:f", "--calibrator", "c"], "--calibrator is for"),
    ],
)
def test_a_verifier_that_lacks_something_is_told_what(doctrail, answers, words, why):
    said = doctrail("check", answers(line("q", TRUE)), *words)
    assert said.code == 2
    assert why in said.err


@pytest.fixture
def judges(tmp_path, monkeypatch):
    """A module of the user's: fake models that quote what they are told to, of either kind."""
    (tmp_path / "my_judges.py").write_text(
        """
def ruled(prompt):
    return "this is no JSON"


def a_model():
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    class FakeModel(BaseChatModel):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            said = AIMessage(ruled(str(messages)))
            return ChatResult(generations=[ChatGeneration(message=said)])

        @property
        def _llm_type(self):
            return "fake"

    return FakeModel()


def a_function():
    return lambda messages: ruled(str(messages))


def a_number():
    return 7
"""
    )
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("factory", ["a_model", "a_function"])
def test_a_judge_that_makes_no_sense_has_failed_and_says_so(doctrail, answers, judges, factory):
    if factory == "a_model":
        pytest.importorskip("langchain_doctrail")
    said = doctrail(
        "check",
        answers(line("q", TRUE)),
        "--verifier",
        "judge",
        "--model",
        f"my_judges:{factory}",
        "--json",
    )
    assert said.json["status"] == "failed"
    assert said.json["risk"] is None
    assert said.json["error"]
    assert said.code == 3
    assert "line 1" in said.err


def test_a_local_model_that_cannot_be_loaded_is_told(doctrail, answers):
    said = doctrail("check", answers(line("q", TRUE)), "--verifier", "nli", "--model", "./no/such")
    assert said.code in (2, 3)
    assert "doctrail-core[nli]" in said.err or "no/such" in said.err
    assert "fault of doctrail" not in said.err


def test_what_is_no_model_is_told(doctrail, answers, judges):
    said = doctrail(
        "check", answers(line("q", TRUE)), "--verifier", "judge", "--model", "my_judges:a_number"
    )
    assert said.code == 2
    assert "not int" in said.err


def test_hostile_text_reaches_no_terminal_as_it_is(doctrail, answers):
    said = doctrail("check", answers(line("\x1b[31m", "\x1b[2J evil \u202e", CHUNK)))
    assert "\x1b" not in said.out
    assert "\u202e" not in said.out
