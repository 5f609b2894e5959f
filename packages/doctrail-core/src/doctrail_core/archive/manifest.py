"""What a segment is: which entries of which log, the root of the tree over them, and what its files must be."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, cast, get_args

from doctrail_core.archive import ArchiveError
from doctrail_core.ledger.tree import TILE_WIDTH

__all__ = ["LAYOUT", "PARTS", "SEGMENT", "Manifest", "Part", "PartFile"]

SEGMENT = TILE_WIDTH**2
"""So many entries are a segment: one hash of the tree's second level stands for all of them."""
LAYOUT = 1
"""Of the columns; see `doctrail_core.archive.columns`."""

Part = Literal["entries", "links", "documents"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, slots=True)
class PartFile:
    """A file of a segment.

    Attributes:
        sha256: Of its bytes, in hex.
    """

    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A segment, in words.

    Attributes:
        log: Which log it is of: what the log's first entry says.
        segment: Its number.
        start: The place of its first entry.
        end: The place after its last one.
        root: Of the tree over its entries alone.
        since_us: The time of its earliest entry.
        until_us: Of its latest one.
    """

    log: str
    segment: int
    start: int
    end: int
    root: bytes
    since_us: int
    until_us: int
    parts: Mapping[Part, PartFile]

    def to_json(self) -> str:
        told: dict[str, Any] = {
            "layout": LAYOUT,
            "log": self.log,
            "segment": self.segment,
            "from": self.start,
            "to": self.end,
            "root": self.root.hex(),
            "since_us": self.since_us,
            "until_us": self.until_us,
            "parts": {name: asdict(part) for name, part in self.parts.items()},
        }
        return f"{json.dumps(told, indent=2)}\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote.

        Raises:
            ArchiveError: It did not write this.
        """
        try:
            told = cast("dict[str, Any]", json.loads(text))
            if told["layout"] != LAYOUT:
                raise ArchiveError(
                    f"a segment of layout {told['layout']}, this doctrail knows {LAYOUT}: upgrade"
                )
            return cls(
                log=str(told["log"]),
                segment=int(told["segment"]),
                start=int(told["from"]),
                end=int(told["to"]),
                root=bytes.fromhex(told["root"]),
                since_us=int(told["since_us"]),
                until_us=int(told["until_us"]),
                parts={name: PartFile(**told["parts"][name]) for name in PARTS},
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ArchiveError("a segment's manifest cannot be read") from error
