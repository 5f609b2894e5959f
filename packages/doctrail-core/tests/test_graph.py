"""The evidence graph: what led to what in runs of every shape, and nothing that nothing shows."""

from dataclasses import replace

from inline_snapshot import snapshot

from doctrail_core.capture.events import RetrievalEnded, RetrievalStarted, RetrievedChunk
from doctrail_core.capture.settings import Settings
from doctrail_core.graph import EvidenceGraph, evidence_graph
from doctrail_core.model import CarriedChunk, Chunk, Message, ToolRequest
from doctrail_core.testing import capture_trails

RENEWAL = "The contract renewal deadline for enterprise accounts is February 28th of each year."
NOTICE = "Either party may end this agreement by giving ninety days written notice to the other."
FEES = "Fees are due within thirty days from the date of the invoice, in full and without set-off."
QUESTION = "When must we give notice?"


def edges(graph: EvidenceGraph, *kinds: str) -> list[str]:
    """The edges of these kinds as lines, the tree's left out unless it is asked for."""
    wanted = kinds or ("retrieved", "shown_to", "led_to", "answered")
    return [
        f"{e.source} -{e.kind}-> {e.target}"
        + (f" {e.state}" if e.state not in (None, "full") else "")
        + (" inferred" if e.inferred else "")
        for e in graph.edges
        if e.kind in wanted
    ]


def test_a_plain_answer_goes_from_search_through_prompt_to_response(story):
    told = story(QUESTION)
    told.search("s", None, QUESTION, {"doc_1#0": RENEWAL, "doc_2#0": NOTICE})
    told.call("m", None, f"{RENEWAL}\n{QUESTION}", says="By November 30th.")
    graph = evidence_graph(told.answered("By November 30th."))
    assert edges(graph, "contains") == snapshot(
        ["response:r -contains-> retrieval:s", "response:r -contains-> generation:m"]
    )
    assert edges(graph) == snapshot(
        [
            "retrieval:s -retrieved-> chunk:doc_1#0",
            "retrieval:s -retrieved-> chunk:doc_2#0",
            "chunk:doc_1#0 -shown_to-> generation:m",
            "generation:m -answered-> response:r",
        ]
    )


def agent(told, ids=("a", "b")):
    """An agent that searches twice at once, then answers."""
    first, second = ids
    asks = [
        ToolRequest("search", '{"query": "renewal"}', first),
        ToolRequest("search", '{"query": "notice"}', second),
    ]
    told.call("m1", None, QUESTION, says="", asks=asks)
    told.tool("t1", None, "search", '{"query": "renewal"}', first)
    told.tool("t2", None, "search", '{"query": "notice"}', second)
    told.search("s1", "t1", "renewal", {"doc_1#0": RENEWAL})
    told.search("s2", "t2", "notice", {"doc_2#0": NOTICE})
    told.returned("t2", NOTICE)
    told.returned("t1", RENEWAL)
    results = [Message("tool", RENEWAL, first), Message("tool", NOTICE, second)]
    told.call("m2", None, QUESTION, *results, says="By November 30th.")
    return told.answered("By November 30th.")


def test_parallel_tool_calls_are_led_to_by_the_call_that_asked_for_them(story):
    graph = evidence_graph(agent(story(QUESTION)))
    assert edges(graph, "contains") == snapshot(
        [
            "response:r -contains-> generation:m1",
            "response:r -contains-> tool_call:t1",
            "response:r -contains-> tool_call:t2",
            "response:r -contains-> generation:m2",
            "tool_call:t1 -contains-> retrieval:s1",
            "tool_call:t2 -contains-> retrieval:s2",
        ]
    )
    assert edges(graph) == snapshot(
        [
            "retrieval:s1 -retrieved-> chunk:doc_1#0",
            "retrieval:s2 -retrieved-> chunk:doc_2#0",
            "tool_call:t1 -shown_to-> generation:m2",
            "tool_call:t2 -shown_to-> generation:m2",
            "chunk:doc_1#0 -shown_to-> generation:m2",
            "chunk:doc_2#0 -shown_to-> generation:m2",
            "generation:m1 -led_to-> tool_call:t1",
            "generation:m1 -led_to-> tool_call:t2",
            "tool_call:t1 -led_to-> retrieval:s1",
            "tool_call:t2 -led_to-> retrieval:s2",
            "generation:m2 -answered-> response:r",
        ]
    )


