"""The anchors of an installation, as its `audit/config.json` names them."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from doctrail_core.audit.anchors.anchor import Anchor, AnchorError
from doctrail_core.audit.anchors.receipts import Receipts
from doctrail_core.durable.home import Home

if TYPE_CHECKING:
    from doctrail_core.audit.anchors.witness import Consistency

__all__ = ["EVERY", "KINDS", "Configured", "configured"]

EVERY = 3600
"""Seconds between two checkpoints that an anchor gets, unless it is configured otherwise."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Configured:
    """An anchor, and how it is used.

    Attributes:
        every: Seconds between two checkpoints that it gets.
        receipts: What it gave, and whether it fails.
    """

    anchor: Anchor
    every: float
    receipts: Receipts


def configured(home: Home) -> list[Configured]:
    """The anchors of an installation; none where nothing is configured.

    Raises:
        AnchorError: The configuration makes no sense; the message names the entry.
    """
    path = home.path / "audit" / "config.json"
    try:
        named = json.loads(path.read_bytes())["anchors"]
    except (FileNotFoundError, KeyError):
        return []
    except (ValueError, TypeError) as error:
        raise AnchorError(f"{path} is no JSON object: {error}") from error
    if not isinstance(named, list):
        raise AnchorError(f"{path}: `anchors` must be a list of objects")
    found = [
        _one(home, raw, f"{path}: anchors[{number}]")
        for number, raw in enumerate(cast("list[Any]", named))
    ]
    names = [each.anchor.name for each in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise AnchorError(
            f"{path}: several anchors are called {min(twice)}; give each a `name` of its own"
        )
    return found


def _one(home: Home, raw: Any, where: str) -> Configured:
    if not isinstance(raw, dict):
        raise AnchorError(f"{where} must be an object")
    entry = _Entry(cast("dict[str, Any]", raw), home, where)
    every = entry.number("every", EVERY)
    anchor = entry.maker(entry)
    entry.refuse_the_rest()
    return Configured(anchor, every, entry.receipts)


class _Entry:
    """One entry, whose values are asked for once each; one that nobody asked for is a mistake of spelling."""

    def __init__(self, values: Mapping[str, Any], home: Home, where: str) -> None:
        self._values = dict(values)
        self.where = where
        self.home = home
        kind = self.text("kind")
        if kind not in KINDS:
            raise AnchorError(f"{where}: kind is {kind!r}; it must be one of {', '.join(KINDS)}")
        self.maker = KINDS[kind]
        self.name = self.text("name", kind)
        if not _NAME.fullmatch(self.name):
            raise AnchorError(
                f"{where}: name is {self.name!r}; use up to 64 letters, digits, . _ and -"
            )
        self.receipts = Receipts(home.path / "audit" / "anchors", self.name)

    def text(self, key: str, default: str | None = None) -> str:
        found = self.optional(key)
        if found is None and default is None:
            raise AnchorError(f"{self.where} lacks {key!r}")
        return found or default or ""

    def optional(self, key: str) -> str | None:
        found = self._values.pop(key, None)
        if found is not None and not (isinstance(found, str) and found):
            raise AnchorError(f"{self.where}: {key} must be a text")
        return found

    def number(self, key: str, default: float) -> float:
        found = self._values.pop(key, default)
        if isinstance(found, bool) or not isinstance(found, int | float) or not found >= 0:
            raise AnchorError(f"{self.where}: {key} must be a number, 0 or more")
        return found

    def texts(self, key: str) -> Sequence[str]:
        """One text, or a list of them."""
        found = self._values.pop(key, None)
        several = cast("list[object]", found if isinstance(found, list) else [found])
        if not several or not all(isinstance(each, str) and each for each in several):
            raise AnchorError(f"{self.where}: {key} must be a text, or a list of texts")
        return cast("list[str]", several)

    def path(self, key: str) -> Path:
        return Path(self.text(key)).expanduser()

    def refuse_the_rest(self) -> None:
        if self._values:
            raise AnchorError(f"{self.where}: {min(self._values)!r} means nothing there")


def _directory(entry: _Entry) -> Anchor:
    from doctrail_core.audit.anchors.directory import DirectoryAnchor

    return DirectoryAnchor(entry.name, entry.path("path"))


def _git(entry: _Entry) -> Anchor:
    from doctrail_core.audit.anchors.git import GitAnchor

    return GitAnchor(entry.name, entry.path("path"), entry.optional("remote"))


def _s3(entry: _Entry) -> Anchor:
    from doctrail_core.audit.anchors.s3 import LOCK_MODES, S3Anchor

    mode = entry.text("mode", LOCK_MODES[0])
    if mode not in LOCK_MODES:
        raise AnchorError(f"{entry.where}: mode must be one of {', '.join(LOCK_MODES)}")
    return S3Anchor(
        entry.name,
        entry.text("bucket"),
        prefix=entry.optional("prefix") or "",
        endpoint=entry.optional("endpoint"),
        retain_days=int(entry.number("retain_days", 0)) or None,
        mode=mode,
    )


def _rfc3161(entry: _Entry) -> Anchor:
    from doctrail_core.audit.anchors.rfc3161 import Rfc3161Anchor

    own = entry.optional("certificate")
    return Rfc3161Anchor(
        entry.name,
        entry.text("url"),
        roots=entry.path("roots"),
        certificate=Path(own).expanduser() if own else None,
    )


def _witness(entry: _Entry) -> Anchor:
    from doctrail_core.audit.anchors.anchor import head
    from doctrail_core.audit.anchors.witness import WitnessAnchor
    from doctrail_core.audit.note import ED25519, NoteError, VerifierKey

    try:
        keys = [VerifierKey.parse(text) for text in entry.texts("keys")]
    except NoteError as error:
        raise AnchorError(f"{entry.where}: {error}") from error
    if any(key.kind == ED25519 for key in keys):
        raise AnchorError(f"{entry.where}: keys must be those of a witness, of type 4 or 6")
    last = entry.receipts.last()
    return WitnessAnchor(
        entry.name,
        entry.text("url"),
        keys=keys,
        consistency=_consistency_of(entry.home),
        monitoring=entry.optional("monitoring"),
        seen=head(last.checkpoint).size if last else 0,
    )


def _consistency_of(home: Home) -> "Consistency":
    """Proves from the ledger as it is in its store."""

    def consistency(old: int, new: int) -> Sequence[bytes]:
        from doctrail_core.ledger import open_ledger

        with open_ledger(home, drain=False) as ledger:
            return ledger.consistency(old, new)

    return consistency


KINDS: Mapping[str, Callable[["_Entry"], Anchor]] = {
    "directory": _directory,
    "s3": _s3,
    "git": _git,
    "rfc3161": _rfc3161,
    "witness": _witness,
}
"""What an anchor may be, and what makes it."""
