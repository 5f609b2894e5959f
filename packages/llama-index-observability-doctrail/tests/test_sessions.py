"""Turns of a conversation: how a session is named, and what a later turn owes to an earlier one."""

import uuid

import pydantic
import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.memory import ChatMemoryBuffer, Memory
from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore
from llama_index.core.tools import QueryEngineTool, RetrieverTool
from llama_index.core.workflow import Context
from llama_index_instrumentation.dispatcher import instrument_tags

# The host looks at every attribute of an agent when it makes one.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")


@pytest.mark.parametrize("name", ["session_id", "thread_id", "conversation_id"])
def test_the_applications_tags_name_the_session(rag, captured, instrumented, name):
    with instrument_tags({name: "s-1", "user_id": "u-1", "tenant": "t"}):
        rag.engine(rag.retriever()).query(rag.question)
    [trail] = captured.trails
    assert (trail.session_id, trail.user_id) == ("s-1", "u-1")


@pytest.mark.parametrize("kind", ["retriever", "synthesizer", "llm"])
def test_a_part_on_its_own_belongs_to_the_session_too(rag, captured, instrumented, kind):
    nodes = rag.retriever().retrieve(rag.question)
    parts = {
        "retriever": lambda: rag.retriever().retrieve(rag.question),
        "synthesizer": lambda: rag.synthesizer().synthesize(rag.question, nodes),
        "llm": lambda: rag.llm.complete(rag.question),
    }
    with instrument_tags({"session_id": "s-1"}):
        parts[kind]()
    assert [t.session_id for t in captured.trails] == [None, "s-1"]


def test_a_session_may_be_a_number_or_a_uuid_but_nothing_else(rag, captured, instrumented):
    some_id = uuid.uuid4()
    for told in (7, some_id, "", None, ["s"], {"s": 1}):
        with instrument_tags({"session_id": told}):
            rag.llm.complete(rag.question)
    assert [t.session_id for t in captured.trails] == ["7", str(some_id), None, None, None, None]


def test_a_scope_knows_its_session_better_than_tags_and_takes_what_it_was_not_told(
    rag, captured, instrumented
):
    with instrument_tags({"session_id": "tagged", "user_id": "u-1"}):
        with captured.scope(session_id="named") as named:
            rag.llm.complete(rag.question)
        with captured.scope() as unnamed:
            rag.llm.complete(rag.question)
    assert (named.trail.session_id, named.trail.user_id) == ("named", "u-1")
    assert unnamed.trail.session_id == "tagged"


def test_the_applications_tags_stay_as_they_are(rag, captured, instrumented):
    seen = []

    class TheirEvents(BaseEventHandler):
        def handle(self, event, **kwargs):
            seen.append(event.tags)

    get_dispatcher().add_event_handler(TheirEvents())
    with instrument_tags({"session_id": "s-1", "tenant": "t"}):
        rag.engine(rag.retriever()).query(rag.question)
    assert seen
    assert all(tags == {"session_id": "s-1", "tenant": "t"} for tags in seen)


def test_a_wrapped_retriever_alone_reads_the_tags(rag, captured):
    with instrument_tags({"session_id": "s-1"}):
        rag.engine().query(rag.question)
    assert [t.session_id for t in captured.trails] == ["s-1"]


async def test_a_chunk_that_stays_in_the_memory_of_an_agent_is_traced_to_the_turn_that_found_it(
    rag, captured, instrumented, asks, agent_llm
):
    search = RetrieverTool.from_defaults(rag.retriever(1), name="search", description="finds")
    script = [asks(("call-1", "search", {"input": "renewal deadline"})), "In February."]
    script += [f"Answer {turn}." for turn in range(2, 8)]
    agent = FunctionAgent(tools=[search], llm=agent_llm(*script))
    memory = ChatMemoryBuffer.from_defaults(token_limit=4000)
    for turn in range(1, 8):
        with instrument_tags({"session_id": "s-1"}):
            await agent.run(user_msg=f"Question {turn}?", memory=memory)

    first, *later = captured.trails
    assert [t.turn for t in captured.trails] == list(range(1, 8))
    assert first.carried == ()
    for trail in later:
        [carried] = trail.carried
        assert (carried.chunk.chunk_id, carried.carried_by) == ("chunk-renewal", "text")
        assert (carried.response_id, carried.turn) == (first.response_id, 1)
        assert trail.involvements == {"chunk-renewal": "direct"}  # its text is before the model
        assert trail.documents[0].document_id == "doc_renewal"


