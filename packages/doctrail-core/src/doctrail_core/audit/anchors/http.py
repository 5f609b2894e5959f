"""One request to an anchor's server; whatever it answers is an answer, and never a long one."""

from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from doctrail_core.audit.anchors.anchor import AnchorError

__all__ = ["Response", "get", "post"]

_PATIENCE = 15.0
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered."""

    status: int
    content_type: str
    body: bytes

    @property
    def said(self) -> str:
        """The beginning of the body, to be told to people."""
        return f"{self.status} {self.body[:200].decode(errors='replace').strip()}"


def post(url: str, body: bytes, content_type: str) -> Response:
    """Send bytes.

    Raises:
        AnchorError: There was no answer.
    """
    return _ask(Request(_checked(url), body, {"Content-Type": content_type}))  # noqa: S310 - checked


def get(url: str) -> Response:
    """Ask for what lies there.

    Raises:
        AnchorError: There was no answer.
    """
    return _ask(Request(_checked(url)))  # noqa: S310 - checked


def _ask(request: Request) -> Response:
    try:
        with _opener().open(request, timeout=_PATIENCE) as answer:
            body = answer.read(_MOST_BYTES + 1)
            status, content_type = answer.status, answer.headers.get_content_type()
    except (OSError, HTTPException, ValueError) as error:
        raise AnchorError(f"{request.full_url} does not answer: {error}") from error
    if len(body) > _MOST_BYTES:
        raise AnchorError(f"{request.full_url} answered with more than {_MOST_BYTES} bytes")
    return Response(status, content_type, body)


def _opener() -> OpenerDirector:
    """Follows no redirect: what is meant for one server is sent to no other."""
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    return opener


def _checked(url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https"):
        raise AnchorError(f"{url!r} is no http or https address")
    return url
