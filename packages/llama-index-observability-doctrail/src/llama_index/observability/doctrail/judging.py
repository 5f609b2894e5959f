"""A LlamaIndex LLM as the model that a judge asks."""

from inspect import unwrap

from llama_index.core.base.llms.types import ChatMessage as HostMessage
from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.llms import LLM, CustomLLM

from doctrail_core.grounding.judge import Chat, ChatMessage, Reply
from llama_index.observability.doctrail import calls

__all__ = ["llama_index_judge"]


def llama_index_judge(llm: LLM) -> Chat:
    """Make an LLM what `doctrail_core.grounding.judge.JudgeVerifier` asks."""

    def ask(messages: list[ChatMessage]) -> Reply:
        return _reply(llm.chat(_given(messages)))

    async def ask_later(messages: list[ChatMessage]) -> Reply:
        return _reply(await llm.achat(_given(messages)))

    later = None if _blocks(llm) else ask_later
    return Chat(ask, later, calls.model_of(llm) or llm.metadata.model_name)


def _blocks(llm: LLM) -> bool:
    """Whether its async call is the sync one, which would hold up the event loop."""
    return isinstance(llm, CustomLLM) and unwrap(type(llm).achat) is unwrap(CustomLLM.achat)


def _given(messages: list[ChatMessage]) -> list[HostMessage]:
    return [HostMessage(role=m["role"], content=m["content"]) for m in messages]


def _reply(response: ChatResponse) -> Reply:
    said = calls.answered("", response, ())
    return Reply(said.output or "", said.usage)