def test_without_ids_names_and_order_tell_who_chose_a_tool(story):
    graph = evidence_graph(agent(story(QUESTION), ids=(None, None)))
    assert edges(graph, "led_to") == snapshot(
        [
            "generation:m1 -led_to-> tool_call:t1 inferred",
            "generation:m1 -led_to-> tool_call:t2 inferred",
            "tool_call:t1 -led_to-> retrieval:s1",
            "tool_call:t2 -led_to-> retrieval:s2",
        ]
    )


def test_a_tool_that_nobody_asked_for_was_led_to_by_nobody(story):
    told = story(QUESTION)
    told.call("m1", None, QUESTION, says="", asks=[ToolRequest("search", "{}", "a")])
    told.tool("t1", None, "send_mail", "{}", "b")
    told.returned("t1", "sent")
    assert edges(evidence_graph(told.answered("Done.")), "led_to") == []
    told = story(QUESTION)
    told.call("m1", None, QUESTION, says="", asks=[ToolRequest("search", "{}", None)])
    for tool_id in ("t1", "t2"):
        told.tool(tool_id, None, "search", "{}", None)
        told.returned(tool_id, "nothing found")
    assert edges(evidence_graph(told.answered("Done.")), "led_to") == [
        "generation:m1 -led_to-> tool_call:t1 inferred"
    ]


def test_an_agent_that_speaks_in_plain_text_names_its_tool_in_what_it_says(story):
    told = story(QUESTION)
    told.call("m1", None, QUESTION, says="Thought: I look.\nAction: search\nAction Input: notice")
    told.tool("t1", None, "search", "notice", None)
    told.search("s1", "t1", "notice", {"doc_2#0": NOTICE})
    told.returned("t1", NOTICE)
    told.tool("t2", None, "calculator", "1 + 1", None)
    told.returned("t2", "2")
    told.call("m2", None, f"{QUESTION}\nObservation: {NOTICE}", says="Answer: By November 30th.")
    graph = evidence_graph(told.answered("By November 30th."))
    assert edges(graph) == snapshot(
        [
            "retrieval:s1 -retrieved-> chunk:doc_2#0",
            "tool_call:t1 -shown_to-> generation:m2",
            "chunk:doc_2#0 -shown_to-> generation:m2",
            "generation:m1 -led_to-> tool_call:t1 inferred",
            "tool_call:t1 -led_to-> retrieval:s1",
            "generation:m2 -answered-> response:r",
        ]
    )


def test_a_prompt_that_grows_shows_all_that_was_said_before_it(story):
    told = story(QUESTION)
    pad = QUESTION
    for number, text in enumerate((RENEWAL, NOTICE, "4", FEES)):
        told.call(f"m{number}", None, pad, says=f"Thought: look number {number}. Action: search")
        told.tool(f"t{number}", None, "search", "x", None)
        told.returned(f"t{number}", text)
        pad += f"\nThought: look number {number}. Action: search\nObservation: {text}"
    told.call("last", None, pad, says="Answer: By November 30th.")
    graph = evidence_graph(told.answered("By November 30th."))
    assert [e.source for e in graph.into("generation:last", "shown_to")] == [
        "generation:m0",
        "tool_call:t0",
        "generation:m1",
        "tool_call:t1",
        "generation:m2",
        "generation:m3",
        "tool_call:t3",
    ]
    assert len(list(graph.into("generation:m2", "shown_to"))) == 4


def test_a_short_observation_is_known_where_it_is_a_message_of_its_own(story):
    told = story(QUESTION)
    told.call("m1", None, QUESTION, says="Action: add")
    told.tool("t1", None, "add", "2 + 2", None)
    told.returned("t1", "4")
    told.call("m2", None, QUESTION, "4", says="Hm.")
    told.call("m3", None, QUESTION, "Observation: 4", says="It is 4.")
    graph = evidence_graph(told.answered("It is 4."))
    assert edges(graph, "shown_to") == ["tool_call:t1 -shown_to-> generation:m3"]


