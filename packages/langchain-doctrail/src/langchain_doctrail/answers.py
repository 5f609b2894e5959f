"""The answer in what a chain returns, and the same output with another answer in it.

An output is a text, a model's message, a conversation, or a mapping that names one of them. Invariant:
the output is never changed; what takes its place has its type and differs in the answer only.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables.utils import AddableDict
from typing_extensions import override

from langchain_doctrail.fields import fields
from langchain_doctrail.messages import ANSWER_KEYS

__all__ = ["AnswerIn", "Mark", "answer_within"]

Mark = Mapping[str, Any]
"""What is put beside an answer: into `response_metadata["doctrail"]`, where it is a message."""


class AnswerIn(ABC):
    """An output, known by the answer in it."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The answer."""

    @property
    @abstractmethod
    def is_piece(self) -> bool:
        """Whether it may be a piece of a stream, so that more of the answer can follow."""

    @abstractmethod
    def marked(self, mark: Mark, note: str = "") -> Any:
        """The output with a mark beside the answer, and a note after it."""

    @abstractmethod
    def replaced(self, text: str, mark: Mark) -> Any:
        """The output with another answer, and nothing left of the one it had."""

    @abstractmethod
    def following(self, mark: Mark, note: str = "") -> Any | None:
        """The piece of a stream that adds mark and note; None where it would add nothing."""


@dataclass(frozen=True, slots=True)
class _Text(AnswerIn):
    output: str

    @property
    @override
    def text(self) -> str:
        return str(self.output)

    @property
    @override
    def is_piece(self) -> bool:
        return True

    @override
    def marked(self, mark: Mark, note: str = "") -> str:
        return self.output + note if note else self.output

    @override
    def replaced(self, text: str, mark: Mark) -> str:
        return text

    @override
    def following(self, mark: Mark, note: str = "") -> str | None:
        return note or None


@dataclass(frozen=True, slots=True)
class _Said(AnswerIn):
    message: AIMessage

    @property
    @override
    def text(self) -> str:
        return str(self.message.text)

    @property
    @override
    def is_piece(self) -> bool:
        return isinstance(self.message, AIMessageChunk)

    @override
    def marked(self, mark: Mark, note: str = "") -> AIMessage:
        content = cast("str | list[Any]", self.message.content)  # type: ignore[reportUnknownMemberType]  # host: list[str | dict]
        if note:
            more = note if isinstance(content, str) else [{"type": "text", "text": note}]
            content = cast("Any", content) + more
        return self._with(content=content, response_metadata=self._metadata(mark))

    @override
    def replaced(self, text: str, mark: Mark) -> AIMessage:
        calls = {name: list[Any]() for name in _CALLS if hasattr(self.message, name)}
        metadata = self._metadata(mark)
        return self._with(content=text, additional_kwargs={}, response_metadata=metadata, **calls)

    @override
    def following(self, mark: Mark, note: str = "") -> AIMessageChunk | None:
        # Of an earlier check's mark and this one, adding up the pieces would make one of both.
        is_marked = "doctrail" in self.message.response_metadata
        if is_marked and not note:
            return None
        metadata = {} if is_marked else {"doctrail": dict(mark)}
        return AIMessageChunk(content=note, id=self.message.id, response_metadata=metadata)

    def _metadata(self, mark: Mark) -> dict[str, Any]:
        return {**self.message.response_metadata, "doctrail": dict(mark)}

    def _with(self, **update: Any) -> AIMessage:
        return self.message.model_copy(update=update)


@dataclass(frozen=True, slots=True)
class _Inside(AnswerIn):
    """An answer under a name, or at the end of a conversation."""

    output: Any
    key: Any
    answer: AnswerIn

    @property
    @override
    def text(self) -> str:
        return self.answer.text

    @property
    @override
    def is_piece(self) -> bool:
        return isinstance(self.output, Mapping) and self.answer.is_piece

    @override
    def marked(self, mark: Mark, note: str = "") -> Any:
        return self._with(self.answer.marked(mark, note))

    @override
    def replaced(self, text: str, mark: Mark) -> Any:
        return self._with(self.answer.replaced(text, mark))

    @override
    def following(self, mark: Mark, note: str = "") -> AddableDict | None:
        added = self.answer.following(mark, note)
        return None if added is None else AddableDict({self.key: added})

    def _with(self, answer: object) -> Any:
        if answer is self.output[self.key]:
            return self.output
        changed = copy.copy(self.output)
        changed[self.key] = answer
        return changed


_CALLS = ("tool_calls", "invalid_tool_calls", "tool_call_chunks")


def answer_within(output: object) -> AnswerIn | None:
    """The answer in an output; None where none can be told."""
    with suppress(Exception):  # an output may be anything
        if (answer := _told(output)) is not None:
            return answer
        named = fields(output)
        for key in ANSWER_KEYS if isinstance(output, MutableMapping) else ():
            if (answer := _told(named.get(key))) is not None:
                return _Inside(output, key, answer)
    return None


def _told(value: object) -> AnswerIn | None:
    if isinstance(value, str):
        return _Text(value)
    if isinstance(value, AIMessage):
        return _Said(value)
    if isinstance(value, list) and value:
        last = cast("Sequence[object]", value)[-1]
        return _Inside(cast("Any", value), -1, _Said(last)) if isinstance(last, AIMessage) else None
    return None
