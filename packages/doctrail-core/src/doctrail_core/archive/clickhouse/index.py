"""Asking an index in ClickHouse, a page at a time: no answer has to be held open while it is read."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from doctrail_core.archive.clickhouse.target import ClickHouse
from doctrail_core.archive.index import PAGE, Hit, found_in
from doctrail_core.archive.manifest import SEGMENT
from doctrail_core.ledger.store import Found

__all__ = ["ClickHouseIndex"]

_HITS = f"""
    SELECT seq, rank, indirect, carried, status, complete, named FROM links
    WHERE log = {{log:String}} AND document = {{document:UInt64}} AND seq > {{after:Int64}}
        AND segment < {{segments:UInt32}}
        AND time >= fromUnixTimestamp64Micro({{begin:Int64}}, 'UTC')
        AND time < fromUnixTimestamp64Micro({{end:Int64}}, 'UTC')
    ORDER BY log, document, seq, segment DESC LIMIT 1 BY seq LIMIT {PAGE}
"""  # noqa: S608  # a number of ours
_BODIES = """
    SELECT seq, body FROM entries
    WHERE log = {{log:String}} AND seq BETWEEN {first} AND {last} AND {seq} IN ({places})
"""
_MANY = 1_000
"""So many places on a page lie in most granules between the first and the last: finding out which costs more than reading."""


class ClickHouseIndex:
    """The shards of an index, of which one log is asked for.

    Args:
        target: Where the segments were pushed to.
        log: Which log.
        width: Entries in a segment.
    """

    def __init__(self, target: ClickHouse, log: str, width: int = SEGMENT) -> None:
        self._target = target
        self._log = log
        self._width = width

    def segments(self) -> Collection[int]:
        return self._target.segments(self._log)

    def with_document(
        self, document: int, begin_us: int, end_us: int, rank: int, after: int, segments: range
    ) -> Iterator[Found]:
        shard = self._target.shard_of_document(document)
        asked = {
            "log": self._log,
            "document": document,
            "segments": segments.stop,
            "begin": begin_us,
            "end": end_us,
        }

        def hits() -> Iterator[Hit]:
            last = after
            while page := [Hit(*row) for row in shard.ask(_HITS, **asked, after=last)]:
                yield from (hit for hit in page if hit.rank >= rank)
                last = page[-1].seq

        return found_in(hits(), self._bodies)

    def close(self) -> None:
        self._target.close()

    def _bodies(self, places: Sequence[int]) -> Mapping[int, bytes]:
        by_segment: dict[int, list[int]] = {}
        for place in places:
            by_segment.setdefault(place // self._width, []).append(place)
        found: dict[int, bytes] = {}
        for shard, own in self._target.by_shard(by_segment):
            query = _BODIES.format(
                first=min(own),
                last=max(own),
                seq="seq" if len(own) < _MANY else "seq + 0",  # which no index is asked for
                places=",".join(map(str, own)),
            )
            found.update(shard.ask_bytes(query, log=self._log))  # pyright: ignore[reportArgumentType]  # of two columns
        return found
