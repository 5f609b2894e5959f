"""Turns of one session, each recorded by a process of its own, as the command line tells of them."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from doctrail_core import Lineage, Settings
from doctrail_core.capture.events import *
from doctrail_core.model import Message

home, response, session, content, *messages = sys.argv[1:]
lineage = Lineage(Settings.load({}, home=home, content=content, spans="none"))
prompt = [Message(*text.split(": ", 1)) for text in messages]
lineage.record(RunStarted(response, None, "chain", "test", "A question?", session))
kept = []
if response == "turn-0001":
    search = RetrievalStarted("search", response, "R", "A question?", "test")
    text = prompt[0].text.partition("\\n")[2]
    lineage.record(search)
    lineage.record(RetrievalEnded("search", [RetrievedChunk(text, "doc_42/0", "doc_42", 0)]))
elif response == "kept-0001":
    kept.append(RetrievedChunk(prompt[0].text, "doc_42/0", "doc_42", 0))
lineage.record(PromptSent("call", response, prompt, "test", "m-1", carried=kept))
lineage.record(GenerationEnded("call", "The answer of " + response))
lineage.record(RunEnded(response, "The answer of " + response))
"""

CHUNK = "The contract renewal deadline for enterprise accounts is February 28th of each year."


@pytest.fixture
def ask(home):
    def ask(response, *messages, content="full"):
        words = [sys.executable, "-c", PROGRAM, home, response, "s-1", content, *messages]
        subprocess.run(words, check=True, timeout=60)

    return ask


def test_a_new_process_traces_a_text_to_the_turn_that_found_it(ask, doctrail):
    ask("turn-0001", f"user: Answer from this:\n{CHUNK}")
    ask("turn-0002", f"user: Before: {CHUNK}\nAnd now?", "assistant: The answer of turn-0001")
    said = doctrail("why", "turn-0002")
    assert said.lines[0] == "Response turn-0002, turn 2 of its session"
    assert "from turn 1 of this session, response turn-0001" in said.out
    assert "1 chunk from earlier turns: 1 in the prompt again." in " ".join(said.out.split())
    (carried,) = doctrail("why", "turn-0002", "--json").json["carried"]
    assert (carried["response_id"], carried["turn"]) == ("turn-0001", 1)


def test_what_came_through_an_answer_is_called_indirect_everywhere(ask, doctrail):
    ask("turn-0001", f"user: Answer from this:\n{CHUNK}")
    ask("turn-0002", "assistant: The answer of turn-0001", "user: Sure?")
    said = doctrail("why", "turn-0002").out
    assert "in the prompt, indirectly  doc_42" in said
    assert "through the answer of response turn-0001" in said
    affected = doctrail("affected", "--document", "doc_42", "--json").json_lines
    assert [(a["response_id"], a["involvement"]) for a in affected] == [
        ("turn-0001", "direct"),
        ("turn-0002", "indirect"),
    ]
    assert "in the prompt, indirectly" in doctrail("affected", "--document", "doc_42").out
    (shown,) = doctrail("show", "doc_42", "--json").json_lines
    assert [(r["response_id"], r["involvement"]) for r in shown["responses"]] == [
        ("turn-0002", "indirect"),
        ("turn-0001", "direct"),
    ]
    assert "in the prompt, indirectly" in doctrail("show", "doc_42").out
    turns = [
        line["turn"] for line in doctrail("responses", "--session", "s-1", "--json").json_lines
    ]
    assert turns == [2, 1]


@pytest.mark.parametrize("content", ["hash", "off"])
def test_without_texts_only_what_the_host_keeps_is_traced_across_processes(ask, doctrail, content):
    ask("turn-0001", f"user: Answer from this:\n{CHUNK}", content=content)
    ask("turn-0002", f"user: {CHUNK}", "assistant: The answer of turn-0001", content=content)
    ask("kept-0001", f"tool: {CHUNK}", content=content)
    assert doctrail("why", "turn-0002", "--json").json["carried"] == []
    (carried,) = doctrail("why", "kept-0001", "--json").json["carried"]
    assert (carried["response_id"], carried["turn"]) == ("turn-0001", 1)
    assert carried["chunk"]["text"] is None
    assert "from turn 1 of this session" in doctrail("why", "kept-0001").out
