import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from doctrail_core.model import ToolRequest, Usage
from langchain_doctrail.generation import ended, model_of, parameters_of, provider_of, said_in


def chat_result(message, info=None, llm_output=None):
    generation = ChatGeneration(message=message, generation_info=info)
    return LLMResult(generations=[[generation]], llm_output=llm_output)


def test_a_chat_result_tells_everything():
    message = AIMessage(
        "hello",
        id="msg-1",
        usage_metadata={"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
        response_metadata={"model_name": "gpt-x-2026", "finish_reason": "stop"},
    )
    told = ended("run", chat_result(message))
    assert (told.output, told.model, told.message_id) == ("hello", "gpt-x-2026", "msg-1")
    assert told.usage == Usage(3, 1, 4)
    assert told.finish_reasons == ("stop",)


@pytest.mark.parametrize(
    "llm_output",
    [
        {"token_usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}},
        {"usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}},
    ],
)
def test_usage_is_found_beside_the_message_too(llm_output):
    assert ended("run", chat_result(AIMessage("x"), llm_output=llm_output)).usage == Usage(3, 1, 4)


def test_a_completion_result_tells_its_text_and_end():
    generation = Generation(text="hello", generation_info={"finish_reason": "length"})
    told = ended("run", LLMResult(generations=[[generation]], llm_output={"model_name": "m"}))
    assert (told.output, told.model, told.finish_reasons) == ("hello", "m", ("length",))
    assert (told.usage, told.message_id) == (None, None)


@pytest.mark.parametrize("generations", [[], [[]]])
def test_an_empty_result_has_no_output(generations):
    assert ended("run", LLMResult(generations=generations)).output is None


def test_odd_facts_are_left_out():
    message = AIMessage("x", response_metadata={"token_usage": "many", "finish_reason": 7})
    told = ended("run", chat_result(message, info={"stop_reason": None}, llm_output={"usage": 3}))
    assert (told.usage, told.finish_reasons, told.model) == (None, (), None)


@pytest.mark.parametrize(
    ("serialized", "metadata", "invocation"),
    [
        (None, None, {"model": "m"}),
        (None, {"ls_model_name": "m"}, {"model": None}),
        ({"kwargs": {"model_name": "m"}}, None, None),
        ({"kwargs": {"model_name": "other"}}, {}, {"model_id": "m"}),
    ],
)
def test_the_model_is_found_where_integrations_keep_it(serialized, metadata, invocation):
    assert model_of(serialized, metadata, invocation) == "m"


def test_the_provider_is_the_integrations_own_word():
    assert provider_of({"name": "ChatThing"}, {"ls_provider": "thing"}) == "thing"
    assert provider_of({"name": "ChatThing"}, None) == "ChatThing"
    assert provider_of(None, None) is None


def test_parameters_are_taken_by_name_so_that_no_key_slips_in():
    told = parameters_of({"temperature": 0.1, "top_p": None, "api_key": "secret", "n": 1})
    assert told == {"temperature": 0.1, "n": 1}


def test_a_real_call_tells_its_provider_and_usage(handler):
    message = AIMessage(
        "hello", usage_metadata={"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}
    )
    GenericFakeChatModel(messages=iter([message])).invoke("hi", {"callbacks": [handler]})
    (generation,) = handler.last.generations
    assert generation.usage == Usage(3, 1, 4)
    assert generation.provider == "genericfakechatmodel"


def test_the_tool_calls_that_a_model_chose_are_told_as_texts():
    message = AIMessage(
        "",
        tool_calls=[
            {"name": "search", "args": {"query": "Verlängerung?"}, "id": "call-1"},
            {"name": "odd", "args": {"when": {1, 2}}, "id": None},
        ],
        invalid_tool_calls=[
            {"name": "search", "args": '{"query": ', "id": "call-2", "error": "no JSON"},
            {"name": None, "args": None, "id": None, "error": None},
        ],
    )
    assert ended("run", chat_result(message)).tool_requests == (
        ToolRequest("search", '{"query": "Verlängerung?"}', "call-1"),
        ToolRequest("odd", '{"when": [1, 2]}', None),
        ToolRequest("search", '{"query": ', "call-2"),
        ToolRequest("", None, None),
    )


def test_a_real_call_tells_its_tool_requests(handler):
    message = AIMessage("", tool_calls=[{"name": "search", "args": {}, "id": "call-1"}])
    GenericFakeChatModel(messages=iter([message])).invoke("hi", {"callbacks": [handler]})
    (generation,) = handler.last.generations
    assert generation.tool_requests == (ToolRequest("search", "{}", "call-1"),)


def test_what_a_failed_call_had_said_is_found_where_langchain_hands_it_on():
    assert said_in(chat_result(AIMessage("On Feb"))) == "On Feb"
    assert said_in(LLMResult(generations=[[]])) is None
    assert said_in(None) is None
