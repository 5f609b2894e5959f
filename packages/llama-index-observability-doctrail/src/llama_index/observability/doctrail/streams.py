"""A streamed answer: its tokens are drawn inside the span that produced it, wherever that happens.

From llama-index-core 0.14.25 on the model is called on the first token, after the query returned, and
such a call knows nothing of its query. So the generator on the response is replaced by one that
enters the span around every single step: the response keeps its type and its laziness, and nothing
leaks into whoever draws the tokens. Whether it is drawn to its end, broken off, dropped or never
begun, the stream ends exactly once.
"""

import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.chat_engine.types import StreamingAgentChatResponse
from llama_index.core.instrumentation.span import active_span_id

__all__ = ["Heard", "Stream", "follow", "follow_chat"]

_Streaming = StreamingResponse | AsyncStreamingResponse | StreamingAgentChatResponse


class Heard:
    """What has come of a stream."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._tokens: list[object] = []

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(map(str, self._tokens))

    @property
    def is_text(self) -> bool:
        """Whether it is made of pieces of text."""
        return all(isinstance(token, str) for token in self._tokens)

    def took(self, token: object) -> None:
        """A structured answer comes as ever more complete objects, all others as pieces of text."""
        if isinstance(token, ChatResponse):
            token = token.delta or ""
        if isinstance(token, str):
            self._tokens.append(token)
        else:
            self._tokens = [token]


class Stream:
    """The tokens of one answer, from the moment the response was made."""

    def __init__(self, span_id: str) -> None:
        """Begin inside this span."""
        self.span_id = span_id
        self.heard = Heard()
        self.ended = False
        self.whenever_over: list[Callable[[str, BaseException | None], None]] = []
        self._drawn: Callable[[], object] = lambda: None

    @property
    def text(self) -> str:
        """What has come so far."""
        return self.heard.text

    def drives(self, source: Any) -> bool:
        """Whether this generator is the one that we put in place, or what others have put around it."""
        while (inside := getattr(source, "__wrapped__", None)) is not None:
            source = inside
        return self._drawn() is source

    def replace(self, response: _Streaming, name: str, *, asynchronous: bool) -> None:
        """Put our generator in the place of the host's."""
        source: Any = getattr(response, name)
        steps: Any = _async_steps if asynchronous else _steps
        drawn = steps(source, self)
        setattr(response, name, drawn)
        self._drawn = weakref.ref(drawn)
        # A generator that was never begun does not run its `finally`.
        weakref.finalize(drawn, self.end, GeneratorExit()).atexit = False

    @contextmanager
    def inside(self) -> Generator[None]:
        """Be in the span."""
        token = active_span_id.set(self.span_id)
        try:
            yield
        finally:
            active_span_id.reset(token)

    def end(self, error: BaseException | None) -> None:
        """Say once that no more will come."""
        if not self.ended:
            self.ended = True
            text = self.text
            for tell in self.whenever_over:
                tell(text, error)


def follow(result: object, span_id: str, known: Sequence[Stream]) -> Stream | None:
    """The stream that this result draws from: a known one, or a new one put in place; else None."""
    if not isinstance(result, StreamingResponse | AsyncStreamingResponse):
        return None
    source: Any = result.response_gen
    ours = next((stream for stream in known if stream.drives(source)), None)
    # What another instrumentation has put in its place may be a generator of both kinds.
    asynchronous = isinstance(result, AsyncStreamingResponse)
    if ours is None and isinstance(source, AsyncGenerator if asynchronous else Generator):
        ours = Stream(span_id)
        ours.replace(result, "response_gen", asynchronous=asynchronous)
    return ours


def follow_chat(response: StreamingAgentChatResponse, span_id: str) -> Stream | None:
    """The stream of a chat answer that is drawn by nobody but its reader; else None."""
    asynchronous = response.achat_stream is not None
    name = "achat_stream" if asynchronous else "chat_stream"
    if response.is_writing_to_memory or getattr(response, name) is None:
        return None
    stream = Stream(span_id)
    stream.replace(response, name, asynchronous=asynchronous)
    return stream


def _steps(source: Generator[Any], stream: Stream) -> Generator[Any]:
    try:
        while True:
            with stream.inside():
                try:
                    token = next(source)
                except StopIteration:
                    break
            stream.heard.took(token)
            yield token
    except BaseException as error:
        try:
            with stream.inside():
                source.close()
        finally:
            stream.end(error)
        raise
    stream.end(None)


async def _async_steps(source: AsyncGenerator[Any], stream: Stream) -> AsyncGenerator[Any]:
    try:
        while True:
            with stream.inside():
                try:
                    token = await anext(source)
                except StopAsyncIteration:
                    break
            stream.heard.took(token)
            yield token
    except BaseException as error:
        try:
            with stream.inside():
                await source.aclose()
        finally:
            stream.end(error)
        raise
    stream.end(None)
