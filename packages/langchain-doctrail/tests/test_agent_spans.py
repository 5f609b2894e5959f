"""Which runs are told as agents: what LangChain marks as one, whatever it is called."""

from itertools import pairwise
from typing import TypedDict

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import create_retriever_tool, tool

agents = pytest.importorskip("langchain.agents")
graphs = pytest.importorskip("langgraph.graph")

QUESTION = "When is the renewal deadline?"
ASKED = {"messages": [("human", QUESTION)]}


class State(TypedDict, total=False):
    messages: list
    found: list


def compiled(**nodes):
    """A graph of these nodes, one after the other."""
    built = graphs.StateGraph(State)
    names = [graphs.START, *nodes, graphs.END]
    for name, does in nodes.items():
        built.add_node(name, does)
    for before, after in pairwise(names):
        built.add_edge(before, after)
    return built.compile()


@pytest.fixture
def config(handler):
    return {"callbacks": [handler]}


@pytest.fixture
def kinds(captured):
    """The kinds of the spans of requests and steps, by name."""

    def kinds():
        told = {s.name: s.attributes["openinference.span.kind"] for s in captured.spans}
        return {
            name: kind
            for name, kind in told.items()
            if kind in ("CHAIN", "AGENT") and name != "context assembly"
        }

    return kinds


@pytest.fixture
def searching(retriever, scripted, calls):
    """Make an agent that searches once and answers."""

    def build(**named):
        model = scripted(calls(("search", "1", {"query": QUESTION})), "On February 28th.")
        search = create_retriever_tool(retriever, "search", "Search.")
        return agents.create_agent(model, [search], **named)

    return build


def test_a_created_agent_is_one_under_any_name(searching, config, kinds):
    searching(name="librarian").invoke(ASKED, config)
    assert kinds() == {"invoke_agent librarian": "AGENT"}


def test_a_created_agent_is_one_without_a_name(searching, config, kinds):
    searching().invoke(ASKED, config)
    assert kinds() == {"invoke_agent LangGraph": "AGENT"}


async def test_a_created_agent_is_one_in_async_code_and_under_another_name(
    searching, config, kinds
):
    agent = searching(name="librarian").with_config(run_name="tickets")
    async for _ in agent.astream(ASKED, config):
        pass
    assert kinds() == {"invoke_agent tickets": "AGENT"}


def test_a_chain_around_an_agent_is_a_workflow(searching, config, kinds):
    chain = RunnableLambda(lambda question: {"messages": [("human", question)]})
    (chain | searching(name="librarian")).invoke(QUESTION, config)
    assert kinds() == {
        "invoke_workflow RunnableSequence": "CHAIN",
        "invoke_agent librarian": "AGENT",
    }


def test_an_agent_that_a_tool_of_another_one_calls_is_one_too(
    searching, scripted, calls, config, kinds
):
    inner = searching(name="librarian")

    @tool
    def ask_librarian(question: str) -> str:
        """Ask."""
        return inner.invoke({"messages": [("human", question)]})["messages"][-1].text

    model = scripted(calls(("ask_librarian", "1", {"question": QUESTION})), "In February.")
    agents.create_agent(model, [ask_librarian], name="supervisor").invoke(ASKED, config)
    assert kinds() == {"invoke_agent supervisor": "AGENT", "invoke_agent librarian": "AGENT"}


@pytest.mark.parametrize("name", ["librarian", "desk"])
def test_an_agent_that_is_the_node_of_a_graph_is_one(name, searching, config, kinds):
    compiled(desk=searching(name=name)).invoke(ASKED, config)
    told = kinds()
    assert told.pop("invoke_workflow LangGraph") == "CHAIN"
    assert told.pop(f"invoke_agent {name}") == "AGENT"
    assert set(told.values()) <= {"CHAIN"}  # the node around it


def test_a_graph_that_an_agents_tool_calls_is_none(retriever, scripted, calls, config, kinds):
    inner = compiled(model=lambda state: {"found": retriever.invoke(QUESTION)})
    inner.name = "lookup"

    @tool
    def look_up(question: str) -> str:
        """Look it up."""
        return inner.invoke({"messages": []})["found"][0].page_content

    model = scripted(calls(("look_up", "1", {"question": QUESTION})), "In February.")
    agents.create_agent(model, [look_up], name="supervisor").invoke(ASKED, config)
    assert kinds() == {"invoke_agent supervisor": "AGENT", "lookup": "CHAIN"}


def test_agent_in_a_name_makes_none(rag, retriever, config, kinds):
    rag(retriever).with_config(run_name="AgentDocsChain").invoke(QUESTION, config)
    agent = compiled(agent=lambda state: {"found": retriever.invoke(QUESTION)})
    agent.invoke({"messages": []}, {**config, "run_name": "Agent"})
    assert set(kinds().values()) == {"CHAIN"}


def test_a_classic_agent_executor_is_one(retriever, scripted, config, kinds):
    classic = pytest.importorskip("langchain_classic.agents")
    prompts = pytest.importorskip("langchain_core.prompts")
    prompt = prompts.ChatPromptTemplate.from_messages(
        [("human", "{input}"), ("placeholder", "{agent_scratchpad}")]
    )
    tools = [create_retriever_tool(retriever, "search", "Search.")]
    planner = classic.create_tool_calling_agent(scripted(AIMessage("In February.")), tools, prompt)
    classic.AgentExecutor(agent=planner, tools=tools).invoke({"input": QUESTION}, config)
    assert kinds() == {"invoke_agent AgentExecutor": "AGENT"}
