"""Filling an index of one or several shards.

Links go to the shard of their document, so that what is asked of one document is asked of one shard; entries and the
tags of documents to the shard of their segment.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from doctrail_core.archive.clickhouse.shard import Shard
from doctrail_core.archive.folder import Archive
from doctrail_core.archive.libraries import compute
from doctrail_core.archive.manifest import PARTS, Manifest, Part

__all__ = ["ClickHouse"]


class ClickHouse:
    """An index. Where a segment is pushed as a whole or in part, no other is being pushed at the same time."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.shards = [Shard(url, number, len(urls)) for number, url in enumerate(urls)]
        self.name = " ".join(shard.name for shard in self.shards)

    def prepare(self) -> None:
        for shard in self.shards:
            shard.prepare()

    def arrived(self, manifests: Iterable[Manifest]) -> Collection[int]:
        known = {manifest.segment: manifest.log for manifest in manifests}
        there = {log: self.segments(log) for log in set(known.values())}
        return {segment for segment, log in known.items() if segment in there[log]}

    def segments(self, log: str) -> Collection[int]:
        """The segments of a log that are here, as far as the servers still have what they had: rows are counted."""
        if not all(shard.is_prepared() for shard in self.shards):
            return set()
        arrived: list[tuple[Shard, Part, Collection[int]]] = [
            (shard, part, shard.arrived(log, part)) for shard in self.shards for part in PARTS
        ]
        return {
            segment
            for segment in {number for _, _, here in arrived for number in here}
            if all(
                segment in here
                for shard, part, here in arrived
                if self._holds(shard, part, segment)
            )
        }

    def shard_of_document(self, document: int) -> Shard:
        """Where the links of a document are."""
        return self.shards[document % len(self.shards)]

    def by_shard(
        self, by_segment: Mapping[int, Sequence[int]]
    ) -> Iterator[tuple[Shard, Sequence[int]]]:
        """Where entries are, of which places are given by segment."""
        for shard in self.shards:
            own = [
                place
                for segment, places in by_segment.items()
                if self._holds(shard, "entries", segment)
                for place in places
            ]
            if own:
                yield shard, own

    def push(self, archive: Archive, manifest: Manifest) -> None:
        for part in PARTS:
            rows = archive.read(manifest.segment, part)
            if part == "entries":
                rows = rows.drop_columns(["leaf"])
            for shard in self.shards:
                if self._holds(shard, part, manifest.segment):
                    own = self._own(shard, part, rows)
                    content = manifest.parts[part].sha256
                    shard.put(manifest.log, manifest.segment, part, content, own)

    def close(self) -> None:
        for shard in self.shards:
            shard.close()

    def _holds(self, shard: Shard, part: Part, segment: int) -> bool:
        return part == "links" or segment % len(self.shards) == shard.number

    def _own(self, shard: Shard, part: Part, rows: Any) -> Any:
        if part != "links" or len(self.shards) == 1:
            return rows
        pc = compute()
        count = len(self.shards)
        document = rows["document"]
        remainder = pc.subtract(document, pc.multiply(pc.divide(document, count), count))
        return rows.filter(pc.equal(remainder, shard.number))
