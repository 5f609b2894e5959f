"""What the code around marked its requests with: OpenInference's context attributes and OpenTelemetry's baggage.

Both live in OpenTelemetry's context under plain names, so neither library is needed to read them.
"""

from typing import cast

from opentelemetry import baggage, context
from opentelemetry.context import Context
from opentelemetry.util.types import AttributeValue

from doctrail_core.telemetry import semconv as sc
from doctrail_core.text.identity import as_name

__all__ = ["marks", "suppressed", "who"]

# What every instrumentation asks; there is no public name for it.
_SUPPRESS = context._SUPPRESS_INSTRUMENTATION_KEY  # noqa: SLF001  # type: ignore[reportPrivateUsage]
_SESSION = (sc.SESSION_ID, sc.GENAI_CONVERSATION_ID)
_USER = (sc.USER_ID,)
_MARKS = (sc.METADATA, sc.TAGS, sc.PROMPT_TEMPLATE_VERSION)


def suppressed() -> bool:
    """Whether the running code is inside of `suppress_tracing` or `suppress_instrumentation`."""
    return bool(context.get_value(_SUPPRESS))


def who() -> tuple[str | None, str | None]:
    """The session and the user that the running code is marked with."""
    around = context.get_current()
    return (_named(_SESSION, around), _named(_USER, around)) if around else (None, None)


def marks(around: Context) -> dict[str, AttributeValue]:
    """What else it is marked with, as attributes of its spans."""
    if not around:
        return {}
    found = {name: context.get_value(name, around) for name in _MARKS}
    return {name: cast("AttributeValue", mark) for name, mark in found.items() if mark is not None}


def _named(names: tuple[str, ...], around: Context) -> str | None:
    marked = (context.get_value(name, around) for name in names)
    carried = (baggage.get_baggage(name, around) for name in names)
    said = next((value for value in (*marked, *carried) if value is not None), None)
    return as_name(said)
