from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue

from doctrail_core.model import Message
from langchain_doctrail.messages import (
    answer_in,
    prompt_messages,
    question_in,
    text_of,
    tool_messages,
)


@pytest.mark.parametrize(
    ("message", "role"),
    [
        (HumanMessage("x"), "user"),
        (HumanMessageChunk("x"), "user"),
        (AIMessage("x"), "assistant"),
        (AIMessageChunk("x"), "assistant"),
        (SystemMessage("x"), "system"),
        (FunctionMessage("x", name="f"), "tool"),
        (ChatMessage("x", role="Assistant"), "assistant"),
        (ChatMessage("x", role="developer"), "system"),
        (ChatMessage("x", role="critic"), "user"),
    ],
)
def test_roles_are_the_four_that_everybody_knows(message, role):
    assert prompt_messages([message]) == [Message(role, "x")]


def test_tool_messages_name_their_call_and_leave_the_artifact_out():
    message = ToolMessage("seen", tool_call_id="call-1", artifact=[Document("unseen")])
    assert prompt_messages([message]) == [Message("tool", "seen", "call-1")]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": "THE TEXT", "cache_control": {"type": "ephemeral"}},
        {"type": "text-plain", "text": "THE TEXT", "mime_type": "text/plain"},
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "THE TEXT"},
        },
        {
            "type": "search_result",
            "content": [{"type": "text", "text": "THE TEXT"}],
        },
        {"type": "tool_result", "content": "THE TEXT", "id": "no text"},
    ],
)
def test_text_counts_in_whatever_block_it_stands(block):
    assert text_of([block]) == "THE TEXT"


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        {"type": "image", "source_type": "base64", "data": "AAAA", "mime_type": "image/png"},
        {"type": "image", "base64": "AAAA"},
        {"type": "file", "file": {"file_data": "AAAA", "file_id": "f"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "thinking", "signature": "AAAA"},
        {"type": "image", "url": "https://example.org/a.png", "id": "i"},
    ],
)
def test_what_no_model_reads_as_text_does_not_count(block):
    assert text_of([block]) == ""


def test_documents_sent_beside_the_messages_are_part_of_the_prompt(handler):
    """As Cohere's models take them."""

    class WithDocuments(FakeListChatModel):
        @property
        def _identifying_params(self):
            return {"documents": [{"id": "d", "data": {"snippet": "In thirty days."}}, "And more."]}

    WithDocuments(responses=["Yes."]).invoke("Refund?", {"callbacks": [handler]})
    assert [m.text for m in handler.last.generations[0].messages] == [
        "In thirty days.",
        "And more.",
        "Refund?",
    ]


@pytest.mark.parametrize(
    "inputs",
    [
        "why?",
        {"question": "why?", "context": "other"},
        {"query": "why?"},
        {"input": "why?", "chat_history": ["other"]},
        {"question": "", "input": "why?"},
        {"messages": [HumanMessage("before"), AIMessage("other"), HumanMessage("why?")]},
        {"messages": [("human", "why?"), ("ai", "other")]},
        {"messages": [{"role": "user", "content": "why?"}, {"role": "assistant", "content": "o"}]},
        {"messages": HumanMessage("why?")},
        {"input": [HumanMessage([{"type": "text", "text": "why?"}])]},
        [SystemMessage("other"), HumanMessage("why?"), AIMessage("other")],
        HumanMessage("why?"),
        ChatPromptValue(messages=[SystemMessage("other"), HumanMessage("why?")]),
        StringPromptValue(text="why?"),
    ],
)
def test_the_question_is_found_where_inputs_keep_it(inputs):
    assert question_in(inputs) == "why?"


@pytest.mark.parametrize(
    "inputs",
    [None, "", {}, {"input": ""}, {"other": "x"}, 7, [], [("human",)], {"messages": [None, 3]}],
)
def test_no_question_is_invented(inputs):
    assert question_in(inputs) is None


@pytest.mark.parametrize(
    "outputs",
    [
        "so",
        AIMessage("so"),
        AIMessage([{"type": "text", "text": "so"}]),
        {"answer": "so", "context": [Document("other")]},
        {"output": "so"},
        {"result": AIMessage("so")},
        {"messages": [HumanMessage("other"), AIMessage("so")]},
    ],
)
def test_the_answer_is_found_where_outputs_keep_it(outputs):
    assert answer_in(outputs) == "so"


@pytest.mark.parametrize(
    "outputs", [None, {}, 7, [Document("x")], {"messages": [HumanMessage("x")]}, SimpleNamespace()]
)
def test_no_answer_is_invented(outputs):
    assert answer_in(outputs) is None


def test_messages_that_only_instruct_the_graph_are_harmless():
    assert prompt_messages([RemoveMessage(id="m")])[0].text == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_content_of_any_shape_has_a_text(content):
    assert isinstance(text_of(content), str)
    question_in(content)
    answer_in(content)


def test_content_that_holds_itself_ends():
    content: list = ["seen"]
    content.append(content)
    assert set(text_of(content).split()) == {"seen"}


@pytest.mark.parametrize(
    "update",
    [
        {"messages": [ToolMessage("done", tool_call_id="call-1")], "count": 1},
        {"messages": ToolMessage("done", tool_call_id="call-1")},
        [("messages", [ToolMessage("done", tool_call_id="call-1")])],
    ],
    ids=["dict", "one", "pairs"],
)
def test_the_answers_of_tools_are_found_inside_commands(update):
    types = pytest.importorskip("langgraph.types")
    answers = tool_messages([types.Command(update=update)])
    assert [(a.content, a.tool_call_id) for a in answers] == [("done", "call-1")]


@pytest.mark.parametrize("output", [None, "text", 7, {"update": 1}, {1, 2}, object()], ids=str)
def test_what_is_no_message_of_a_tool_is_none(output):
    assert list(tool_messages(output)) == []


@pytest.mark.parametrize(
    ("outputs", "answer"),
    [
        ({"a": AIMessage("one"), "b": "two", "c": "passed on"}, "one\n\ntwo"),
        ({"a": {"answer": "one", "input": "?"}, "b": {"output": "two"}}, "one\n\ntwo"),
        ({"a": "one", "b": AIMessage("one")}, "one"),
        ({"answer": "named", "b": "two"}, "named"),
        ([AIMessage("one"), AIMessage("two")], "one\n\ntwo"),
        (["one", "two", "passed on"], "one\n\ntwo"),
        ([HumanMessage("?"), AIMessage("one"), AIMessage("two")], "two"),
        ({"history": [HumanMessage("?"), AIMessage("earlier")], "reply": "one"}, "one"),
        ({"a": "passed on"}, None),
        ([AIMessage("rewritten")], "rewritten"),
    ],
)
def test_answers_side_by_side_are_told_by_what_models_said(outputs, answer):
    assert answer_in(outputs, ["one", "two"]) == answer
