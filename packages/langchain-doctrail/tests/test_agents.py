"""Agents and graphs: retrieval -> tool call -> next prompt -> answer, and who is inside whom."""

import asyncio
import dataclasses
import operator
from typing import Annotated, TypedDict

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import create_retriever_tool, tool

from langchain_doctrail import LineageCallbackHandler, LineageRetriever

agents = pytest.importorskip("langchain.agents")
graphs = pytest.importorskip("langgraph.graph")
types = pytest.importorskip("langgraph.types")
prebuilt = pytest.importorskip("langgraph.prebuilt")
memory = pytest.importorskip("langgraph.checkpoint.memory")

QUESTION = "When is the renewal deadline?"
ASKED = {"messages": [("human", QUESTION)]}
RENEWAL = "The contract renewal deadline for enterprise accounts is February 28th."
REFUND = "Refunds are granted within thirty days of the purchase."


class Shelf(BaseRetriever):
    """Finds the text whose name is in the query."""

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun):
        return [shelved(name) for name in ("renewal", "refund") if name in query]


def shelved(name):
    texts = {"renewal": RENEWAL, "refund": REFUND}
    return Document(texts[name], id=f"chunk-{name}", metadata={"document_id": f"doc_{name}"})


@pytest.fixture
def search_docs():
    def build(response_format="content_and_artifact", retriever=None):
        return create_retriever_tool(
            retriever or Shelf(), "search_docs", "Search.", response_format=response_format
        )

    return build


def search(calls, call="call-1", query="renewal"):
    return calls(("search_docs", call, {"query": query}))


def run(handler, **configured):
    return {"callbacks": [handler], "configurable": configured}


def tree(trail, parent=None):
    """The trail's runs as `name: [inside]`, in the order they began; searches in quotes."""
    named = [(s.started_at, s.step_id, s.parent_id, s.name) for s in trail.steps]
    named += [(g.started_at, g.generation_id, g.parent_id, "model") for g in trail.generations]
    named += [(c.started_at, c.tool_run_id, c.parent_id, f"{c.name}()") for c in trail.tool_calls]
    named += [(r.started_at, r.retrieval_id, r.parent_id, f"'{r.query}'") for r in trail.retrievals]
    inside = [(name, tree(trail, run_id)) for _, run_id, p, name in sorted(named) if p == parent]
    return [{name: within} if within else name for name, within in inside]


# --- one agent


@pytest.mark.parametrize("response_format", ["content", "content_and_artifact"])
@pytest.mark.parametrize("wrap", [False, True])
def test_an_agents_search_is_followed_from_the_tool_call_to_the_answer(
    handler, scripted, calls, search_docs, response_format, wrap
):
    tool = search_docs(response_format, LineageRetriever.wrap(Shelf()) if wrap else Shelf())
    agent = agents.create_agent(scripted(search(calls), "On February 28th."), [tool])
    agent.invoke(ASKED, run(handler))
    trail = handler.last
    assert tree(trail) == ["model", {"search_docs()": ["'renewal'"]}, "model"]
    assert (trail.question, trail.answer, trail.status) == (QUESTION, "On February 28th.", "ok")
    (retrieval,), (call,) = trail.retrievals, trail.tool_calls
    assert retrieval.tool_call_id == call.tool_call_id == "call-1"
    chose, answered = trail.generations
    (request,) = chose.tool_requests
    assert (request.name, request.tool_call_id) == ("search_docs", "call-1")
    assert request.arguments == call.arguments == '{"query": "renewal"}'
    assert call.result == RENEWAL
    assert answered.messages[-1].tool_call_id == "call-1"
    assert [(a.chunk_id, a.state) for a in trail.contexts[-1].arrivals] == [
        ("chunk-renewal", "full")
    ]
    assert trail.involvements == {"chunk-renewal": "direct"}
    assert [kind for kind, _ in handler.lineage.entries] == ["retrieved", "answered"]


async def test_an_agent_that_is_called_asynchronously_leaves_the_same_trail(
    handler, scripted, calls, search_docs
):
    agent = agents.create_agent(scripted(search(calls), "On February 28th."), [search_docs()])
    await agent.ainvoke(ASKED, run(handler))
    assert tree(handler.last) == ["model", {"search_docs()": ["'renewal'"]}, "model"]
    assert handler.last.involvements == {"chunk-renewal": "direct"}


