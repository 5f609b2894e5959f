"""What a span says, whichever conventions it follows; several may be followed at once."""

import re

from doctrail.receiver.span import ReceivedSpan
from doctrail.receiver.translation import genai, openinference, traceloop
from doctrail.receiver.translation.attributes import flat
from doctrail.receiver.translation.operation import Operation, together

__all__ = ["framework", "operation"]

_RESPONSE = "doctrail.response.id"
_LONGEST = 64
_PLAUSIBLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_HOST = re.compile(r"instrumentation[._/-](?:genai[._/-])?([A-Za-z][A-Za-z0-9_-]{1,40})")


def operation(span: ReceivedSpan) -> Operation:
    """What it says happened."""
    attributes = flat(span.attributes)
    told = openinference.read(span, attributes)
    for dialect in (traceloop, genai):
        told = together(told, dialect.read(span, attributes))
    response = attributes.get(_RESPONSE)
    if isinstance(response, str) and _PLAUSIBLE.fullmatch(response):
        return together(told, Operation(response_id=response))
    return told


def framework(span: ReceivedSpan) -> str:
    """The host that was instrumented, as far as the instrumentation's name tells."""
    found = _HOST.search(span.scope)
    if found:
        return found[1].replace("-", "_")
    convention = "openinference" if "openinference.span.kind" in span.attributes else "otlp"
    return span.scope[:_LONGEST] or convention
