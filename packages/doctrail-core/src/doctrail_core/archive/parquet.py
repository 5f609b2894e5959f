"""Asking the segments' own files, through DuckDB: no server, and nothing that has to be filled first."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from doctrail_core.archive import ArchiveError
from doctrail_core.archive.folder import Archive
from doctrail_core.archive.index import PAGE, Hit, found_in
from doctrail_core.archive.libraries import duckdb
from doctrail_core.archive.manifest import Part
from doctrail_core.ledger.store import Found

__all__ = ["ParquetIndex"]

_HITS = """
    SELECT seq, rank, indirect, carried, status, complete, named FROM (
        SELECT * FROM read_parquet($files)
        WHERE document = $document AND seq > $after
            AND epoch_us(time) >= $begin AND epoch_us(time) < $end
        QUALIFY row_number() OVER (PARTITION BY seq ORDER BY segment DESC) = 1
    ) WHERE rank >= $rank ORDER BY seq
"""
_BODIES = "SELECT seq, body FROM read_parquet($files) WHERE seq IN (SELECT unnest($places))"


class ParquetIndex:
    """The archive of an installation as an index."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._library = duckdb()
        self._connection = self._library.connect(":memory:")

    def segments(self) -> Collection[int]:
        return set(self._archive.sealed())

    def with_document(
        self, document: int, begin_us: int, end_us: int, rank: int, after: int, segments: range
    ) -> Iterator[Found]:
        if not segments:
            return iter(())
        asked = {
            "files": self._files("links", segments),
            "document": document,
            "after": after,
            "begin": begin_us,
            "end": end_us,
            "rank": rank,
        }
        return found_in((Hit(*row) for row in self._rows(_HITS, asked)), self._bodies)

    def close(self) -> None:
        self._connection.close()

    def _bodies(self, places: Sequence[int]) -> Mapping[int, bytes]:
        segments = sorted({place // self._archive.width for place in places})
        asked = {"files": self._files("entries", segments), "places": places}
        return {seq: bytes(body) for seq, body in self._rows(_BODIES, asked)}

    def _files(self, part: Part, segments: Sequence[int]) -> list[str]:
        return [str(self._archive.file(segment, part)) for segment in segments]

    def _rows(self, query: str, asked: Mapping[str, object]) -> Iterator[tuple[Any, ...]]:
        try:
            cursor = self._connection.cursor().execute(query, asked)
            while rows := cursor.fetchmany(PAGE):
                yield from rows
        except self._library.Error as error:
            raise ArchiveError(f"{self._archive.path} cannot be asked: {error}") from error
