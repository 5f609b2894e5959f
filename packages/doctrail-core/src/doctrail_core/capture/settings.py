"""What one installation keeps, and where. Code wins over environment, environment over default."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

Content = Literal["full", "hash", "off"]
"""`full` keeps texts in the trail store, `hash` only their hashes, `off` neither: ids, scores, offsets."""

Durability = Literal["bounded", "strict"]
"""What a power cut may cost: `bounded` the last 50 ms, `strict` nothing, at the price of a device flush."""

WhenUnrecorded = Literal["count", "refuse"]
"""What becomes of an answer that cannot be put on record: `count` gives it and tells of the loss, `refuse`
raises `NotRecordedError` in its place."""


Spans = Literal["all", "missing", "none"]
"""Which spans are emitted: `missing` leaves out those that another instrumentation in the process writes."""

SpanFamily = Literal["openinference", "genai", "backends"]
"""Attributes of OpenInference, of OpenTelemetry's GenAI conventions, and hints that some backends need."""

_CHOICES: dict[str, tuple[str, ...]] = {
    "content": get_args(Content),
    "spans": get_args(Spans),
    "durability": get_args(Durability),
    "when_unrecorded": get_args(WhenUnrecorded),
}


class SettingsError(ValueError):
    """A setting has a value that means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The choices of one installation.

    Attributes:
        home: The folder that holds all we keep (`DOCTRAIL_HOME`, default `./.doctrail`).
        content: Which texts the trail store keeps (`DOCTRAIL_CONTENT`).
        span_content: Whether spans carry texts as well as ids (`DOCTRAIL_SPAN_CONTENT`, else
            `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`); `OPENINFERENCE_HIDE_*` hide some all the same,
            and unless `content` is `full` they carry none.
        spans: Which spans are emitted (`DOCTRAIL_SPANS`).
        span_families: Whose attributes are on them (`DOCTRAIL_SPAN_FAMILIES`, with commas).
        service: The application's name (`DOCTRAIL_SERVICE`, else `OTEL_SERVICE_NAME`).
        durability: What a power cut may cost (`DOCTRAIL_DURABILITY`).
        when_unrecorded: What becomes of an answer that cannot be recorded (`DOCTRAIL_WHEN_UNRECORDED`).
        database: A `postgresql://` address of the ledger; default SQLite in `home` (`DOCTRAIL_DATABASE`).
    """

    home: Path = Path(".doctrail")
    content: Content = "full"
    span_content: bool = False
    spans: Spans = "missing"
    span_families: frozenset[SpanFamily] = frozenset(get_args(SpanFamily))
    service: str | None = None
    durability: Durability = "bounded"
    when_unrecorded: WhenUnrecorded = "count"
    database: str | None = field(default=None, repr=False)  # it may hold a password

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, **code: Any) -> Self:
        """Settings from code, then environment, then default.

        Args:
            environment: Where to look instead of `os.environ`.
            **code: Any field of this class; None means not given.

        Raises:
            SettingsError: A value is not one of those allowed; the message names them.
        """
        env = os.environ if environment is None else environment
        found: dict[str, Any] = {
            "home": env.get("DOCTRAIL_HOME"),
            "content": env.get("DOCTRAIL_CONTENT"),
            "span_content": _span_content(env),
            "spans": env.get("DOCTRAIL_SPANS"),
            "span_families": _listed(env.get("DOCTRAIL_SPAN_FAMILIES")),
            "service": env.get("DOCTRAIL_SERVICE") or env.get("OTEL_SERVICE_NAME"),
            "durability": env.get("DOCTRAIL_DURABILITY"),
            "when_unrecorded": env.get("DOCTRAIL_WHEN_UNRECORDED"),
            "database": env.get("DOCTRAIL_DATABASE"),
        }
        found |= {name: value for name, value in code.items() if value is not None}
        given = {name: value for name, value in found.items() if value not in (None, "")}
        if "home" in given:
            given["home"] = Path(given["home"]).expanduser()
        if "span_families" in given:
            given["span_families"] = frozenset(given["span_families"])
        for name, words in _CHOICES.items():
            if given.get(name, words[0]) not in words:
                raise SettingsError(
                    f"{name} is {given[name]!r}; it must be one of {', '.join(words)}"
                    f" (set in code or as DOCTRAIL_{name.upper()})"
                )
        if unknown := given.get("span_families", frozenset()) - set(get_args(SpanFamily)):
            raise SettingsError(
                f"span_families has {', '.join(sorted(unknown))}; it may have"
                f" {', '.join(get_args(SpanFamily))} (set in code or as DOCTRAIL_SPAN_FAMILIES)"
            )
        return cls(**given)


def _span_content(env: Mapping[str, str]) -> bool | None:
    ours = _switch(env, "DOCTRAIL_SPAN_CONTENT")
    if ours is None:
        theirs = env.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "")
        return theirs.strip().lower() in ("span_only", "span_and_event", "true")
    return ours


def _listed(words: str | None) -> frozenset[str] | None:
    if not words:
        return None
    return frozenset(word.strip().lower() for word in words.split(",") if word.strip())


def _switch(env: Mapping[str, str], name: str) -> bool | None:
    word = env.get(name, "").strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    if word == "":
        return None
    raise SettingsError(f"{name} is {env[name]!r}; it must be on or off")
