"""What a judge asks: a chat model, as one or two functions, whatever framework it comes from."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Literal, TypedDict, cast

from doctrail_core.model import Usage

__all__ = ["Ask", "AskLater", "Chat", "ChatMessage", "Reply"]


class ChatMessage(TypedDict):
    """One message of a prompt, in the form that most clients take."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said, and the tokens it took as far as its provider tells."""

    text: str
    usage: Usage | None = None


Ask = Callable[[list[ChatMessage]], Reply | str]
AskLater = Callable[[list[ChatMessage]], Awaitable[Reply | str]]


@dataclass(frozen=True, slots=True)
class Chat:
    """A model to ask, in the ways that it has: sync code prefers `ask`, async code `ask_later`.

    `name` tells it from other models, whose verdicts may differ.
    """

    ask: Ask | None = None
    ask_later: AskLater | None = None
    name: str = ""

    def __post_init__(self) -> None:
        """Find the mistake where it is made."""
        if self.ask is None and self.ask_later is None:
            raise ValueError("a chat needs one of `ask` and `ask_later`")

    @classmethod
    def of(cls, model: "Chat | Ask | AskLater") -> "Chat":
        """Any function of messages, sync or async, as a chat.

        Raises:
            TypeError: It is no function.
        """
        if isinstance(model, Chat):
            return model
        if not callable(model):
            raise TypeError(
                f"a judge needs a function of messages, not {type(model).__name__}; langchain_judge(model)"
                " and llama_index_judge(llm) of the adapters make one"
            )
        if _is_async(model):
            return cls(ask_later=cast("AskLater", model))
        return cls(ask=cast("Ask", model))


def _is_async(model: Callable[..., object]) -> bool:
    return iscoroutinefunction(model) or iscoroutinefunction(type(model).__call__)