@pytest.mark.parametrize("mode", ["values", "updates", "messages", ["messages", "updates"]])
async def test_streams_of_every_mode_leave_the_same_trail(
    handler, scripted, calls, search_docs, mode
):
    def build():
        model = scripted(search(calls), "On February 28th.")
        return agents.create_agent(model, [search_docs()])

    assert list(build().stream(ASKED, run(handler), stream_mode=mode))
    assert [piece async for piece in build().astream(ASKED, run(handler), stream_mode=mode)]
    said = "OnFebruary28th." if "messages" in mode else "On February 28th."
    for trail in handler.lineage.trails:
        assert (trail.question, trail.answer, trail.status) == (QUESTION, said, "ok")
        assert tree(trail) == ["model", {"search_docs()": ["'renewal'"]}, "model"]
        assert trail.generations[0].tool_requests[0].arguments == '{"query": "renewal"}'
        assert trail.involvements == {"chunk-renewal": "direct"}


async def test_streams_of_events_leave_the_same_trail(handler, scripted, calls, search_docs):
    agent = agents.create_agent(scripted(search(calls), "On February 28th."), [search_docs()])
    assert [event async for event in agent.astream_events(ASKED, run(handler), version="v2")]
    assert tree(handler.last) == ["model", {"search_docs()": ["'renewal'"]}, "model"]
    assert [m.role for m in handler.last.generations[-1].messages] == ["user", "assistant", "tool"]


def test_that_a_model_asks_for_tools_is_no_text_of_its_message(handler, scripted):
    asked = {"type": "tool_use", "id": "call-1", "name": "search", "input": {"query": RENEWAL}}
    said = AIMessage([{"type": "text", "text": "Let me see."}, asked])
    scripted("So.").invoke([said, HumanMessage(QUESTION)], run(handler))
    assert [m.text for m in handler.last.generations[0].messages] == ["Let me see.", QUESTION]


async def test_parallel_tool_calls_keep_their_own_searches(handler, scripted, calls, search_docs):
    both = calls(
        ("search_docs", "call-1", {"query": "renewal"}),
        ("search_docs", "call-2", {"query": "refund"}),
    )
    agents_ = [agents.create_agent(scripted(both, "Both."), [search_docs()]) for _ in range(2)]
    agents_[0].invoke(ASKED, run(handler))
    await agents_[1].ainvoke(ASKED, run(handler))
    for trail in handler.lineage.trails:
        found = {r.tool_call_id: r.hits[0].chunk.chunk_id for r in trail.retrievals}
        assert found == {"call-1": "chunk-renewal", "call-2": "chunk-refund"}
        assert {r.parent_id for r in trail.retrievals} == {c.tool_run_id for c in trail.tool_calls}
        assert trail.involvements == {"chunk-renewal": "direct", "chunk-refund": "direct"}


def test_the_handler_can_be_bound_to_the_agent(handler, scripted, calls, search_docs):
    agent = agents.create_agent(scripted(search(calls), "On February 28th."), [search_docs()])
    bound = agent.with_config(callbacks=[handler])
    assert type(bound) is type(agent)
    bound.invoke(ASKED)
    assert handler.last.involvements == {"chunk-renewal": "direct"}


def test_a_handler_that_is_given_twice_records_once(handler, scripted, calls, search_docs):
    model = scripted(search(calls), "On February 28th.")
    agent = agents.create_agent(model, [search_docs()]).with_config(callbacks=[handler])
    agent.invoke(ASKED, run(handler))
    (trail,) = handler.lineage.trails
    assert tree(trail) == ["model", {"search_docs()": ["'renewal'"]}, "model"]


def test_two_handlers_of_one_lineage_record_once(captured, scripted, calls, search_docs):
    model = scripted(search(calls), "On February 28th.")
    bound = [LineageCallbackHandler(captured), LineageCallbackHandler(captured)]
    agents.create_agent(model, [search_docs()]).invoke(ASKED, {"callbacks": bound})
    (trail,) = captured.trails
    assert tree(trail) == ["model", {"search_docs()": ["'renewal'"]}, "model"]


# --- tools


