"""Puts trails into the store on a server. Each text is there once, whatever number of trails and of homes has it."""

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import LiteralString

from doctrail_core.durable.columns import rank_of_grade
from doctrail_core.durable.postgres import ServerWriter
from doctrail_core.durable.served import Served
from doctrail_core.model import Trail
from doctrail_core.text.identity import canonical_id
from doctrail_core.trails.codec import Parts, Use, encode, taken_apart
from doctrail_core.trails.findings import Filed, filed, findings_of, is_finding
from doctrail_core.trails.postgres.schema import SCHEMA, message_key, searchable, stored

__all__ = ["PostgresTrailWriter"]

_TURNS = "SELECT pg_advisory_xact_lock(%s, 0)"
_ADD_TRAIL = """
    INSERT INTO trail (response_id, started_us, ended_us, status, session_id, user_id, trace_id, turn,
        messages, question, answer, words, body)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s::bytea[], %s, %s, %s, %s)
"""
_ADD_TEXTS = """
    INSERT INTO content (content_hash, text)
    SELECT * FROM unnest(%s::text[], %s::text[]) ON CONFLICT DO NOTHING
"""
_ADD_CHUNKS = """
    INSERT INTO chunk (document_id, chunk_id, content_hash, position, source)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[]) AS new
        (document_id, chunk_id, content_hash, position, source)
    WHERE NOT EXISTS (
        SELECT FROM chunk WHERE chunk.document_id = new.document_id
            AND chunk.chunk_id = new.chunk_id AND chunk.content_hash = new.content_hash
    )
"""
_ADD_USES = """
    INSERT INTO usage (chunk_ref, trail_ref, grade, indirect)
    SELECT chunk.ref, trail.ref, grade, indirect
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::smallint[], %s::boolean[]) AS new
        (document_id, chunk_id, content_hash, grade, indirect)
    JOIN chunk USING (document_id, chunk_id, content_hash)
    JOIN trail ON trail.response_id = %s
"""
_ADD_FINDING = "INSERT INTO finding (response_id, kind, body) VALUES (%s, %s, %s)"
_REACHED = """
    UPDATE usage SET grade = greatest(grade, reached.rank)
    FROM unnest(%s::text[], %s::smallint[]) AS reached (chunk_id, rank)
    JOIN chunk USING (chunk_id)
    WHERE usage.chunk_ref = chunk.ref AND trail_ref = (SELECT ref FROM trail WHERE response_id = %s)
"""
_REMOVE_USES = """
    DELETE FROM usage WHERE trail_ref = (SELECT ref FROM trail WHERE response_id = %s)
"""
_REMOVE_TRAIL = "DELETE FROM trail WHERE response_id = %s"
_REMOVE_FINDINGS = "DELETE FROM finding WHERE response_id = %s"
_DROP_CHUNKS = """
    DELETE FROM chunk WHERE NOT EXISTS (SELECT FROM usage WHERE chunk_ref = chunk.ref)
"""
_DROP_TEXTS = """
    WITH gone AS (
        DELETE FROM content
        WHERE NOT EXISTS (SELECT FROM chunk WHERE chunk.content_hash = content.content_hash)
        RETURNING 1
    )
    SELECT count(*) FROM gone
"""
_TABLES: Sequence[LiteralString] = ("trail", "content", "chunk", "usage", "finding")


class PostgresTrailWriter(ServerWriter):
    """One trail that is there already is replaced: what came later knows more."""

    def __init__(self, place: Served) -> None:
        super().__init__(place, SCHEMA)

    def commit(
        self, payloads: Sequence[bytes], cursors: Mapping[str, int], forgotten: Collection[str]
    ) -> None:
        """Add records and move the cursors, all or nothing."""
        with self._transaction(cursors, forgotten), self._alone(), self._connection.pipeline():
            for payload in payloads:
                self._add(payload)

    @contextmanager
    def changing(self) -> Generator[None]:
        """Keep what is changed inside, or nothing of it."""
        with self._transaction({}, ()), self._alone():
            yield

    def replace(self, trail: Trail) -> None:
        """Put a trail, and what was said about it, in the place of the one of the same id."""
        self._tell(_REMOVE_FINDINGS, canonical_id(trail.response_id))
        self._add(encode(trail))
        for payload in findings_of(trail):
            self._add(payload)

    def remove(self, response_id: str) -> None:
        """Delete a trail, and what was said about it."""
        key = canonical_id(response_id)
        self._tell(_REMOVE_FINDINGS, key)
        self._remove(key)

    def drop_unused(self) -> int:
        """Delete the chunks that no trail has any more, and the texts that no chunk has; returns how many texts."""
        self._run(_DROP_CHUNKS)
        return self._run(_DROP_TEXTS)[0][0]

    def scrub(self, *, whole: bool = True) -> None:
        """Leave nothing of what was deleted in the tables; the server's own log and its copies are not reached."""
        self._vacuum(_TABLES, whole=whole)

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Homes take turns: their trails share chunks and texts."""
        self._run(_TURNS, self._schema.lock)
        yield

    def _add(self, payload: bytes) -> None:
        if is_finding(payload):
            self._add_finding(filed(payload))
        else:
            self._add_trail(taken_apart(payload))

    def _add_finding(self, found: Filed) -> None:
        self._tell(_ADD_FINDING, found.about, found.kind, found.body)
        self._tell(_REACHED, list(found.grades), list(found.grades.values()), found.about)

    def _add_trail(self, trail: Parts) -> None:
        self._remove(trail.response_id)
        self._tell(
            _ADD_TRAIL,
            *(trail.response_id, trail.started_us, trail.ended_us, trail.status),
            *(trail.session_id, trail.user_id, stored(trail.trace_id), trail.turn),
            [message_key(each) for each in trail.message_ids],
            *(stored(trail.question), stored(trail.answer)),
            searchable(trail.question, trail.answer),
            trail.body,
        )
        had = dict.fromkeys(use[2] for use in trail.uses)
        texts = {key: stored(trail.texts[key]) for key in sorted(had) if key in trail.texts}
        self._tell(_ADD_TEXTS, list(texts), list(texts.values()))
        uses = trail.uses
        places = [use[3] for use in uses]
        self._tell(_ADD_CHUNKS, *_keys(uses), places, [stored(use[4]) for use in uses])
        # The records of before there was such a thing do not say whether it was indirect.
        grades = [rank_of_grade(use[5]) for use in uses]
        self._tell(
            _ADD_USES, *_keys(uses), grades, [any(use[6:]) for use in uses], trail.response_id
        )

    def _remove(self, response_id: str) -> None:
        self._tell(_REMOVE_USES, response_id)
        self._tell(_REMOVE_TRAIL, response_id)

    def _tell(self, statement: LiteralString, *parameters: object) -> None:
        """Run a statement of which nothing comes back: the next one need not wait for it."""
        self._connection.execute(statement, parameters)


def _keys(uses: Iterable[Use]) -> tuple[list[str], list[str], list[str]]:
    """Documents, chunks and hashes."""
    listed = list(uses)
    return [u[0] for u in listed], [u[1] for u in listed], [u[2] for u in listed]
