"""What the code around marked its requests with: OpenInference's context attributes and OpenTelemetry's baggage.

Both live in OpenTelemetry's context under plain names, so neither library is needed to read them.
"""

from collections.abc import Mapping
from typing import cast

from opentelemetry import baggage, context
from opentelemetry.context import Context
from opentelemetry.util.types import AttributeValue

from doctrail_core.telemetry import semconv as sc
from doctrail_core.text.identity import as_name

__all__ = ["marked", "marks", "suppressed", "who"]

# What every instrumentation asks; there is no public name for it. The second is what it once was.
_SUPPRESS = (
    context._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001  # type: ignore[reportPrivateUsage]
    "suppress_instrumentation",
)
_SESSION = (sc.SESSION_ID, sc.GENAI_CONVERSATION_ID)
_USER = (sc.USER_ID,)
_MARKS = (sc.METADATA, sc.TAGS, sc.PROMPT_TEMPLATE_VERSION)


def suppressed() -> bool:
    """Whether the running code is inside of `suppress_tracing` or `suppress_instrumentation`."""
    around = context.get_current()
    return any(around.get(key) for key in _SUPPRESS)


def who() -> tuple[str | None, str | None]:
    """The session and the user that the running code is marked with."""
    around = context.get_current()
    if not around:
        return None, None
    carried = baggage.get_all(around)
    return _named(_SESSION, around, carried), _named(_USER, around, carried)


def marks(around: Context) -> dict[str, AttributeValue]:
    """What else it is marked with, as attributes of its spans."""
    if not around:
        return {}
    found = {name: around.get(name) for name in _MARKS}
    return {name: cast("AttributeValue", mark) for name, mark in found.items() if mark is not None}


def marked(around: Context) -> Context:
    """The context with what the running code is marked with, which is nearer than what `around` says."""
    for name, mark in marks(context.get_current()).items():
        around = context.set_value(name, mark, around)
    return around


def _named(names: tuple[str, ...], *places: Mapping[str, object]) -> str | None:
    """What the first place says that says anything."""
    for place in places:
        for name in names:
            if (said := as_name(place.get(name))) is not None:
                return said
    return None
