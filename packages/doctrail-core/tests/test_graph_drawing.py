"""What an agent did, drawn for a terminal."""

from dataclasses import replace

from inline_snapshot import snapshot

from doctrail_core.graph import draw, evidence_graph
from doctrail_core.model import CarriedChunk, Chunk, Message, ToolRequest, Usage

RENEWAL = "The contract renewal deadline for enterprise accounts is February 28th of each year."
NOTICE = "Either party may end this agreement by giving ninety days written notice to the other."
QUESTION = "When must we give notice?"


def test_a_typical_run_of_an_agent_fits_on_a_screen(story):
    told = story(QUESTION)
    asks = [
        ToolRequest("search", '{"query": "renewal"}', "a"),
        ToolRequest("ask_lawyer", '{"about": "notice"}', "b"),
    ]
    told.call("m1", None, QUESTION, says="", asks=asks, usage=Usage(1512, 40))
    told.tool("t1", None, "search", '{"query": "renewal"}', "a")
    told.search("s1", "t1", "renewal", {"doc_1#0": RENEWAL, "doc_3#2": "Fees are due in May."})
    told.returned("t1", RENEWAL)
    told.tool("t2", None, "ask_lawyer", '{"about": "notice"}', "b")
    told.step("agent", "t2", "lawyer", "notice")
    told.search("s2", "agent", "notice", {"doc_2#0": NOTICE})
    told.call("m2", "agent", NOTICE, says="Ninety days before the term ends.")
    told.ended("agent", "Ninety days before the term ends.")
    told.returned("t2", "Ninety days before the term ends.")
    results = [
        Message("tool", RENEWAL, "a"),
        Message("tool", "Ninety days before the term ends.", "b"),
    ]
    mail = ToolRequest("send_mail", '{"to": "all"}', "c")
    told.call("m3", None, QUESTION, *results, says="By November 30th.", asks=[mail])
    assert draw(evidence_graph(told.answered("By November 30th."))) == snapshot("""\
Response r
│  status  ok: answered, took 17.0 s
│  asked   When must we give notice?
├─ 1 model m-1, 1,512 tokens in, 40 tokens out, took 1.0 s
│     read    no chunk, no result
│     chose   tool 2, tool 4
├─ 2 tool search, chosen by 1, took 3.0 s
│  │  given   {"query": "renewal"}
│  │  said    The contract renewal deadline for enterprise accounts is February 28th of each year.
│  └─ 3 search Retriever, 2 chunks, took 1.0 s
│        asked   renewal
│        found   doc_1 0, read by 8: The contract renewal deadline for enterprise accounts is Febru…
│        found   doc_3 2, not seen in any prompt: Fees are due in May.
├─ 4 tool ask_lawyer, chosen by 1, took 7.0 s
│  │  given   {"about": "notice"}
│  │  said    what 5 said
│  └─ 5 step lawyer, took 5.0 s
│     │  given   notice
│     │  said    what 7 said
│     ├─ 6 search Retriever, 1 chunk, took 1.0 s
│     │     asked   notice
│     │     found   doc_2 0, read by 7: Either party may end this agreement by giving ninety days w…
│     └─ 7 model m-1, took 1.0 s
│           read    doc_2 0
│           said    Ninety days before the term ends.
├─ 8 model m-1, took 1.0 s
│     read    doc_1 0; result of 2; result of 4
│     wanted  send_mail {"to": "all"} (no such call was seen)
│     said    the answer
└─ answer, from 8
   By November 30th.
""")


def test_what_was_read_before_is_counted_and_what_is_new_or_was_answered_from_is_named(story):
    told = story(QUESTION)
    told.search("s1", None, "renewal", {"doc_1#0": RENEWAL})
    told.call("m1", None, RENEWAL, says="Hm.")
    told.search("s2", None, "notice", {"doc_2#0": NOTICE})
    told.call("m2", None, RENEWAL, NOTICE, says="Hm, hm.")
    told.call("m3", None, RENEWAL, NOTICE, says="By November 30th.")
    graph = evidence_graph(told.answered("By November 30th."))
    for full in (False, True):
        read = [
            line.split("read    ")[1]
            for line in draw(graph, full=full).splitlines()
            if "read  " in line
        ]
        middle = "doc_1 0; doc_2 0" if full else "doc_2 0; 1 read before"
        assert read == ["doc_1 0", middle, "doc_1 0; doc_2 0"]


