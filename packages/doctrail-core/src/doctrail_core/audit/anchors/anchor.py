"""What an anchor is: a place outside the operator's reach that holds, stamps or cosigns checkpoints.

An anchor never replaces what it holds. When it holds another tree of the same size for the same log, that is no failure
to publish: it is the finding that anchors are there for, and it is told as one (`ContradictionError`).
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol, Self

from doctrail_core.audit.checkpoint import Checkpoint
from doctrail_core.audit.note import NoteError, read_note

__all__ = [
    "Anchor",
    "AnchorError",
    "AnchorReceipt",
    "ContradictionError",
    "agreed",
    "folder_of",
    "head",
    "place_of",
]


class AnchorError(Exception):
    """An anchor could not be reached, or does not confirm; the message names it and says what to do."""


class ContradictionError(AnchorError):
    """The anchor holds what this checkpoint contradicts: the log was rewritten, or its origin is used twice."""


@dataclass(frozen=True, slots=True)
class AnchorReceipt:
    """That an anchor took a checkpoint.

    Attributes:
        anchor: Its name in the configuration.
        kind: What it is: `directory`, `s3`, `git`, `rfc3161` or `witness`.
        time: When, by the anchor's own clock where it tells; else by ours.
        checkpoint: The exact bytes that it took.
        where: The place it can be looked up at: a path, an address, a commit.
        evidence: What the anchor gave that proves it to others: a time-stamp token, cosignatures.
    """

    anchor: str
    kind: str
    time: datetime
    checkpoint: bytes
    where: str
    evidence: bytes = b""

    def to_json(self) -> str:
        return json.dumps(
            {
                "anchor": self.anchor,
                "kind": self.kind,
                "time": self.time.isoformat(),
                "checkpoint": self.checkpoint.decode(),
                "where": self.where,
                "evidence": b64encode(self.evidence).decode(),
            },
            sort_keys=True,
        )

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """The receipt that `to_json` wrote.

        Raises:
            ValueError: It did not write this.
        """
        try:
            fields = json.loads(line)
            return cls(
                fields["anchor"],
                fields["kind"],
                datetime.fromisoformat(fields["time"]),
                fields["checkpoint"].encode(),
                fields["where"],
                b64decode(fields["evidence"], validate=True),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("this line is no receipt of an anchor") from error


class Anchor(Protocol):
    """One place that checkpoints are published to."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...

    def publish(self, checkpoint: bytes) -> AnchorReceipt:
        """Have it hold, stamp or cosign a checkpoint. To publish one twice does no harm.

        Raises:
            AnchorError: It did not.
            ContradictionError: It holds what contradicts this one.
        """
        ...

    def verify(self, receipt: AnchorReceipt) -> None:
        """Ask the anchor, or its evidence, whether it still stands by a receipt.

        Raises:
            AnchorError: It does not, or cannot be asked.
        """
        ...

    def held(self, origin: str) -> Iterator[bytes]:
        """The checkpoints of a log that can be had back from it, oldest first; none where it keeps no copies.

        Raises:
            AnchorError: It cannot be asked.
        """
        ...


def head(checkpoint: bytes) -> Checkpoint:
    """What a checkpoint commits to. Whose signatures it has is for others to check.

    Raises:
        AnchorError: It is no checkpoint.
    """
    try:
        return Checkpoint.parse(read_note(checkpoint).text)
    except NoteError as error:
        raise AnchorError(
            f"what an anchor was given, or gave, is no checkpoint: {error}"
        ) from error


def folder_of(origin: str) -> str:
    """Where a log's checkpoints lie in a store that keeps those of many: any origin makes a sound name."""
    return sha256(origin.encode()).hexdigest()


def place_of(checkpoint: bytes) -> str:
    """Where one checkpoint lies. Names sort by size, and there is one for each size of a log."""
    known = head(checkpoint)
    return f"{folder_of(known.origin)}/{known.size:020d}.checkpoint"


def agreed(kept: bytes, checkpoint: bytes, where: str) -> bytes:
    """What is kept, where it says the same as the checkpoint; signatures may differ.

    Raises:
        ContradictionError: It says something else.
    """
    if str(head(kept)) != str(head(checkpoint)):
        raise ContradictionError(
            f"{where} holds another checkpoint of this size. Either this log was rewritten, or two logs have"
            " one origin; what is held there was left as it is."
        )
    return kept
