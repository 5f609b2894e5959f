"""Reads what a judge replies, as far as it can be read without guessing.

Whatever the reply holds: it is read, or a `MalformedReplyError` says what is wrong. A ruling counts only
for claims and sources of this call, and not at all if the judge gave another one for the same claim.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from doctrail_core.model import VerdictKind

__all__ = ["MalformedReplyError", "Quote", "Ruling", "rulings"]

_LONGEST = 400_000
_FAILURES = 50
_DEEPEST = 3
_JSON = json.JSONDecoder(strict=False)
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_START = re.compile(r"[{\[]")
_TRAILING_COMMA = re.compile(r",(?=\s*+[}\]])")
_WORDS = re.compile(r"[^a-z]+")
_VERDICTS: Mapping[str, VerdictKind] = {
    "supported": "supported",
    "entailed": "supported",
    "contradicted": "contradicted",
    "refuted": "contradicted",
    "unsupported": "unsupported",
    "not_supported": "unsupported",
    "no_claim": "not_checked",
}


class MalformedReplyError(ValueError):
    """A reply that cannot be read; the message says why, to whoever wrote it."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a judge quotes, and the source that it names; an empty name is none of this call."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a judge says of one claim, with all that it quotes for it."""

    verdict: VerdictKind
    quotes: tuple[Quote, ...] = ()


def rulings(reply: str, claims: Collection[str], sources: Collection[str]) -> dict[str, Ruling]:
    """The rulings of a reply, by the names of the claims.

    Raises:
        MalformedReplyError: There are none.
    """
    entries = list(_entries(_THOUGHT.sub("", reply[:_LONGEST])))
    if not entries:
        raise MalformedReplyError("there is no JSON in it with an entry for each claim")
    by_name = {name.casefold(): name for name in (*claims, *sources)}
    found: dict[str, Ruling] = {}
    contested: set[str] = set()
    for entry in entries:
        claim = _name(entry, "claim", by_name)
        ruling = _ruling(entry, by_name, sources)
        if claim not in claims or ruling is None:
            continue
        known = found.get(claim, ruling)
        if known.verdict != ruling.verdict:
            contested.add(claim)
        found[claim] = (
            ruling if known is ruling else replace(known, quotes=known.quotes + ruling.quotes)
        )
    usable = {claim: ruling for claim, ruling in found.items() if claim not in contested}
    if not usable:
        raise MalformedReplyError("it has no entry with a claim's name and a verdict")
    return usable


def _ruling(
    entry: Mapping[str, Any], by_name: Mapping[str, str], sources: Collection[str]
) -> Ruling | None:
    verdict = _VERDICTS.get(_WORDS.sub("_", _text(entry.get("verdict")).casefold()).strip("_"))
    if verdict is None:
        return None
    quote = _text(entry.get("quote")).strip()
    source = _name(entry, "source", by_name)
    return Ruling(verdict, (Quote(source if source in sources else "", quote),) if quote else ())


def _name(entry: Mapping[str, Any], key: str, by_name: Mapping[str, str]) -> str:
    return by_name.get(_text(entry.get(key)).strip().casefold(), "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _entries(reply: str) -> Iterator[Mapping[str, Any]]:
    """The entries of all the JSON in it, with what can be read of JSON that breaks off."""
    text, at, failures = _TRAILING_COMMA.sub("", reply), 0, 0
    while (start := _START.search(text, at)) and failures < _FAILURES:
        try:
            value, at = _JSON.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            at, failures = start.end(), failures + 1
        else:
            yield from _within(value)


def _within(value: object, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Objects that speak of a claim, wherever a judge put them."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _within(item, depth + 1)
    elif isinstance(value, dict):
        entry = cast("dict[str, Any]", value)
        if "claim" in entry:
            yield entry
            return
        for name, item in entry.items():
            named = {"claim": name, **cast("dict[str, Any]", item)} if _is_bare(item) else item
            yield from _within(named, depth + 1)


def _is_bare(item: object) -> bool:
    """Whether it is an entry that stands under its claim's name."""
    return isinstance(item, dict) and "verdict" in item and "claim" not in item