def test_a_run_that_failed_says_so_where_it_failed(story):
    told = story(QUESTION)
    told.search("s", None, QUESTION, {"doc_2#0": NOTICE})
    told.call("m1", None, NOTICE, says=None)
    drawn = draw(evidence_graph(told.failed()))
    assert drawn == snapshot("""\
Response r
│  status  error: failed, took 4.0 s
│  asked   When must we give notice?
├─ 1 search Retriever, 1 chunk, took 1.0 s
│     asked   the question
│     found   doc_2 0, read by 2: Either party may end this agreement by giving ninety days written…
├─ 2 model m-1
│     read    doc_2 0
│     failed  never ended
└─ no answer was seen
   failed  ValueError: the model is down
""")


def test_what_earlier_turns_brought_stands_before_all_else(story):
    told = story("And the fee?")
    told.call("m1", None, "And the fee?", says="Thirty days.")
    trail = replace(
        told.answered("Thirty days."),
        carried=(
            CarriedChunk(Chunk("doc_1#0", "doc_1", None, index=0), "artifact", "turn-1", 1),
            CarriedChunk(Chunk("doc_2#0", "doc_2", None), "answer", "turn-1", 1, through="turn-2"),
        ),
    )
    assert draw(evidence_graph(trail)) == snapshot("""\
Response r
│  status  ok: answered, took 3.0 s
│  asked   And the fee?
│  turn 1, response turn-1
│    found   doc_1 0, not seen in any prompt
│    found   doc_2 doc_2#0, not seen in any prompt
│  an earlier turn, response turn-2
│    brought doc_2 doc_2#0, by what it said
├─ 1 model m-1, took 1.0 s
│     read    no chunk, no result
│     said    the answer
└─ answer, from 1
   Thirty days.
""")


def long_run(story, steps):
    told = story(QUESTION)
    history = []
    for number in range(steps):
        call_id = f"call-{number}"
        ask = ToolRequest("search", f'{{"page": {number}}}', call_id)
        told.call(f"m{number}", None, QUESTION, *history, says="", asks=[ask])
        told.tool(f"t{number}", None, "search", f'{{"page": {number}}}', call_id)
        text = f"Page {number} tells of the {number * 7919}th paragraph of the contract."
        told.search(f"s{number}", f"t{number}", f"page {number}", {f"doc#{number}": text})
        told.returned(f"t{number}", text)
        history.append(Message("tool", text, call_id))
    told.call("last", None, QUESTION, *history, says="By November 30th.")
    return told.answered("By November 30th.")


def test_a_run_of_hundreds_of_steps_is_drawn_on_a_few_screens_and_in_full_on_demand(story):
    graph = evidence_graph(long_run(story, 100))
    short, full = draw(graph).splitlines(), draw(graph, full=True).splitlines()
    assert len(short) < 80
    assert "│  ... 189 runs more (--full)" in short
    assert short[-1] == "   By November 30th."
    assert sum("tool search, chosen by" in line for line in full) == 100


def test_runs_nested_however_deep_are_drawn(story):
    told = story(QUESTION)
    for depth in range(1200):
        told.step(f"p{depth}", f"p{depth - 1}" if depth else None, "agent", None)
    for depth in reversed(range(1200)):
        told.ended(f"p{depth}", None)
    told.call("m", None, QUESTION, says="By November 30th.")
    graph = evidence_graph(told.answered("By November 30th."))
    short, full = draw(graph, width=60).splitlines(), draw(graph, full=True, width=60).splitlines()
    assert len(short) == 160 + 6
    assert "and more" in short[-3]
    assert sum("step agent" in line for line in full) == 1200
    assert max(map(len, full)) <= 60


def test_wide_characters_count_for_two_cells(story):
    told = story("\u6f22\u5b57" * 60)
    told.call("m", None, QUESTION, says="\u6f22\u5b57" * 60)
    drawn = draw(evidence_graph(told.answered("\u6f22\u5b57" * 60)), width=50)
    assert (
        max(len(line) + line.count("\u6f22") + line.count("\u5b57") for line in drawn.splitlines())
        <= 50
    )


def test_what_a_model_asked_for_and_did_not_get_is_told_also_without_ids(story):
    told = story(QUESTION)
    asks = [ToolRequest("search", "{}"), ToolRequest("search", '{"again": true}')]
    told.call("m1", None, QUESTION, says=" \n ", asks=asks)
    told.tool("t1", None, "search", "{}", None)
    told.returned("t1", "found it")
    drawn = draw(evidence_graph(told.answered("So."))).splitlines()
    told_of = ("chose", "wanted", "tool search", "said")
    assert [line.strip("│ ") for line in drawn if any(word in line for word in told_of)] == [
        "chose   tool 2 (inferred)",
        'wanted  search {"again": true} (no such call was seen)',
        "├─ 2 tool search, chosen by 1 (inferred), took 1.0 s",
        "said    found it",
    ]
