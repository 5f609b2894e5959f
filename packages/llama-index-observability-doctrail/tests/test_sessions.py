"""Turns of a conversation: how a session is named, and what a later turn owes to an earlier one."""

import uuid

import pytest
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.dispatcher import instrument_tags


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
