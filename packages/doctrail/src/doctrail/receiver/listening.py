"""Where the door listens, and for how long."""

import asyncio
import ipaddress
import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from doctrail import exit_codes
from doctrail.errors import UsageError

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["address_of", "is_loopback", "listening", "serve", "served_with"]

_CONNECTIONS = 512
_GRACE = 10
"""Seconds in which requests may end when the door closes."""
_PATIENCE = 30.0
"""Seconds in which a request has to begin."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it.

    Raises:
        UsageError: There is no such host.
    """
    return all(ipaddress.ip_address(place[4][0]).is_loopback for place in _places(host, 0))


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        UsageError: It cannot, mostly because another program does.
    """
    family, _, _, _, place = _places(host, port)[0]
    taken = socket.socket(family)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(place)
        taken.listen(_CONNECTIONS)
    except OSError as error:
        taken.close()
        raise UsageError(
            f"port {port} of {host} cannot be used: {error.strerror}. Another collector may listen there;"
            " stop it, or choose another port with --port"
        ) from error
    return taken


def address_of(listens: socket.socket) -> str:
    """What to set OTEL_EXPORTER_OTLP_ENDPOINT to."""
    host, port = listens.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def served_with(application: "Starlette") -> uvicorn.Config:
    """How requests are read and answered."""
    return uvicorn.Config(
        application,
        http=_Impatient,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE,
    )


def serve(application: "Starlette", listens: socket.socket) -> None:
    """Answer requests until the process is told to end; those that are being answered are finished first."""
    logging.getLogger("uvicorn.error").setLevel(
        logging.ERROR
    )  # it warns of every odd request of a stranger
    # When all is answered, uvicorn raises the signal again that ended it; there is still something to close.
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        uvicorn.Server(served_with(application)).run(sockets=[listens])
    finally:
        signal.signal(signal.SIGTERM, before)


class _Impatient(H11Protocol):
    """Gives up connections on which no request begins in time; uvicorn does that only after the first answer."""

    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
        super().connection_made(transport)
        self._since = self.loop.time()
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_answering: bool = self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]  # it is None at first
        if not is_answering and self.timeout_keep_alive_task is None:
            self._wait()

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        super().on_response_complete()

    def _wait(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_at(
            self._since + _PATIENCE, self.timeout_keep_alive_handler
        )


def _leave(*_: object) -> NoReturn:
    sys.exit(exit_codes.OK)


def _places(host: str, port: int) -> list[tuple[Any, Any, Any, Any, Any]]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(f"--host {host}: {error.strerror}") from error