def test_what_a_tool_found_by_hand_is_a_search_when_it_hands_the_documents_on(
    handler, scripted, calls
):
    @tool(response_format="content_and_artifact")
    def look_up(query: str):
        """Look it up."""
        found = [shelved("renewal")]
        return found[0].page_content, found

    asks = calls(("look_up", "call-1", {"query": "deadline"}))
    agents.create_agent(scripted(asks, "On February 28th."), [look_up]).invoke(ASKED, run(handler))
    trail = handler.last
    assert tree(trail) == ["model", {"look_up()": ["'deadline'"]}, "model"]
    (retrieval,) = trail.retrievals
    assert (retrieval.retriever, retrieval.tool_call_id) == ("look_up", "call-1")
    assert trail.involvements == {"chunk-renewal": "direct"}


def test_a_tool_that_returns_text_only_is_an_opaque_source(handler, scripted, calls, store):
    @tool
    def look_up(query: str) -> str:
        """Look it up."""
        return store.similarity_search(query, k=1)[0].page_content

    asks = calls(("look_up", "call-1", {"query": "deadline"}))
    agents.create_agent(scripted(asks, "On February 28th."), [look_up]).invoke(ASKED, run(handler))
    trail = handler.last
    assert trail.retrievals == ()
    answered, context, (call,) = trail.generations[-1], trail.contexts[-1], trail.tool_calls
    unexplained = {answered.messages[span.message].tool_call_id for span in context.unexplained}
    assert call.tool_call_id in unexplained
    assert answered.messages[-1].text == call.result
    assert "Message 3 is what the tool look_up returned" in trail.why()


def test_a_tool_that_returns_a_command_hands_on_its_message(handler, scripted, calls):
    @tool
    def look_up(query: str):
        """Look it up."""
        message = ToolMessage(RENEWAL, tool_call_id="call-1", artifact=[shelved("renewal")])
        return types.Command(update={"messages": [message]})

    asks = calls(("look_up", "call-1", {"query": "deadline"}))
    agents.create_agent(scripted(asks, "On February 28th."), [look_up]).invoke(ASKED, run(handler))
    trail = handler.last
    assert (trail.tool_calls[0].result, trail.tool_calls[0].tool_call_id) == (RENEWAL, "call-1")
    assert trail.involvements == {"chunk-renewal": "direct"}


def test_a_tools_error_that_is_handled_is_an_error_of_the_tool_only(handler, scripted, calls):
    @tool
    def look_up(query: str) -> str:
        """Look it up."""
        raise ValueError("no such shelf")

    asks = calls(("look_up", "call-1", {"query": "deadline"}))
    graph = graphs.StateGraph(graphs.MessagesState)
    graph.add_node("tools", prebuilt.ToolNode([look_up], handle_tool_errors=True))
    graph.add_node("answer", lambda state: {"messages": [scripted("I do not know.").invoke("?")]})
    graph.add_edge(graphs.START, "tools")
    graph.add_edge("tools", "answer")
    graph.compile().invoke({"messages": [HumanMessage(QUESTION), asks]}, run(handler))
    trail = handler.last
    assert trail.tool_calls[0].error == "ValueError: no such shelf"
    assert (trail.status, trail.answer) == ("ok", "I do not know.")
    assert tree(trail) == ["look_up()", {"answer": ["model"]}]


def test_a_tools_error_that_nobody_handles_fails_the_response(handler, scripted, calls):
    @tool
    def look_up(query: str) -> str:
        """Look it up."""
        raise RuntimeError("no such shelf")

    asks = calls(("look_up", "call-1", {"query": "deadline"}))
    agent = agents.create_agent(scripted(asks), [look_up])
    with pytest.raises(RuntimeError):
        agent.invoke(ASKED, run(handler))
    assert (handler.last.status, handler.last.error) == ("error", "RuntimeError: no such shelf")


# --- agents in agents


def supervisor(scripted, calls, search_docs, name="contracts"):
    expert = agents.create_agent(
        scripted(search(calls, "call-2"), "February 28th, says the contract."),
        [search_docs()],
        name=name,
    )

    @tool
    def ask_contracts(query: str) -> str:
        """Ask the expert."""
        return expert.invoke({"messages": [("human", query)]})["messages"][-1].text

    @tool("ask_contracts")
    async def aask_contracts(query: str) -> str:
        """Ask the expert."""
        return (await expert.ainvoke({"messages": [("human", query)]}))["messages"][-1].text

    asks = calls(("ask_contracts", "call-1", {"query": "renewal?"}))
    model = scripted(asks, "The deadline is near.")
    return (
        agents.create_agent(model, [ask_contracts], name="boss"),
        agents.create_agent(model, [aask_contracts], name="boss"),
    )


