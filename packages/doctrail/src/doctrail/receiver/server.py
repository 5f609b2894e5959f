"""OTLP/HTTP: `POST /v1/traces`.

Invariants: a request that is answered with 200 is on stable storage; one sender can neither fill the memory nor
hold up the others; nothing is read from a sender that may not send.
"""

import asyncio
import hmac
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from doctrail.receiver.answers import MEDIA_TYPES, accepted, refused
from doctrail.receiver.bodies import ENCODINGS, BodyTooLargeError, MalformedBodyError, unpacked
from doctrail.receiver.decoding import Decoded, Form, MalformedRequestError, decode
from doctrail.receiver.inbox import InboxFullError
from doctrail_core.durable.errors import StoreError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from doctrail.receiver.door import Door
    from doctrail.receiver.span import ReceivedSpan

__all__ = ["PATH", "Limits", "application"]

PATH = "/v1/traces"
_RETRY = 2
"""Seconds after which a sender may come again; exporters give up after ten in all."""

_Brought = tuple[list["ReceivedSpan"], asyncio.Future[None]]
"""What a request brought, and who waits for it to be safe."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What senders may ask of the door.

    Attributes:
        body: Bytes of one request, also when it is unpacked.
        bodies: Bytes of all requests that are being read, decoded or kept.
        seconds: In which a request must have come.
    """

    body: int = 32 << 20
    bodies: int = 128 << 20
    seconds: float = 30.0


def application(door: "Door", token: str | None = None, limits: Limits | None = None) -> Starlette:
    """The door as an ASGI application.

    Args:
        door: Where spans go.
        token: What a sender must show, if anything.
        limits: What senders may ask of it.
    """
    desk = _Desk(door, token, limits or Limits())
    return Starlette(
        routes=[Route(PATH, desk.receive, methods=["POST"])],
        exception_handlers={HTTPException: _explained, Exception: desk.failed},
    )


@dataclass(slots=True)
class _Desk:
    """Where requests are looked at, one after the other where that costs memory."""

    door: "Door"
    token: str | None
    limits: Limits
    _held: int = 0
    _decoding: asyncio.Lock = field(default_factory=asyncio.Lock)
    _arrivals: "_Arrivals" = field(init=False)

    def __post_init__(self) -> None:
        self._arrivals = _Arrivals(self.door)

    async def receive(self, request: "Request") -> "Response":
        self._admit(request)
        form = _form(request.headers)
        encoding = _encoding(request.headers)
        async with self._body(request) as body:
            decoded = await self._decoded(bytes(body), encoding, form)
            if decoded.spans:
                await self._kept(decoded)
        return accepted(decoded, form)

    async def failed(self, request: "Request", error: Exception) -> "Response":
        self.door.fault("receiving spans", error)
        return refused(500, "a fault of doctrail itself", _answer_form(request))

    def _admit(self, request: "Request") -> None:
        """Let nobody in who may not send, and nobody while there is no room."""
        given = request.headers.get("authorization", "")
        if self.token is not None:
            scheme, _, shown = given.partition(" ")
            same = hmac.compare_digest(shown.strip().encode(), self.token.encode())
            if scheme.lower() != "bearer" or not same:
                raise HTTPException(
                    401,
                    "a token is needed: set OTEL_EXPORTER_OTLP_HEADERS to"
                    " authorization=Bearer%20TOKEN",
                    {"WWW-Authenticate": "Bearer"},
                )
        elif "origin" in request.headers:
            # A page that somebody looks at on this machine could send, too; no exporter on a server says this.
            raise HTTPException(403, "requests of web pages are taken only with a token")
        try:
            self.door.check_room()
        except InboxFullError as error:
            _later(str(error))

    @asynccontextmanager
    async def _body(self, request: "Request") -> AsyncGenerator[bytearray]:
        body = bytearray()
        self._check_length(int(request.headers.get("content-length") or 0))
        try:
            async with asyncio.timeout(self.limits.seconds):
                async for piece in request.stream():
                    self._check_length(len(body) + len(piece))
                    self._hold(len(piece))
                    body += piece
            yield body
        except TimeoutError as error:
            raise HTTPException(408, "the request did not come in time") from error
        except ClientDisconnect as error:
            raise HTTPException(400, "the request broke off") from error
        finally:
            self._held -= len(body)

    def _check_length(self, length: int) -> None:
        if length > self.limits.body:
            raise HTTPException(413, f"a request may have at most {self.limits.body:,} bytes")

    def _hold(self, size: int) -> None:
        if self._held + size > self.limits.bodies:
            _later("too much is being received at this moment")
        self._held += size

    async def _decoded(self, body: bytes, encoding: str, form: Form) -> Decoded:
        """Decode it, alone: small bodies can become large in memory."""
        try:
            async with self._decoding:
                return await asyncio.to_thread(_read, body, encoding, self.limits.body, form)
        except BodyTooLargeError as error:
            raise HTTPException(413, str(error)) from error
        except (MalformedBodyError, MalformedRequestError) as error:
            raise HTTPException(400, str(error)) from error

    async def _kept(self, decoded: Decoded) -> None:
        try:
            await self._arrivals.put(decoded.spans)
        except InboxFullError as error:
            _later(str(error))
        except (StoreError, OSError) as error:
            raise HTTPException(503, "nothing can be kept", {"Retry-After": str(_RETRY)}) from error