def test_a_sub_agent_answers_its_tool_and_the_tool_is_shown_to_the_agent(story):
    told = story(QUESTION)
    told.call("m1", None, QUESTION, says="", asks=[ToolRequest("ask_lawyer", "{}", "a")])
    told.tool("t1", None, "ask_lawyer", "{}", "a")
    told.step("agent", "t1", "lawyer", QUESTION)
    told.call("m2", "agent", QUESTION, says="", asks=[ToolRequest("search", "{}", "b")])
    told.tool("t2", "agent", "search", "{}", "b")
    told.search("s", "t2", "notice", {"doc_2#0": NOTICE})
    told.returned("t2", NOTICE)
    told.call("m3", "agent", QUESTION, Message("tool", NOTICE, "b"), says="Ninety days before.")
    told.ended("agent", "Ninety days before.")
    told.returned("t1", "Ninety days before.")
    told.call(
        "m4", None, QUESTION, Message("tool", "Ninety days before.", "a"), says="In November."
    )
    graph = evidence_graph(told.answered("In November."))
    assert edges(graph) == snapshot(
        [
            "retrieval:s -retrieved-> chunk:doc_2#0",
            "tool_call:t1 -shown_to-> generation:m4",
            "tool_call:t2 -shown_to-> generation:m3",
            "chunk:doc_2#0 -shown_to-> generation:m3",
            "generation:m1 -led_to-> tool_call:t1",
            "generation:m2 -led_to-> tool_call:t2",
            "tool_call:t2 -led_to-> retrieval:s",
            "step:agent -answered-> tool_call:t1",
            "generation:m3 -answered-> step:agent",
            "generation:m4 -answered-> response:r",
        ]
    )


def test_a_supervisor_reads_what_its_agents_said_from_the_messages_they_share(story):
    told = story(QUESTION)
    told.step("one", None, "researcher", QUESTION)
    told.search("s", "one", "notice", {"doc_2#0": NOTICE})
    told.call("m1", "one", NOTICE, says="The notice period is ninety days.")
    told.ended("one", "The notice period is ninety days.")
    told.step("two", None, "writer", QUESTION)
    said = Message("assistant", "The notice period is ninety days.")
    told.call("m2", "two", QUESTION, said, says="Give notice in November.")
    told.ended("two", "Give notice in November.")
    graph = evidence_graph(told.answered("Give notice in November."))
    assert edges(graph) == snapshot(
        [
            "retrieval:s -retrieved-> chunk:doc_2#0",
            "step:one -shown_to-> generation:m2",
            "chunk:doc_2#0 -shown_to-> generation:m1",
            "generation:m1 -answered-> step:one",
            "step:two -answered-> response:r",
            "generation:m2 -answered-> step:two",
        ]
    )


def test_an_engine_that_refines_shows_each_answer_to_the_next_call(story):
    told = story(QUESTION)
    told.search("s", None, QUESTION, {"doc_1#0": RENEWAL, "doc_2#0": NOTICE})
    told.call("m1", None, f"{RENEWAL}\n{QUESTION}", says="It renews on February 28th.")
    told.call(
        "m2", None, f"Refine: It renews on February 28th.\n{NOTICE}", says="By November 30th."
    )
    graph = evidence_graph(told.answered("By November 30th."))
    assert edges(graph) == snapshot(
        [
            "retrieval:s -retrieved-> chunk:doc_1#0",
            "retrieval:s -retrieved-> chunk:doc_2#0",
            "generation:m1 -shown_to-> generation:m2",
            "chunk:doc_1#0 -shown_to-> generation:m1",
            "chunk:doc_2#0 -shown_to-> generation:m2",
            "generation:m2 -answered-> response:r",
        ]
    )


def test_an_answer_put_together_of_several_is_answered_by_all_of_them(story):
    told = story(QUESTION)
    told.call("m1", None, RENEWAL, says="It renews on February 28th.")
    told.call("m2", None, NOTICE, says="Notice is ninety days.")
    graph = evidence_graph(
        told.answered("It renews on February 28th.\n---\nNotice is ninety days.")
    )
    assert edges(graph) == snapshot(
        ["generation:m1 -answered-> response:r", "generation:m2 -answered-> response:r"]
    )


