"""What the record says of an LLM call: prompt, model, usage, output; once per call."""

from types import SimpleNamespace

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    ImageBlock,
    MessageRole,
    TextBlock,
)
from llama_index.core.instrumentation.events.llm import LLMChatStartEvent, LLMCompletionStartEvent
from llama_index.core.llms import CustomLLM, LLMMetadata, MockLLM
from llama_index.core.llms.mock import MockFunctionCallingLLM
from pydantic import BaseModel

from doctrail_core.model import Message, Usage
from llama_index.observability.doctrail import calls


def chat_start(messages=(), **model_dict):
    return LLMChatStartEvent(messages=list(messages), additional_kwargs={}, model_dict=model_dict)


def chat(raw, text="yes"):
    return ChatResponse(message=ChatMessage(role="assistant", content=text), raw=raw)


USAGE = Usage(input_tokens=12, output_tokens=3, total_tokens=15)


@pytest.mark.parametrize(
    "raw",
    [
        {"usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}},
        SimpleNamespace(
            usage=SimpleNamespace(prompt_tokens=12, completion_tokens=3, total_tokens=15)
        ),
        {"usage": {"input_tokens": 12, "output_tokens": 3}},
        {"usage": SimpleNamespace(input_tokens=12, output_tokens=3)},
    ],
    ids=["openai dict", "openai object", "anthropic dict", "anthropic object"],
)
def test_usage_is_read_in_the_words_of_either_provider(raw):
    assert calls.answered("r", chat(raw), []).usage == USAGE


@pytest.mark.parametrize(
    "raw", [None, {}, {"usage": None}, "text", {"usage": {"prompt_tokens": "many"}}]
)
def test_no_usage_is_invented(raw):
    assert calls.answered("r", chat(raw), []).usage is None


def test_the_reply_tells_its_model_its_id_and_why_it_ended():
    openai = {"id": "msg_1", "model": "m-2024", "choices": [{"finish_reason": "stop"}]}
    anthropic = SimpleNamespace(id="msg_1", model="m-2024", stop_reason="end_turn")
    found = [calls.answered("r", chat(raw), []) for raw in (openai, anthropic)]
    assert [f.model for f in found] == ["m-2024", "m-2024"]
    assert [f.message_id for f in found] == ["msg_1", "msg_1"]
    assert [f.finish_reasons for f in found] == [("stop",), ("end_turn",)]


def test_a_stream_that_ends_on_its_last_piece_alone_is_told_in_full():
    assert calls.answered("r", chat(None, "th."), ["Feb ", "28", "th."]).output == "Feb 28th."
    assert (
        calls.answered("r", CompletionResponse(text="Feb 28th."), ["28th."]).output == "Feb 28th."
    )
    assert calls.answered("r", None, []).output is None


def test_messages_keep_their_roles_texts_and_tool_call_ids():
    event = chat_start(
        [
            ChatMessage(role=MessageRole.DEVELOPER, content="Be brief."),
            ChatMessage(
                role="user",
                blocks=[
                    TextBlock(text="What is"),
                    ImageBlock(url="http://x/i.png"),
                    TextBlock(text="this?"),
                ],
            ),
            ChatMessage(role=MessageRole.CHATBOT, content="A cat."),
            ChatMessage(role="tool", content="42", additional_kwargs={"tool_call_id": "t1"}),
            ChatMessage(role="user", content=None),
        ]
    )
    assert calls.messages(event) == (
        Message("system", "Be brief."),
        Message("user", "What is\nthis?"),
        Message("assistant", "A cat."),
        Message("tool", "42", "t1"),
        Message("user", None),
    )


def test_a_completion_is_one_message_of_the_user():
    event = LLMCompletionStartEvent(prompt="Say yes.", additional_kwargs={}, model_dict={})
    assert calls.messages(event) == (Message("user", "Say yes."),)


@pytest.mark.parametrize(
    ("model_dict", "model", "provider"),
    [
        ({"class_name": "openai_llm", "model": "gpt-4o"}, "gpt-4o", "openai"),
        ({"class_name": "Anthropic_LLM", "model": "claude-x"}, "claude-x", "anthropic"),
        ({"class_name": "Ollama_llm", "model": "qwen"}, "qwen", "ollama"),
        ({"class_name": "HuggingFace_LLM", "model_name": "phi"}, "phi", "huggingface"),
        (
            {"class_name": "structured_llm", "llm": {"class_name": "openai_llm", "model": "gpt"}},
            "gpt",
            "openai",
        ),
        ({"class_name": "custom_llm", "model_name": "unknown"}, None, None),
        ({"class_name": "MockLLM"}, None, None),
        ({}, None, None),
    ],
)
def test_model_and_provider_are_read_from_what_the_llm_says_of_itself(model_dict, model, provider):
    event = chat_start(**model_dict)
    assert (calls.model(event), calls.provider(event)) == (model, provider)


def test_parameters_are_those_that_shape_the_output_and_never_secrets():
    event = LLMChatStartEvent(
        messages=[],
        additional_kwargs={"temperature": 0.5, "tools": ["a"]},
        model_dict={"temperature": 0.1, "max_tokens": 99, "api_key": "sk-1", "top_p": None},
    )
    assert calls.parameters(event) == {"temperature": 0.5, "max_tokens": 99}


@pytest.mark.parametrize("method", ["chat", "complete", "stream_chat", "stream_complete"])
def test_a_call_that_the_host_tells_twice_is_recorded_once(rag, instrumented, method):
    prompt = [ChatMessage(role="user", content="Hello?")] if "chat" in method else "Hello?"
    reply = getattr(rag.llm, method)(prompt)
    if "stream" in method:
        list(reply)
    [trail] = rag.captured.trails
    [generation] = trail.generations
    assert generation.output == rag.answer
    assert generation.model == "fake-1"


@pytest.mark.parametrize("method", ["achat", "acomplete", "astream_chat", "astream_complete"])
async def test_so_is_an_async_one(rag, instrumented, method):
    prompt = [ChatMessage(role="user", content="Hello?")] if "chat" in method else "Hello?"
    reply = await getattr(rag.llm, method)(prompt)
    if "stream" in method:
        [piece async for piece in reply]
    [trail] = rag.captured.trails
    [generation] = trail.generations
    assert generation.output == rag.answer


def test_two_calls_one_after_the_other_are_two(rag, instrumented):
    with rag.captured.scope() as opened:
        rag.llm.complete("Hello?")
        rag.llm.complete("Hello?")
    assert len(opened.trail.generations) == 2


class Deadline(BaseModel):
    day: str


def test_a_structured_llm_is_recorded_as_the_call_it_makes(rag, instrumented):
    rag.llm.says = ('{"day": "February 28th"}',)
    structured = rag.llm.as_structured_llm(Deadline)
    rag.engine(
        rag.retriever(),
        response_synthesizer=type(rag.synthesizer())(llm=structured),
    ).query(rag.question)
    [trail] = rag.captured.trails
    [generation] = trail.generations
    assert generation.model == "fake-1"
    assert trail.answer == '{"day":"February 28th"}'


def test_a_chat_model_that_does_not_complete_is_recorded_too(rag, instrumented):
    llm = MockFunctionCallingLLM()
    llm.chat([ChatMessage(role="user", content="Hello?")])
    assert len(rag.captured.trails[0].generations) == 1


def test_the_hosts_own_mock_is_recorded_with_the_text_that_came(rag, instrumented):
    pieces = list(MockLLM(max_tokens=3).stream_complete("Hello?"))
    [generation] = rag.captured.trails[0].generations
    assert generation.output == "".join(piece.delta for piece in pieces)


class Unannounced(CustomLLM):
    """An LLM whose author left out the host's callback: no event tells of its calls."""

    model: str = "bare-1"
    fails: bool = False
    is_chat: bool = False

    @property
    def metadata(self):
        return LLMMetadata(is_chat_model=self.is_chat)

    def complete(self, prompt, formatted=False, **kwargs):  # noqa: FBT002  # the host's signature
        if self.fails:
            raise RuntimeError("the model is gone")
        return CompletionResponse(text="On February 28th.")

    def stream_complete(self, prompt, formatted=False, **kwargs):  # noqa: FBT002  # likewise
        yield CompletionResponse(text="On", delta="On")
        yield CompletionResponse(text="On February 28th.", delta=" February 28th.")


@pytest.mark.parametrize("is_chat", [False, True])
def test_a_call_that_no_event_tells_of_is_on_record_once(rag, is_chat):
    rag.llm = Unannounced(is_chat=is_chat)
    rag.engine().query(rag.question)
    [trail] = rag.captured.trails
    [generation] = trail.generations
    assert [generation.output, generation.auxiliary] == ["On February 28th.", False]
    if not is_chat:  # what the host tells of a chat names no model in every version
        assert generation.model == "bare-1"
    assert rag.question in generation.messages[-1].text
    assert trail.chunk_grades["chunk-renewal"] == "in_prompt"
    assert trail.retrievals[0].ended_at < generation.started_at < generation.ended_at


def test_of_such_a_call_that_streams_the_prompt_is_on_record(rag):
    rag.llm = Unannounced()
    assert rag.drawn(rag.engine(streaming=True).query(rag.question)) == "On February 28th."
    [trail] = rag.captured.trails
    assert trail.answer == "On February 28th."
    assert [g.output for g in trail.generations] == [None]
    assert trail.chunk_grades["chunk-renewal"] == "in_prompt"


def test_such_a_call_that_fails_is_on_record_with_its_error(rag):
    rag.llm = Unannounced(fails=True)
    with pytest.raises(RuntimeError, match="the model is gone"):
        rag.engine().query(rag.question)
    [trail] = rag.captured.trails
    assert [g.error for g in trail.generations] == ["RuntimeError: the model is gone"]
    assert trail.status == "error"


class Handing(Unannounced):
    """Leaves the callback to the LLM that it hands its calls to, and tries twice."""

    inner: object = None

    def complete(self, prompt, formatted=False, **kwargs):  # noqa: FBT002  # the host's signature
        self.inner.complete(prompt, formatted, **kwargs)
        return self.inner.complete(prompt, formatted, **kwargs)


def test_calls_that_are_handed_to_another_llm_are_that_ones(rag):
    rag.llm = Handing(inner=rag.llm)
    rag.engine().query(rag.question)
    [trail] = rag.captured.trails
    assert [g.output for g in trail.generations] == [rag.answer] * 2