@dataclass(slots=True)
class _Arrivals:
    """Has what several requests brought brought to stable storage at once."""

    door: "Door"
    _waiting: "list[_Brought]" = field(default_factory=list["_Brought"])
    _task: asyncio.Task[None] | None = None

    async def put(self, spans: "list[ReceivedSpan]") -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((spans, done))
        if self._task is None:
            self._task = asyncio.create_task(self._bring())
        await done

    async def _bring(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            spans = [span for brought, _ in batch for span in brought]
            try:
                await asyncio.to_thread(self.door.receive, spans)
                failed = None
            except Exception as error:  # noqa: BLE001  # who waits is told
                failed = error
            for _, done in batch:
                _tell(done, failed)
        self._task = None


def _tell(done: asyncio.Future[None], failed: Exception | None) -> None:
    if done.cancelled():
        return
    if failed is None:
        done.set_result(None)
    else:
        done.set_exception(failed)


def _read(body: bytes, encoding: str, limit: int, form: Form) -> Decoded:
    return decode(unpacked(body, encoding, limit), form)


def _form(headers: Mapping[str, str]) -> Form:
    """The form that a request is in.

    Raises:
        HTTPException: It is in none that we read.
    """
    said = headers.get("content-type", "").partition(";")[0].strip().lower()
    if said not in MEDIA_TYPES:
        raise HTTPException(415, f"the content type must be one of {', '.join(MEDIA_TYPES)}")
    return MEDIA_TYPES[said]


def _encoding(headers: Mapping[str, str]) -> str:
    said = headers.get("content-encoding", "").strip().lower() or "identity"
    if said not in ENCODINGS:
        raise HTTPException(415, f"the content encoding must be one of {', '.join(ENCODINGS)}")
    return said


def _later(message: str) -> NoReturn:
    raise HTTPException(429, message, {"Retry-After": str(_RETRY)})


async def _explained(request: "Request", error: Exception) -> "Response":
    assert isinstance(error, HTTPException)  # noqa: S101  # what it is registered for
    detail = error.detail
    if error.status_code == 404:  # noqa: PLR2004
        detail = (
            f"only {PATH} is here; set OTEL_METRICS_EXPORTER and OTEL_LOGS_EXPORTER to none where"
            " they are sent here, too"
        )
    return refused(error.status_code, detail, _answer_form(request), error.headers)


def _answer_form(request: "Request") -> Form:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return MEDIA_TYPES.get(said, "json")
