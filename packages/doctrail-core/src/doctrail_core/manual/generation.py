"""A model call, told by hand."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from doctrail_core.capture.events import (
    Event,
    GenerationEnded,
    GenerationStreamed,
    PromptSent,
    RunFailed,
)
from doctrail_core.manual.block import FRAMEWORK, Block
from doctrail_core.manual.chunks import ChunkLike, as_chunk
from doctrail_core.model import Message, ToolRequest, Usage
from doctrail_core.text.identity import as_name

if TYPE_CHECKING:
    from doctrail_core.composition import Lineage

__all__ = ["Call", "MessageLike", "generation"]

MessageLike = Message | Mapping[str, Any]
"""A message, or a mapping with `role` and `content`, as chat clients take it."""

_ROLES = {"developer": "system", "human": "user", "ai": "assistant", "function": "tool"}


class Call(Block):
    """A model call while it happens: tell it what the model `said`, or each piece that is `heard`."""

    encloses = False

    def __init__(
        self,
        prompt: str | Sequence[MessageLike] | None,
        sent: PromptSent,
        carried: Iterable[ChunkLike],
        output: Callable[[Any], str | None] | None,
        lineage: "Lineage | None",
    ) -> None:
        """See `generation`."""
        super().__init__(lineage)
        self._prompt = prompt
        self._sent = sent
        self._learn(self._carry, carried)
        self._output = output
        self._heard: list[str] = []
        self._said: GenerationEnded | None = None

    def said(
        self,
        output: str | None,
        *,
        model: str | None = None,
        usage: Usage | None = None,
        finish_reasons: Sequence[str] = (),
        message_id: str | None = None,
        tool_requests: Sequence[ToolRequest] = (),
    ) -> None:
        """Say what the model answered, and the tool calls that it chose."""
        self._said = GenerationEnded(
            "", output, as_name(model), usage, finish_reasons, message_id, tool_requests
        )

    def heard(self, piece: str | None) -> None:
        """Say that a piece of a streamed answer came."""
        if piece:
            self._heard.append(piece)

    def _carry(self, chunks: Iterable[ChunkLike]) -> None:
        self._sent = replace(self._sent, carried=list(map(as_chunk, chunks)))

    def _called(self, name: str, arguments: Mapping[str, Any]) -> None:  # noqa: ARG002  # a hook
        if self._prompt is None:
            self._prompt = arguments.get("messages", arguments.get("prompt"))
        if self._prompt is None:
            self._prompt = next(iter(arguments.values()), None)

    def _returned(self, result: Any) -> None:
        if self._said is None:
            self.said(self._text(result))

    def _yielded(self, piece: Any) -> None:
        self.heard(self._text(piece))

    def _text(self, result: Any) -> str | None:
        if self._output is not None:
            return self._output(result)
        if result is None or isinstance(result, str):
            return result
        raise TypeError(
            f"the decorated function returned a {type(result).__name__}, not a text; say with"
            " generation(output=...) where its text is"
        )

    def _started(self, run_id: str) -> Iterable[Event]:
        self._heard, self._said = [], None  # of a decorated function, each call hears its own
        yield replace(self._sent, run_id=run_id, messages=_messages(self._prompt))

    def _ended(self, run_id: str) -> Iterable[Event]:
        said = self._said or GenerationEnded("", None)
        heard = "".join(self._heard) or None
        yield replace(said, run_id=run_id, output=heard if said.output is None else said.output)

    def _failed(self, run_id: str, error: BaseException) -> Iterable[Event]:
        left_by_reader = not isinstance(error, Exception) and (self._heard or self._said)
        if left_by_reader:
            return self._ended(run_id)
        heard = "".join(self._heard)
        failed = RunFailed(run_id, error)
        return (GenerationStreamed(run_id, heard), failed) if heard else (failed,)


def generation(
    prompt: str | Sequence[MessageLike] | None = None,
    *,
    model: str | None = None,
    provider: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    auxiliary: bool = False,
    carried: Iterable[ChunkLike] = (),
    output: Callable[[Any], str | None] | None = None,
    lineage: "Lineage | None" = None,
) -> Call:
    """Record a model call.

    As a block: `with generation(messages) as call: call.said(answer)`. Or decorate the function that does it.

    Args:
        prompt: What the model reads: a text, or messages. Of a decorated function: its argument
            `messages` or `prompt`, else its first.
        model: The model that is asked for.
        provider: Who serves it, such as `openai`.
        parameters: Settings that shape the output, such as the temperature.
        auxiliary: Whether the call only prepares the answer, as query rewriting does.
        carried: Chunks of earlier turns that the application knows to be among the messages.
        output: The text of what a decorated function returns or yields, where that is no text.
        lineage: Where to record; default the enclosing scope's, else the process's own.
    """
    sent = PromptSent(
        "",
        None,
        (),
        FRAMEWORK,
        model=as_name(model),
        provider=provider,
        parameters=parameters or {},
        auxiliary=auxiliary,
    )
    return Call(prompt, sent, carried, output, lineage)


def _messages(prompt: str | Sequence[MessageLike] | None) -> tuple[Message, ...]:
    if prompt is None:
        return ()
    if isinstance(prompt, str):
        return (Message("user", prompt),)
    return tuple(map(_message, prompt))


def _message(told: MessageLike) -> Message:
    if isinstance(told, Message):
        return told
    role, call = str(told.get("role", "user")), told.get("tool_call_id")
    text = _text_in(told.get("content"))
    return Message(_ROLES.get(role, role), text, call if isinstance(call, str) else None)


def _text_in(content: object) -> str | None:
    """The text of a message's content, which is a text or a list of parts."""
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        part = cast("Mapping[str, Any]", content)
        return _text_in(part.get("text", part.get("content")))
    if isinstance(content, Iterable):
        parts = map(_text_in, cast("Iterable[object]", content))
        return "\n".join(part for part in parts if part)
    return str(content)