def test_a_rewritten_question_leads_to_the_search_that_asks_it(story):
    told = story("And by when?")
    told.call(
        "m0", None, "Rewrite: And by when?", says="When must notice be given?", auxiliary=True
    )
    told.search("s", None, "When must notice be given?", {"doc_2#0": NOTICE})
    told.call("m1", None, f"{NOTICE}\nWhen must notice be given?", says="By November 30th.")
    graph = evidence_graph(told.answered("By November 30th."))
    assert edges(graph) == snapshot(
        [
            "retrieval:s -retrieved-> chunk:doc_2#0",
            "generation:m0 -shown_to-> generation:m1",
            "chunk:doc_2#0 -shown_to-> generation:m1",
            "generation:m0 -led_to-> retrieval:s",
            "generation:m1 -answered-> response:r",
        ]
    )


def test_the_result_of_a_tool_that_is_the_answer_answered(story):
    told = story(QUESTION)
    told.call("m1", None, QUESTION, says="", asks=[ToolRequest("ask", "{}", "a")])
    told.tool("t1", None, "ask", "{}", "a")
    told.returned("t1", "By November 30th.")
    graph = evidence_graph(told.answered("By November 30th."))
    assert edges(graph, "answered") == ["tool_call:t1 -answered-> response:r"]


def test_an_answer_that_went_through_a_parser_is_inferred_to_be_the_last_call_s(story):
    told = story(QUESTION)
    told.call("m1", None, QUESTION, says='{"answer": "November"}')
    graph = evidence_graph(told.answered("month=11"))
    assert edges(graph, "answered") == ["generation:m1 -answered-> response:r inferred"]


def test_a_run_that_failed_or_was_stopped_has_no_answer(story):
    for status in ("failed", "aborted", "interrupted"):
        told = story(QUESTION)
        told.search("s", None, QUESTION, {"doc_2#0": NOTICE})
        told.call("m1", None, NOTICE, says="", asks=[ToolRequest("ask_human", "{}", "a")])
        graph = evidence_graph(getattr(told, status)())
        assert edges(graph) == [
            "retrieval:s -retrieved-> chunk:doc_2#0",
            "chunk:doc_2#0 -shown_to-> generation:m1",
        ]


def test_a_result_that_was_cut_or_cleared_on_its_way_is_told_from_one_that_arrived(story):
    told = story(QUESTION)
    told.tool("t1", None, "read", "{}", "a")
    told.returned("t1", f"{RENEWAL}\n{NOTICE}")
    told.call("m1", None, Message("tool", RENEWAL, "a"), says="Hm.")
    told.call("m2", None, Message("tool", "[cleared]", "a"), says="Hm!")
    (edge,) = evidence_graph(told.answered("Hm!")).out_of("tool_call:t1", "shown_to")
    assert (edge.target, edge.state, edge.coverage) == ("generation:m1", "partial", 0.4912)


def test_ids_that_come_again_lead_to_the_call_that_was_meant(story):
    told = story(QUESTION)
    history = []
    for number in (1, 2):
        ask = [ToolRequest("search", "{}", "call_0")]
        told.call(f"m{number}", None, QUESTION, *history, says="", asks=ask)
        told.tool(f"t{number}", None, "search", "{}", "call_0")
        told.returned(f"t{number}", f"result {number}")
        history.append(Message("tool", f"result {number}", "call_0"))
    told.call("m3", None, QUESTION, *history, says="In November.")
    assert edges(evidence_graph(told.answered("In November.")), "led_to", "shown_to") == snapshot(
        [
            "tool_call:t1 -shown_to-> generation:m2",
            "tool_call:t1 -shown_to-> generation:m3",
            "tool_call:t2 -shown_to-> generation:m3",
            "generation:m1 -led_to-> tool_call:t1",
            "generation:m2 -led_to-> tool_call:t2",
        ]
    )


def test_where_texts_are_not_kept_ids_still_tell_the_way(story):
    for content in ("hash", "off"):
        graph = evidence_graph(agent(story(QUESTION, Settings(content=content))))
        assert edges(graph, "led_to", "shown_to", "answered") == snapshot(
            [
                "tool_call:t1 -shown_to-> generation:m2",
                "tool_call:t2 -shown_to-> generation:m2",
                "chunk:doc_1#0 -shown_to-> generation:m2",
                "chunk:doc_2#0 -shown_to-> generation:m2",
                "generation:m1 -led_to-> tool_call:t1",
                "generation:m1 -led_to-> tool_call:t2",
                "tool_call:t1 -led_to-> retrieval:s1",
                "tool_call:t2 -led_to-> retrieval:s2",
                "generation:m2 -answered-> response:r inferred",
            ]
        )