def check_supervised(trail, *, expert="contracts"):
    inside = ["model", {"search_docs()": ["'renewal'"]}, "model"]
    assert tree(trail) == ["model", {"ask_contracts()": [{expert: inside}]}, "model"]
    (step,) = trail.steps
    assert (step.input, step.output) == ("renewal?", "February 28th, says the contract.")
    assert trail.retrievals[0].tool_call_id == "call-2"
    assert (trail.question, trail.answer) == (QUESTION, "The deadline is near.")
    assert trail.involvements == {"chunk-renewal": "indirect"}
    assert "is what the tool" not in trail.why()


def test_what_a_sub_agent_read_is_behind_the_supervisors_answer_indirectly(
    handler, scripted, calls, search_docs
):
    agent, _ = supervisor(scripted, calls, search_docs)
    agent.invoke(ASKED, run(handler))
    check_supervised(handler.last)


async def test_so_it_is_when_both_run_asynchronously(handler, scripted, calls, search_docs):
    _, agent = supervisor(scripted, calls, search_docs)
    await agent.ainvoke(ASKED, run(handler))
    check_supervised(handler.last)


def test_a_sub_agent_without_a_name_is_a_step_as_well(handler, scripted, calls, search_docs):
    agent, _ = supervisor(scripted, calls, search_docs, name=None)
    agent.invoke(ASKED, run(handler))
    check_supervised(handler.last, expert="LangGraph")


def test_a_sub_agent_may_have_the_handler_in_its_own_configuration(
    handler, scripted, calls, search_docs
):
    expert = agents.create_agent(
        scripted(search(calls, "call-2"), "So."), [search_docs()], name="expert"
    )
    expert = expert.with_config(callbacks=[handler])

    @tool
    def ask(query: str) -> str:
        """Ask."""
        return expert.invoke({"messages": [("human", query)]})["messages"][-1].text

    asks = calls(("ask", "call-1", {"query": "renewal?"}))
    agents.create_agent(scripted(asks, "Near."), [ask]).invoke(ASKED, run(handler))
    (trail,) = handler.lineage.trails
    assert tree(trail)[1] == {
        "ask()": [{"expert": ["model", {"search_docs()": ["'renewal'"]}, "model"]}]
    }


async def test_sub_agents_at_the_same_time_keep_their_own_searches(
    handler, scripted, calls, search_docs
):
    def expert(name):
        model = scripted(search(calls, f"inner-{name}", name), f"{name}, so.")
        return agents.create_agent(model, [search_docs()], name=name)

    experts = {name: expert(name) for name in ("renewal", "refund")}

    @tool
    async def ask(name: str) -> str:
        """Ask."""
        asked = {"messages": [("human", name)]}
        return (await experts[name].ainvoke(asked))["messages"][-1].text

    both = calls(("ask", "call-1", {"name": "renewal"}), ("ask", "call-2", {"name": "refund"}))
    await agents.create_agent(scripted(both, "Both."), [ask]).ainvoke(ASKED, run(handler))
    trail = handler.last
    outer = {c.tool_run_id: c.tool_call_id for c in trail.tool_calls if c.name == "ask"}
    steps = {s.step_id: (s.name, outer[s.parent_id]) for s in trail.steps}
    assert sorted(steps.values()) == [("refund", "call-2"), ("renewal", "call-1")]
    inner = {c.tool_run_id: steps[c.parent_id][0] for c in trail.tool_calls if c.name != "ask"}
    assert {inner[r.parent_id]: r.query for r in trail.retrievals} == {
        "renewal": "renewal",
        "refund": "refund",
    }
    assert set(trail.involvements.values()) == {"indirect"}


class FakeEcho(BaseChatModel):
    """A fake that asks one tool about the question, and then repeats the question as its answer."""

    tool: str

    @property
    def _llm_type(self):
        return "echo"

    def bind_tools(self, tools, **kwargs):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        asked = messages[0].text
        call = {"name": self.tool, "id": f"{self.tool}-{asked}", "args": {"query": asked}}
        heard = messages[-1].type == "tool"
        said = AIMessage(asked) if heard else AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=said)])


