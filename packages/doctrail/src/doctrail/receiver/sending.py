"""Spans that the door itself writes, sent on: what it found out about answers that others wrote spans of.

It never sends to itself.
"""

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from doctrail.errors import UsageError
from doctrail.receiver.listening import is_loopback

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator

    from opentelemetry.trace import TracerProvider

__all__ = ["sending"]


@contextmanager
def sending(url: str, listens: "socket.socket") -> "Generator[TracerProvider]":
    """Whoever is given spans, and sends them there; what is left is sent in the end.

    Args:
        url: Where another collector or backend takes traces.
        listens: Where the door itself does.

    Raises:
        UsageError: It is no such address, or the door's own, or what sends is not installed.
    """
    _check(url, listens)
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--send: {error.name} is not installed: pip install 'doctrail[send]'"
        ) from error
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url)))
    try:
        yield provider
    finally:
        provider.shutdown()


def _check(url: str, listens: "socket.socket") -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"--send {url}: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(
            f"--send {url}: it must be where a collector takes traces, such as http://127.0.0.1:6006/v1/traces"
        )
    own, own_port = listens.getsockname()[:2]
    if port == own_port and (host == own or is_loopback(host)):
        raise UsageError(f"--send {url}: that is this door itself")
