"""A LangChain model as the model that a judge asks.

What it is asked is no part of the chain in whose midst that may happen: none of the chain's callbacks hear
of it, so it is in nobody's stream and on no record. Callbacks of the model itself do.
"""

from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import Runnable, RunnableConfig

from doctrail_core.grounding.judge import Chat, ChatMessage, Reply
from langchain_doctrail.generation import ended

__all__ = ["langchain_judge"]

_NAMES = ("model_name", "model", "model_id", "deployment_name")


def langchain_judge(model: Runnable[LanguageModelInput, Any]) -> Chat:
    """Make a chat model what `doctrail_core.grounding.judge.JudgeVerifier` asks.

    Args:
        model: A `BaseChatModel`, or one with retries, fallbacks or settings bound to it.
    """

    def ask(messages: list[ChatMessage]) -> Reply:
        return _reply(model.invoke(_given(messages), _apart()))

    async def ask_later(messages: list[ChatMessage]) -> Reply:
        return _reply(await model.ainvoke(_given(messages), _apart()))

    return Chat(ask, ask_later, _name(model))


def _given(messages: list[ChatMessage]) -> list[Any]:
    return [(message["role"], message["content"]) for message in messages]


def _apart() -> RunnableConfig:
    """Not to be given is to inherit the callbacks of whatever chain is running."""
    return {"callbacks": []}


def _reply(said: object) -> Reply:
    if not isinstance(said, BaseMessage):
        return Reply(str(said))
    result = ended("", LLMResult(generations=[[ChatGeneration(message=said)]]))
    return Reply(result.output or "", result.usage)


def _name(model: object) -> str:
    found = (getattr(model, name, None) for name in _NAMES)
    return next((name for name in found if isinstance(name, str)), "")