async def test_what_is_only_in_an_earlier_answer_is_traced_through_it(
    rag, captured, instrumented, asks, agent_llm
):
    ask = QueryEngineTool.from_defaults(
        rag.engine(rag.retriever(1)), name="ask", description="answers"
    )
    script = [asks(("call-1", "ask", {"input": "renewal deadline"})), rag.answer]
    agent = FunctionAgent(tools=[ask], llm=agent_llm(*script, *["Yes, indeed."] * 6))
    memory = ChatMemoryBuffer.from_defaults(token_limit=4000)
    for turn in range(1, 8):
        with instrument_tags({"session_id": "s-1"}):
            await agent.run(user_msg=f"Question {turn}?", memory=memory)

    first, *later = captured.trails
    for trail in later:
        assert [
            (c.chunk.chunk_id, c.carried_by, c.response_id, c.turn, c.through)
            for c in trail.carried
        ] == [("chunk-renewal", "answer", first.response_id, 1, first.response_id)]


async def test_a_memory_in_a_database_is_a_memory_like_others(
    rag, captured, instrumented, asks, agent_llm
):
    store = SQLAlchemyChatStore(
        table_name="memory", async_database_uri="sqlite+aiosqlite:///:memory:"
    )
    search = RetrieverTool.from_defaults(rag.retriever(1), name="search", description="finds")
    wanted = asks(("call-1", "search", {"input": "renewal deadline"}))
    agent = FunctionAgent(tools=[search], llm=agent_llm(wanted, "In February.", "Yes."))
    memory = Memory.from_defaults(session_id="theirs")
    memory.sql_store = store
    for question in ("When?", "Sure?"):
        with captured.scope(session_id="s-1"):
            await agent.run(user_msg=question, memory=memory)
    await store._async_engine.dispose()
    first, second = captured.trails
    assert [c.response_id for c in second.carried] == [first.response_id]


async def test_sessions_do_not_mix(rag, captured, instrumented, asks, agent_llm):
    search = RetrieverTool.from_defaults(rag.retriever(1), name="search", description="finds")
    memories = {name: ChatMemoryBuffer.from_defaults(token_limit=4000) for name in ("a", "b")}
    wanted = asks(("call-1", "search", {"input": "renewal deadline"}))
    agents = {
        "a": FunctionAgent(tools=[search], llm=agent_llm(wanted, "In February.", "Yes.")),
        "b": FunctionAgent(tools=[search], llm=agent_llm("No idea.", "Still none.")),
    }
    for turn in (1, 2):
        for name, agent in agents.items():
            with instrument_tags({"session_id": name}):
                await agent.run(user_msg=f"Question {turn}?", memory=memories[name])
    carried = {(t.session_id, t.turn): len(t.carried) for t in captured.trails}
    assert carried == {("a", 1): 0, ("b", 1): 0, ("a", 2): 1, ("b", 2): 0}


# With pydantic 2.14 the host loses the memory of a context that is used again.
@pytest.mark.skipif(
    tuple(map(int, pydantic.VERSION.split(".")[:2])) >= (2, 14), reason="the host loses its memory"
)
async def test_a_context_that_is_used_again_is_another_turn(
    rag, captured, instrumented, asks, agent_llm
):
    search = RetrieverTool.from_defaults(rag.retriever(1), name="search", description="finds")
    wanted = asks(("call-1", "search", {"input": "renewal deadline"}))
    agent = FunctionAgent(tools=[search], llm=agent_llm(wanted, "In February.", "Yes."))
    context = Context(agent)
    for question in ("When?", "Sure?"):
        with captured.scope(session_id="s-1"):
            await agent.run(user_msg=question, ctx=context)
    first, second = captured.trails
    assert [(t.question, t.turn) for t in captured.trails] == [("When?", 1), ("Sure?", 2)]
    assert [c.response_id for c in second.carried] == [first.response_id]
