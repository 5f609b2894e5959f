"""The demo, run for real: frameworks, contracts, stores."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from doctrail.commands import demo as demo_command
from doctrail.demo.corpus import contracts
from doctrail.demo.reading import EXTRACTIVE, SCRIPTED, extract

for host in ("langchain_core", "llama_index.core", "llama_index.retrievers.bm25", "numpy"):
    pytest.importorskip(host, reason="the demo extra is not installed")


def demo(*words, cwd, home=None, **environment):
    variables = {**os.environ, **environment}
    variables.pop("DOCTRAIL_HOME", None)
    if home is not None:
        variables["DOCTRAIL_HOME"] = str(home)
    return subprocess.run(
        [sys.executable, "-m", "doctrail", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=variables,
        timeout=120,
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """One run of the demo, and the home it recorded in."""
    folder = tmp_path_factory.mktemp("demo")
    return demo("demo", cwd=folder), folder


@pytest.fixture(scope="module")
def trails(told):
    """The trails of a second run in the same folder."""
    said = demo("demo", "--json", cwd=told[1])
    assert (said.returncode, said.stderr) == (0, "")
    return [json.loads(line) for line in said.stdout.splitlines()]


def arrivals(trail):
    return {a["chunk_id"]: a["state"] for context in trail["contexts"] for a in context["arrivals"]}


def text_of(trail, chunk_id):
    hits = [hit for retrieval in trail["retrievals"] for hit in retrieval["hits"]]
    return next(h["chunk"]["text"] for h in hits if h["chunk"]["chunk_id"] == chunk_id)


def test_it_tells_its_story_without_a_word_of_the_frameworks_warnings(told):
    said, _ = told
    assert (said.returncode, said.stderr) == (0, "")
    for number in range(1, 6):
        assert f"\n{number} of 5. " in said.stdout
    assert said.stdout.count("\nResponse ") == 5
    assert said.stdout.count("Documents behind the answer") == 5
    assert "no language model" in said.stdout.partition("1 of 5")[0]


def test_the_answers_are_read_from_the_contracts(trails):
    term, date, _, law, _ = trails
    assert "at the end of five (5) years" in term["answer"]
    assert "July 26, 2002" in date["answer"]
    assert "State of Victoria" in law["answer"]
    for trail, document in (
        (term, "euler-hermes"),
        (date, "big-sky-mesaba"),
        (law, "nostradata-datathon"),
    ):
        assert trail["documents"][0] == trail["documents"][0] | {
            "document_id": document,
            "grade": "supports",
        }
        assert trail["models"] == [EXTRACTIVE]


def test_the_same_question_is_answered_wrongly_where_the_right_chunk_was_cut_away(trails):
    cut = trails[2]
    assert "five (5) days" in cut["answer"]
    states = arrivals(cut)
    right = [chunk for chunk in states if "thirty (30) days" in text_of(cut, chunk)]
    assert [states[chunk] for chunk in right] == ["absent"]
    assert "full" in states.values()
    assert "partial" in states.values()


def test_the_scripted_reader_contradicts_a_chunk_that_arrived_whole(trails):
    wrong = trails[4]
    assert wrong["models"] == [SCRIPTED]
    assert "July 6, 2002" in wrong["answer"]
    states = arrivals(wrong)
    right = [chunk for chunk in states if "as of July 26, 2002" in text_of(wrong, chunk)]
    assert [states[chunk] for chunk in right] == ["full"]


def test_the_wrong_answers_are_told_apart_by_whose_fault_they_were(trails):
    faults = [[each["fault"] for each in trail["diagnoses"]] for trail in trails]
    assert faults == [[], [], ["assembly"], [], ["generation"]]
    verdicts = [[v["verdict"] for v in trail["assessments"][0]["verdicts"]] for trail in trails]
    assert verdicts == [["supported"]] * 4 + [["contradicted"]]
    assert trails[4]["assessments"][0]["verdicts"][0]["conflicting_value"] == "July 26, 2002"


def test_both_frameworks_are_asked_and_scores_have_their_kind(trails):
    assert [trail["framework"] for trail in trails] == ["langchain"] * 3 + ["llama_index"] * 2
    for trail in trails:
        (search,) = trail["retrievals"]
        assert search["k"] == 4
        assert all(isinstance(hit["score"], float) for hit in search["hits"])
    assert {hit["score_kind"] for hit in trails[0]["retrievals"][0]["hits"]} == {"similarity"}


def test_chunks_have_the_same_ids_in_every_run(told, trails):
    first = demo("why", trails[2]["question"], "--json", cwd=told[1])
    runs = [json.loads(line) for line in first.stdout.splitlines()]
    assert len(runs) >= 2
    assert "hnba-board/11" in arrivals(trails[2])


def test_a_second_run_adds_to_the_same_records(told, trails):
    said = demo("responses", "--json", cwd=told[1])
    assert len(said.stdout.splitlines()) == 10
    assert (told[1] / ".doctrail").is_dir()


def test_the_commands_that_it_names_work(told):
    said, folder = told
    commands = [
        line.split(maxsplit=1)[1]
        for line in said.stdout.splitlines()
        if line.startswith("    doctrail ")
    ]
    assert len(commands) == 4
    for command in commands:
        run = demo(*shlex.split(command), cwd=folder)
        assert (run.returncode, run.stderr) == (0, ""), command


def test_the_home_that_is_named_is_used_and_named_again(tmp_path):
    said = demo("demo", "--home", "else where", cwd=tmp_path)
    assert said.returncode == 0
    assert (tmp_path / "else where" / "trails.db").exists()
    assert said.stdout.count("--home 'else where'") == 4


def test_where_nothing_can_be_recorded_it_does_not_begin(tmp_path):
    (tmp_path / "taken").write_text("")
    said = demo("demo", "--home", "taken/below", cwd=tmp_path)
    assert (said.returncode, said.stdout) == (3, "")
    assert said.stderr.startswith("doctrail: File exists: taken")
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["gpt-4", "openai", "openai:", "mystery:model"])
def test_a_model_name_that_means_nothing_says_what_does(tmp_path, name):
    said = demo("demo", cwd=tmp_path, DOCTRAIL_DEMO_MODEL=name)
    assert said.returncode == 2
    assert said.stderr == (
        f"doctrail: DOCTRAIL_DEMO_MODEL is {name!r}; it must be one of openai:MODEL, anthropic:MODEL,"
        " ollama:MODEL\n"
    )
    assert not (tmp_path / ".doctrail").exists()


def test_a_missing_integration_says_what_to_install(tmp_path):
    pytest.importorskip("doctrail")
    if any(Path(path, "langchain_anthropic").exists() for path in sys.path):
        pytest.skip("langchain-anthropic is installed")
    said = demo("demo", cwd=tmp_path, DOCTRAIL_DEMO_MODEL="anthropic:claude")
    assert said.returncode == 2
    assert "pip install langchain-anthropic llama-index-llms-anthropic" in said.stderr


def test_without_the_extra_it_says_what_to_install(tmp_path):
    blocked = "import sys; sys.modules['langchain_core'] = None; from doctrail.cli import main; sys.exit(main(['demo']))"
    said = subprocess.run(
        [sys.executable, "-c", blocked], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert said.returncode == 2
    assert said.stderr.startswith("doctrail: the demo needs langchain_core")
    assert "pip install 'doctrail[demo]'" in said.stderr


def test_the_contracts_come_with_their_notice():
    library = contracts()
    assert len(library) == 16
    notice = Path(sys.modules["doctrail.demo.corpus"].__file__).with_name("contracts") / "NOTICE"
    words = notice.read_text(encoding="utf-8")
    for name in ("Koreeda", "Manning", "CC BY 4.0", "What was changed"):
        assert name in words
    for contract in library:
        assert f"{contract.document_id}.txt" in words


def test_the_extractive_reader_quotes_its_context_or_says_that_it_cannot():
    prompt = "Context:\nThe fee is due in March of every year. Notice takes thirty days from receipt.\n\nQuestion: {}"
    assert (
        extract(prompt.format("How many days does a notice take?"))
        == "Notice takes thirty days from receipt."
    )
    assert extract(prompt.format("Qui vive?")) == "The context does not say."
    assert extract("no such form") == "The context does not say."


@pytest.mark.parametrize(
    ("found", "called", "named"),
    [
        ("/bin/doctrail", ".venv/bin/doctrail", "doctrail"),
        (None, ".venv/bin/doctrail", ".venv/bin/doctrail"),
        (None, "/a b/doctrail", "'/a b/doctrail'"),
        (None, "/lib/doctrail/__main__.py", "doctrail"),
    ],
)
def test_the_program_is_named_so_that_the_shell_finds_it(monkeypatch, found, called, named):
    monkeypatch.setattr("shutil.which", lambda _name: found)
    monkeypatch.setattr("sys.argv", [called])
    assert demo_command._as_called() == named