async def test_supervisors_at_the_same_time_keep_apart(handler):
    class Library(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager):
            return [Document(f"All that is known of {query} and of nothing else.", id=query)]

    look_up = create_retriever_tool(Library(), "look_up", "Look up.")
    expert = agents.create_agent(FakeEcho(tool="look_up"), [look_up], name="expert")

    @tool
    def ask(query: str) -> str:
        """Ask."""
        return expert.invoke({"messages": [("human", query)]})["messages"][-1].text

    supervisor = agents.create_agent(FakeEcho(tool="ask"), [ask])
    questions = [f"topic-{number}" for number in range(40)]
    asked = [{"messages": [("human", question)]} for question in questions]
    supervisor.batch(asked, {**run(handler), "max_concurrency": 4})
    await supervisor.abatch(asked, run(handler))
    trails = handler.lineage.trails
    assert sorted(trail.question for trail in trails) == sorted(questions * 2)
    for trail in trails:
        assert trail.answer == trail.question
        assert [step.name for step in trail.steps] == ["expert"]
        assert [r.tool_call_id for r in trail.retrievals] == [f"look_up-{trail.question}"]
        assert trail.involvements == {trail.question: "indirect"}


def test_a_hand_over_between_agents_is_no_failure(handler, scripted, calls, search_docs):
    @tool
    def hand_over(to: str):
        """Hand over."""
        moved = ToolMessage("moved", tool_call_id="call-1")
        return types.Command(goto=to, graph=types.Command.PARENT, update={"messages": [moved]})

    asks = calls(("hand_over", "call-1", {"to": "contracts"}))
    boss = agents.create_agent(scripted(asks), [hand_over], name="boss")
    expert = agents.create_agent(
        scripted(search(calls, "call-2"), "On February 28th."), [search_docs()], name="contracts"
    )
    team = graphs.StateGraph(graphs.MessagesState)
    team.add_node("boss", boss, destinations=("contracts",))
    team.add_node("contracts", expert)
    team.add_edge(graphs.START, "boss")
    team.compile(name="team").invoke(ASKED, run(handler))
    trail = handler.last
    assert tree(trail) == [
        {"boss": ["model", "hand_over()"]},
        {"contracts": ["model", {"search_docs()": ["'renewal'"]}, "model"]},
    ]
    assert [step.error for step in trail.steps] == [None, None]
    assert [call.error for call in trail.tool_calls] == [None, None]
    assert (trail.status, trail.answer) == ("ok", "On February 28th.")
    assert trail.involvements == {"chunk-renewal": "direct"}


# --- graphs


class Notes(TypedDict):
    topic: str
    notes: Annotated[list[str], operator.add]
    found: list[Document]
    summary: str


def test_the_nodes_of_a_graph_are_steps_when_something_happens_in_them(handler, scripted):
    def retrieve(state):
        return {"found": Shelf().invoke(state["topic"])}

    def route(state):
        return "write"

    def write(state):
        prompt = "\n".join(d.page_content for d in state["found"])
        return {"summary": scripted("On February 28th.").invoke(prompt).text}

    def polish(state):
        return {"summary": f"{state['summary']}!"}

    graph = graphs.StateGraph(Notes)
    for node in (retrieve, write, polish):
        graph.add_node(node.__name__, node)
    graph.add_edge(graphs.START, "retrieve")
    graph.add_conditional_edges("retrieve", route, ["write"])
    graph.add_edge("write", "polish")
    graph.compile().invoke({"topic": "renewal", "notes": []}, run(handler))
    trail = handler.last
    assert tree(trail) == [{"retrieve": ["'renewal'"]}, {"write": ["model"]}]
    assert trail.involvements == {"chunk-renewal": "direct"}
    assert trail.steps[1].output == "On February 28th."