def test_what_an_earlier_turn_found_comes_from_that_turn(story):
    told = story("And the fee?")
    told.call("m1", None, "And the fee?", says="Thirty days.")
    first, second = (Chunk(f"doc_{n}#0", f"doc_{n}", None) for n in (1, 2))
    trail = replace(
        told.answered("Thirty days."),
        carried=(
            CarriedChunk(first, "artifact", "turn-1", 1),
            CarriedChunk(second, "answer", "turn-1", 1, through="turn-2"),
            CarriedChunk(Chunk("doc_3#0", "doc_3", None), "artifact"),
        ),
    )
    graph = evidence_graph(trail)
    assert edges(graph) == snapshot(
        [
            "earlier_turn:turn-1 -retrieved-> chunk:doc_1#0",
            "earlier_turn:turn-1 -retrieved-> chunk:doc_2#0",
            "earlier_turn:unknown -retrieved-> chunk:doc_3#0",
            "chunk:doc_2#0 -shown_to-> earlier_turn:turn-2",
            "earlier_turn:turn-2 -led_to-> response:r",
            "generation:m1 -answered-> response:r",
        ]
    )


def test_where_a_search_or_a_tool_is_the_whole_response_it_is_around_the_rest():
    with capture_trails() as lineage:
        lineage.record(RetrievalStarted("r", None, "Ensemble", QUESTION, "test"))
        lineage.record(RetrievalStarted("s", "r", "Member", QUESTION, "test"))
        lineage.record(RetrievalEnded("s", [RetrievedChunk(NOTICE)]))
        lineage.record(RetrievalEnded("r", [RetrievedChunk(NOTICE)]))
    graph = evidence_graph(lineage.trails[0])
    assert edges(graph, "contains", "led_to") == [
        "response:r -contains-> retrieval:r",
        "retrieval:r -contains-> retrieval:s",
    ]


def test_a_tree_that_makes_no_sense_is_a_tree_all_the_same(story):
    trail = agent(story(QUESTION))
    first, second = trail.tool_calls
    circle = (
        replace(first, parent_id=second.tool_run_id),
        replace(second, parent_id=first.tool_run_id),
    )
    graph = evidence_graph(replace(trail, tool_calls=circle))
    assert edges(graph, "contains") == snapshot(
        [
            "response:r -contains-> generation:m1",
            "response:r -contains-> tool_call:t1",
            "response:r -contains-> generation:m2",
            "tool_call:t1 -contains-> tool_call:t2",
            "tool_call:t1 -contains-> retrieval:s1",
            "tool_call:t2 -contains-> retrieval:s2",
        ]
    )
    alone = evidence_graph(replace(trail, tool_calls=(replace(first, parent_id="gone"), first)))
    assert "response:r -contains-> tool_call:t2" in edges(alone, "contains")
    assert [n.node_id for n in alone.nodes if n.kind == "tool_call"] == [
        "tool_call:t2",
        "tool_call:t2#2",
    ]


def test_an_id_that_an_inner_agent_uses_too_leads_to_the_call_at_the_same_place(story):
    told = story(QUESTION)
    asks = [ToolRequest("ask", "{}", "call_0"), ToolRequest("search", "{}", "call_1")]
    told.call("m1", None, QUESTION, says="", asks=asks)
    told.tool("t1", None, "ask", "{}", "call_0")
    told.call("m2", "t1", QUESTION, says="", asks=[ToolRequest("search", "{}", "call_1")])
    told.tool("t2", "t1", "search", "{}", "call_1")
    told.returned("t2", NOTICE)
    told.returned("t1", NOTICE)
    told.tool("t3", None, "search", "{}", "call_1")
    told.returned("t3", NOTICE)
    assert edges(evidence_graph(told.answered("So.")), "led_to") == [
        "generation:m1 -led_to-> tool_call:t1",
        "generation:m1 -led_to-> tool_call:t3",
        "generation:m2 -led_to-> tool_call:t2",
    ]