def test_what_fanned_out_branches_read_is_behind_the_summary_indirectly(handler, scripted):
    def plan(state):
        return [types.Send("work", {"topic": name}) for name in ("renewal", "refund")]

    def work(state):
        (found,) = Shelf().invoke(state["topic"])
        return {"notes": [scripted(f"about {state['topic']}").invoke(found.page_content).text]}

    def summarise(state):
        return {"summary": scripted("In short.").invoke(" and ".join(state["notes"])).text}

    graph = graphs.StateGraph(Notes)
    graph.add_node("work", work)
    graph.add_node("summarise", summarise)
    graph.add_conditional_edges(graphs.START, plan, ["work"])
    graph.add_edge("work", "summarise")
    graph.compile().invoke({"topic": "all", "notes": []}, run(handler))
    trail = handler.last
    assert sorted(tree(trail), key=str) == [
        {"summarise": ["model"]},
        {"work": ["'refund'", "model"]},
        {"work": ["'renewal'", "model"]},
    ]
    assert trail.involvements == {"chunk-renewal": "indirect", "chunk-refund": "indirect"}


@pytest.mark.parametrize("name", [None, "library", "desk"])
def test_a_graph_in_a_graph_is_a_step_if_it_has_a_name_of_its_own(handler, scripted, name):
    def look(state):
        return {"found": Shelf().invoke(state["topic"])}

    inner = graphs.StateGraph(Notes)
    inner.add_node("look", look)
    inner.add_edge(graphs.START, "look")
    outer = graphs.StateGraph(Notes)
    outer.add_node("desk", inner.compile(name=name) if name else inner.compile())
    outer.add_edge(graphs.START, "desk")
    outer.compile().invoke({"topic": "renewal", "notes": []}, run(handler))
    looked = {"look": ["'renewal'"]}
    expected = {"desk": [{"library": [looked]}]} if name == "library" else {"desk": [looked]}
    assert tree(handler.last) == [expected]


def test_a_node_that_searches_by_hand_is_a_search(handler, store, scripted):
    def retrieve(state):
        return {"found": store.similarity_search(state["topic"], k=1)}

    def write(state):
        prompt = "\n".join(d.page_content for d in state["found"])
        return {"summary": scripted("So.").invoke(prompt).text}

    graph = graphs.StateGraph(Notes)
    graph.add_node("retrieve", retrieve)
    graph.add_node("write", write)
    graph.add_edge(graphs.START, "retrieve")
    graph.add_edge("retrieve", "write")
    compiled = graph.compile(checkpointer=memory.InMemorySaver())
    for topic in ("first", "second"):
        state = {"topic": topic, "notes": [], "found": [Document("left from before")]}
        compiled.invoke(state, run(handler, thread_id="t"))
    for trail in handler.lineage.trails:
        (retrieval,) = trail.retrievals
        assert retrieval.retriever == "retrieve"
        assert [step.name for step in trail.steps] == ["retrieve", "write"]
        assert set(trail.involvements.values()) == {"direct"}


def test_a_node_that_rewrites_documents_is_no_search(handler):
    def retrieve(state):
        return {"found": Shelf().invoke(state["topic"])}

    def compress(state):
        return {
            "found": [Document(d.page_content[:20], metadata=d.metadata) for d in state["found"]]
        }

    def relabel(state):
        return {
            "found": [Document(d.page_content.upper(), metadata=d.metadata) for d in state["found"]]
        }

    graph = graphs.StateGraph(Notes)
    graph.add_sequence([retrieve, compress, relabel])
    graph.add_edge(graphs.START, "retrieve")
    graph.compile().invoke({"topic": "renewal", "notes": []}, run(handler))
    assert [r.query for r in handler.last.retrievals] == ["renewal"]


def test_a_node_that_fails_is_the_step_that_failed(handler):
    def retrieve(state):
        return {"found": Shelf().invoke(state["topic"])}

    def write(state):
        raise ValueError("out of ink")

    graph = graphs.StateGraph(Notes)
    graph.add_sequence([retrieve, write])
    graph.add_edge(graphs.START, "retrieve")
    with pytest.raises(ValueError, match="out of ink"):
        graph.compile().invoke({"topic": "renewal", "notes": []}, run(handler))
    assert {s.name: s.error for s in handler.last.steps} == {
        "retrieve": None,
        "write": "ValueError: out of ink",
    }
    assert handler.last.status == "error"


def test_a_chain_around_an_agent_is_the_response(handler, scripted, calls, search_docs):
    agent = agents.create_agent(scripted(search(calls), "On February 28th."), [search_docs()])
    chain = (
        (lambda text: {"messages": [("human", text)]}) | agent | (lambda s: s["messages"][-1].text)
    )
    chain.invoke(QUESTION, run(handler))
    trail = handler.last
    assert tree(trail) == [{"LangGraph": ["model", {"search_docs()": ["'renewal'"]}, "model"]}]
    assert (trail.question, trail.answer) == (QUESTION, "On February 28th.")
    assert trail.involvements == {"chunk-renewal": "direct"}


def test_a_plain_chain_has_no_steps(handler, rag, retriever):
    (RunnableLambda(str) | rag(retriever)).invoke(QUESTION, run(handler))
    assert handler.last.steps == ()


def test_the_functional_api_is_told_like_a_graph(handler, scripted, store):
    func = pytest.importorskip("langgraph.func")

    @func.task
    def look(topic):
        return store.similarity_search(topic, k=1)

    @func.entrypoint()
    def flow(topic):
        (found,) = look(topic).result()
        return scripted("So.").invoke(found.page_content).text

    flow.invoke("renewal", run(handler))
    trail = handler.last
    assert tree(trail) == [{"flow": [{"look": ["'renewal'"]}, "model"]}]
    assert (trail.question, trail.answer) == ("renewal", "So.")


# --- waiting for a human


@pytest.mark.parametrize("nested", [False, True])
def test_waiting_for_a_human_and_going_on_are_two_responses_of_one_session(
    handler, scripted, calls, search_docs, nested
):
    @tool
    def approve(query: str) -> str:
        """Ask somebody."""
        return f"somebody says {types.interrupt(query)}"

    asks = calls(("approve", "call-2", {"query": "sure?"}))
    model = scripted(search(calls), asks, "On February 28th.")
    saver = memory.InMemorySaver()
    graph = agents.create_agent(
        model, [search_docs(), approve], checkpointer=None if nested else saver, name="desk"
    )
    if nested:
        outer = graphs.StateGraph(graphs.MessagesState)
        outer.add_node("desk", graph)
        outer.add_edge(graphs.START, "desk")
        graph = outer.compile(checkpointer=saver)
    graph.invoke(ASKED, run(handler, thread_id="t"))
    graph.invoke(types.Command(resume="yes"), run(handler, thread_id="t"))
    waited, went_on = handler.lineage.trails
    assert (waited.status, waited.answer, waited.question) == ("interrupted", None, QUESTION)
    assert [call.error for call in waited.tool_calls] == [None, None]
    assert "returned: nothing" in waited.why()
    assert [step.error for step in waited.steps] == [None] * nested
    assert (went_on.status, went_on.answer, went_on.question) == (
        "ok",
        "On February 28th.",
        QUESTION,
    )
    assert [call.result for call in went_on.tool_calls] == ["somebody says yes"]
    assert waited.session_id == went_on.session_id == "t"


def test_stopping_before_the_tools_is_waiting_as_well(handler, scripted, calls, search_docs):
    model = scripted(search(calls), "On February 28th.")
    agent = agents.create_agent(
        model, [search_docs()], interrupt_before=["tools"], checkpointer=memory.InMemorySaver()
    )
    agent.invoke(ASKED, run(handler, thread_id="t"))
    agent.invoke(None, run(handler, thread_id="t"))
    waited, went_on = handler.lineage.trails
    assert (waited.status, waited.answer) == ("interrupted", None)
    assert (went_on.status, went_on.answer, went_on.question) == (
        "ok",
        "On February 28th.",
        QUESTION,
    )


async def test_an_agent_that_is_cancelled_leaves_nothing_open(handler, scripted, calls):
    @tool
    async def wait(query: str) -> str:
        """Wait."""
        started.set()
        await asyncio.sleep(60)
        return "never"

    started = asyncio.Event()
    model = scripted(calls(("wait", "call-1", {"query": "x"})))
    task = asyncio.create_task(agents.create_agent(model, [wait]).ainvoke(ASKED, run(handler)))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert handler.last.status == "aborted"
    assert handler.last.tool_calls[0].error is not None