def test_a_result_is_never_that_of_a_call_that_still_runs(story):
    told = story(QUESTION)
    told.tool("t1", None, "ask", "{}", "a")
    told.tool("t2", "t1", "search", "{}", "a")
    told.returned("t2", NOTICE)
    told.call("m1", "t1", QUESTION, Message("tool", NOTICE, "a"), says=NOTICE)
    told.returned("t1", NOTICE)
    graph = evidence_graph(told.answered("So."))
    assert edges(graph, "shown_to") == ["tool_call:t2 -shown_to-> generation:m1"]


def test_a_tool_leads_to_its_search_but_not_to_those_inside_of_that(story):
    told = story(QUESTION)
    told.tool("t1", None, "search", "{}", "a")
    told.lineage.record(RetrievalStarted("s1", "t1", "Ensemble", "notice", "test"))
    told.search("s2", "s1", "notice", {"doc_2#0": NOTICE})
    told.lineage.record(RetrievalEnded("s1", [RetrievedChunk(NOTICE, "doc_2#0", "doc_2", 0)]))
    told.returned("t1", NOTICE)
    graph = evidence_graph(told.answered("So."))
    assert edges(graph, "led_to") == ["tool_call:t1 -led_to-> retrieval:s1"]


def test_a_call_in_preparation_chooses_no_tool(story):
    told = story(QUESTION)
    told.call("m1", None, QUESTION, says="Action: search")
    told.call("m2", None, QUESTION, says="search terms", auxiliary=True)
    told.tool("t1", None, "search", "notice", None)
    told.returned("t1", NOTICE)
    assert edges(evidence_graph(told.answered("So.")), "led_to") == [
        "generation:m1 -led_to-> tool_call:t1 inferred"
    ]


def test_what_a_model_said_itself_is_no_evidence_when_it_is_told_so_again(story):
    told = story(QUESTION)
    told.call("m1", None, QUESTION, says="Let me look at the contract.")
    said = Message("assistant", "Let me look at the contract.")
    told.call("m2", None, QUESTION, said, says="So.")
    assert edges(evidence_graph(told.answered("So.")), "shown_to") == []


def test_what_was_said_only_later_was_in_no_prompt(story):
    told = story(QUESTION)
    told.call("m1", None, NOTICE, says="Hm.")
    told.tool("t1", None, "read", "{}", None)
    told.returned("t1", NOTICE)
    assert edges(evidence_graph(told.answered("Hm.")), "shown_to") == []


def test_no_run_reads_the_answer_of_the_one_around_it_however_coarse_the_clock(story):
    told = story(QUESTION)
    told.step("agent", None, "agent", QUESTION)
    told.call("m1", "agent", NOTICE, says="So.")
    told.ended("agent", NOTICE)
    trail = told.answered("So.")
    now = trail.started_at
    trail = replace(
        trail,
        steps=tuple(replace(s, started_at=now, ended_at=now) for s in trail.steps),
        generations=tuple(replace(g, started_at=now, ended_at=now) for g in trail.generations),
    )
    assert edges(evidence_graph(trail), "shown_to") == []


def test_a_text_that_was_begun_in_one_prompt_and_completed_in_the_next_is_found(story):
    told = story(QUESTION)
    told.tool("t1", None, "read", "{}", None)
    told.returned("t1", NOTICE)
    told.call("m1", None, f"{QUESTION} {NOTICE[:40]}", says="Go on.")
    told.call("m2", None, f"{QUESTION} {NOTICE}", says="So.")
    graph = evidence_graph(told.answered("So."))
    assert edges(graph, "shown_to") == ["tool_call:t1 -shown_to-> generation:m2"]


def test_of_calls_that_said_the_same_the_last_one_answered(story):
    told = story(QUESTION)
    for name in ("m1", "m2"):
        told.call(name, None, QUESTION, says="By November 30th.")
    graph = evidence_graph(told.answered("By November 30th."))
    assert edges(graph, "answered") == ["generation:m2 -answered-> response:r"]


def test_without_texts_a_call_for_a_tool_and_a_run_that_was_stopped_are_no_answers(story):
    told = story(QUESTION, Settings(content="hash"))
    told.call("m1", None, QUESTION, says="", asks=[ToolRequest("ask", "{}", "a")])
    assert edges(evidence_graph(told.answered("Said by the tool.")), "answered") == []
    told = story(QUESTION, Settings(content="hash"))
    told.call("m1", None, QUESTION, says="By Nov")
    assert edges(evidence_graph(told.aborted()), "answered") == []