def test_a_structured_answer_is_the_answer(handler, scripted, calls, search_docs):
    pydantic = pytest.importorskip("pydantic")
    structured = pytest.importorskip("langchain.agents.structured_output")
    Deadline = pydantic.create_model("Deadline", day=(str, ...))  # noqa: N806  # a class
    model = scripted(search(calls), calls(("Deadline", "call-2", {"day": "February 28th"})))
    agent = agents.create_agent(
        model, [search_docs()], response_format=structured.ToolStrategy(Deadline)
    )
    agent.invoke(ASKED, run(handler))
    trail = handler.last
    assert (trail.status, trail.answer) == ("ok", '{"day": "February 28th"}')
    assert trail.involvements == {"chunk-renewal": "direct"}


# --- answers and questions of graphs that name them in their own way


class Draft(TypedDict):
    topic: str
    found: list[Document]
    draft: str
    second: str
    tries: int


def test_the_answer_of_a_graph_is_what_was_said_last_and_kept(handler, store, scripted):
    """A graph that grades, searches again, and checks the answer that it gave."""

    def retrieve(state):
        tries = state.get("tries", 0) + 1
        return {"found": store.similarity_search(state["topic"], k=tries), "tries": tries}

    def grade(state):
        verdict = "no" if state["tries"] == 1 else "yes"
        said = scripted(verdict).invoke(f"Relevant? {state['found'][-1].page_content}")
        return types.Command(goto="retrieve" if said.text == "no" else "write")

    def write(state):
        prompt = "\n".join(document.page_content for document in state["found"])
        return {"draft": scripted("On February 28th.").invoke(prompt).text}

    def check(state):
        scripted("useful").invoke(f"Useful? {state['draft']}")

    graph = graphs.StateGraph(Draft)
    for node in (retrieve, grade, write, check):
        graph.add_node(node.__name__, node)
    graph.add_edge(graphs.START, "retrieve")
    graph.add_edge("retrieve", "grade")
    graph.add_edge("write", "check")
    graph.compile().invoke({"topic": "renewal"}, run(handler))
    trail = handler.last
    assert (trail.question, trail.answer) == ("renewal", "On February 28th.")
    assert [(r.retriever, len(r.hits)) for r in trail.retrievals] == [
        ("retrieve", 1),
        ("retrieve", 1),  # the second search brought back the first one's document and a new one
    ]
    assert set(trail.involvements.values()) == {"direct"}


def test_what_nodes_of_one_round_said_side_by_side_are_both_the_answer(handler, scripted):
    def prepare(state):
        return {"tries": len(scripted("Thinking.").invoke("?").text)}

    def first(state):
        return {"draft": scripted("Pro.").invoke("Pro?").text}

    def second(state):
        return {"second": scripted("Contra.").invoke("Contra?").text}

    graph = graphs.StateGraph(Draft)
    for node in (prepare, first, second):
        graph.add_node(node.__name__, node)
    graph.add_edge(graphs.START, "prepare")
    graph.add_edge("prepare", "first")
    graph.add_edge("prepare", "second")
    graph.compile().invoke({"topic": "renewal"}, run(handler))
    assert handler.last.answer == "Pro.\n\nContra."


@pytest.mark.parametrize("kind", ["pydantic", "dataclass"])
def test_a_state_may_be_a_class(handler, store, scripted, kind):
    fields = {"question": str, "found": list, "draft": str}
    if kind == "pydantic":
        pydantic = pytest.importorskip("pydantic")
        defaults = {"question": "", "found": [], "draft": ""}
        state_class = pydantic.create_model(
            "State", **{n: (t, defaults[n]) for n, t in fields.items()}
        )
    else:
        parts = [
            (name, made, dataclasses.field(default_factory=made)) for name, made in fields.items()
        ]
        state_class = dataclasses.make_dataclass("State", parts)

    def retrieve(state):
        return {"found": store.similarity_search(state.question, k=1)}

    def write(state):
        return {"draft": scripted("So.").invoke(state.found[0].page_content).text}

    graph = graphs.StateGraph(state_class)
    graph.add_sequence([retrieve, write])
    graph.add_edge(graphs.START, "retrieve")
    graph.compile().invoke(state_class(question=QUESTION), run(handler))
    trail = handler.last
    assert (trail.question, trail.answer) == (QUESTION, "So.")
    assert [(r.retriever, r.query) for r in trail.retrievals] == [("retrieve", QUESTION)]
    assert [step.input for step in trail.steps] == [QUESTION] * 2
