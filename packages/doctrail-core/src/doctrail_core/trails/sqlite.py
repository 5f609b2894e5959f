"""The trail store in an SQLite file. Each text is there once, whatever number of trails has it."""

import json
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from doctrail_core.durable.columns import (
    grade_of_rank,
    involvement,
    microseconds,
    moment,
    rank_of_grade,
)
from doctrail_core.durable.database import Reader, Schema, Writer, peek_cursors
from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.opening import explained
from doctrail_core.model import Assessment, Diagnosis, Status, Trail
from doctrail_core.text.identity import canonical_id, clean_text
from doctrail_core.trails.codec import Parts, Use, encode, joined, taken_apart
from doctrail_core.trails.findings import (
    Filed,
    decode,
    encode_assessment,
    encode_diagnosis,
    filed,
    is_finding,
    joined_with,
)
from doctrail_core.trails.phrases import holds, indexable, search_terms
from doctrail_core.trails.store import ChunkUse, TrailSummary

__all__ = ["TrailDatabase", "TrailReader", "TrailWriter"]

_SCHEMA = Schema(
    "trail store",
    0x64747431,
    (
        """
        CREATE TABLE trail (
            ref INTEGER PRIMARY KEY, response_id TEXT NOT NULL UNIQUE,
            started_us INTEGER NOT NULL, ended_us INTEGER NOT NULL, status TEXT NOT NULL,
            session_id TEXT, user_id TEXT, trace_id TEXT,
            question TEXT, answer TEXT, body BLOB NOT NULL
        );
        CREATE INDEX trail_time ON trail (started_us);
        CREATE INDEX trail_session ON trail (session_id) WHERE session_id IS NOT NULL;
        CREATE INDEX trail_user ON trail (user_id) WHERE user_id IS NOT NULL;
        CREATE INDEX trail_trace ON trail (trace_id) WHERE trace_id IS NOT NULL;
        CREATE INDEX trail_status ON trail (status) WHERE status <> 'ok';
        CREATE TABLE message (
            message_id TEXT NOT NULL, trail_ref INTEGER NOT NULL,
            PRIMARY KEY (message_id, trail_ref)
        ) WITHOUT ROWID;
        CREATE INDEX message_trail ON message (trail_ref);
        CREATE TABLE content (content_hash TEXT PRIMARY KEY, text TEXT NOT NULL);
        CREATE TABLE chunk (
            ref INTEGER PRIMARY KEY, document_id TEXT NOT NULL, chunk_id TEXT NOT NULL,
            content_hash TEXT NOT NULL, position INTEGER, source TEXT,
            UNIQUE (document_id, chunk_id, content_hash)
        );
        CREATE TABLE usage (
            chunk_ref INTEGER NOT NULL, trail_ref INTEGER NOT NULL, grade INTEGER NOT NULL,
            PRIMARY KEY (chunk_ref, trail_ref)
        ) WITHOUT ROWID;
        CREATE INDEX usage_trail ON usage (trail_ref);
        CREATE VIRTUAL TABLE phrase USING fts5 (
            question, answer, content = 'trail', content_rowid = 'ref',
            tokenize = 'trigram', detail = 'none'
        );
        """,
        """
        ALTER TABLE trail ADD COLUMN turn INTEGER;
        ALTER TABLE usage ADD COLUMN indirect INTEGER NOT NULL DEFAULT 0;
        """,
        """
        CREATE TABLE finding (
            ref INTEGER PRIMARY KEY, response_id TEXT NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL
        );
        CREATE INDEX finding_response ON finding (response_id);
        """,
    ),
)
_REMEMBERED = 20_000
_SHORTEST_PREFIX = 8
_AFTER_ANY = "\U0010ffff"

_TO_TRAILS = (
    "INSERT INTO trail VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_TO_INDEX = "INSERT INTO phrase (rowid, question, answer) VALUES (?, ?, ?)"
_FROM_INDEX = "INSERT INTO phrase (phrase, rowid, question, answer) VALUES ('delete', ?, ?, ?)"

_REACHED = """
    UPDATE usage SET grade = max(grade, ?)
    WHERE trail_ref = (SELECT ref FROM trail WHERE response_id = ?)
        AND (SELECT chunk_id FROM chunk WHERE ref = chunk_ref) = ?
"""
_FINDINGS = "SELECT kind, body FROM finding WHERE response_id = ? ORDER BY ref"

_SUMMARY = """
    SELECT response_id, status, started_us, ended_us, question, answer, session_id, user_id, trace_id,
        {turn}, (SELECT json_group_array(document_id) FROM (
            SELECT document_id FROM usage JOIN chunk ON chunk.ref = chunk_ref
            WHERE trail_ref = trail.ref GROUP BY document_id ORDER BY max(grade) DESC, document_id
        ))
    FROM trail
"""
_WITH_DOCUMENT = (
    "ref IN (SELECT trail_ref FROM usage JOIN chunk ON chunk.ref = chunk_ref WHERE document_id = ?)"
)
_WITH_MESSAGE = "SELECT trail_ref FROM message WHERE message_id = ?"
_FIRST_WITH_MESSAGE = (
    f"SELECT response_id FROM trail WHERE ref IN ({_WITH_MESSAGE}) ORDER BY started_us, ref LIMIT 1"  # noqa: S608  # constants
)
_NEWEST_FIRST = " ORDER BY started_us DESC, ref DESC LIMIT ?"
_SESSION = """
    SELECT response_id FROM trail WHERE session_id = ? ORDER BY started_us DESC, ref DESC LIMIT ?
"""

_CHUNKS = """
    SELECT document_id, chunk_id, nullif(chunk.content_hash, ''), position, source, text,
        response_id, started_us, grade, {indirect}
    FROM chunk
    JOIN usage ON chunk_ref = chunk.ref
    JOIN trail ON trail.ref = trail_ref
    LEFT JOIN content ON content.content_hash = chunk.content_hash
    WHERE document_id = ?
    ORDER BY position, chunk_id, chunk.ref, started_us DESC, trail_ref DESC
"""

_TEXTS_OF = """
    SELECT DISTINCT text FROM chunk JOIN content USING (content_hash) WHERE document_id = ?
"""
_SHARING = """
    SELECT DISTINCT other.document_id
    FROM chunk AS own JOIN chunk AS other ON other.content_hash = own.content_hash
    WHERE own.document_id = ?1 AND other.document_id <> ?1 AND own.content_hash <> ''
    ORDER BY 1
"""

_TEXTS = """
    SELECT content.content_hash, text
    FROM usage
    JOIN chunk ON chunk.ref = chunk_ref
    JOIN content ON content.content_hash = chunk.content_hash
    WHERE trail_ref = ?
"""

Condition = tuple[str, tuple[object, ...]]
"""A condition of a query, with its parameters."""


@dataclass(frozen=True, slots=True)
class TrailDatabase:
    """Where the trails' stream ends up."""

    path: Path

    def open(self) -> "TrailWriter":
        return TrailWriter(self.path)

    def cursors(self) -> Mapping[str, int]:
        return peek_cursors(self.path, _SCHEMA)


class TrailWriter(Writer):
    """Puts trails in. One that is there already is replaced: what came later knows more."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _SCHEMA)

    def recall(self) -> None:
        """Forget what may not be in the file."""
        self._chunks: dict[tuple[str, str, str], int] = {}
        self._texts: set[str] = set()

    def add(self, payload: bytes) -> None:
        """Put in a trail, or what was found about one."""
        if is_finding(payload):
            self._add_finding(filed(payload))
        else:
            self._add_trail(payload)

    def _add_finding(self, found: Filed) -> None:
        row = (found.about, found.kind, found.body)
        self._connection.execute("INSERT INTO finding VALUES (NULL, ?, ?, ?)", row)
        reached = [(rank, found.about, chunk_id) for chunk_id, rank in found.grades.items()]
        self._connection.executemany(_REACHED, reached)

    def _add_trail(self, payload: bytes) -> None:
        trail = taken_apart(payload)
        run = self._connection.executemany
        ref = self._add_row(trail)
        run("INSERT OR IGNORE INTO message VALUES (?, ?)", [(m, ref) for m in trail.message_ids])
        uses = [self._use(use, trail.texts, ref) for use in trail.uses]
        run("INSERT INTO usage VALUES (?, ?, ?, ?)", uses)
        words = (indexable(trail.question), indexable(trail.answer))
        self._connection.execute(_TO_INDEX, (ref, *words))

    def _add_row(self, trail: Parts) -> int:
        when_and_how = (trail.started_us, trail.ended_us, trail.status)
        who = (trail.session_id, trail.user_id, trail.trace_id)
        texts = (trail.question, trail.answer, trail.body)
        row = (trail.response_id, *when_and_how, *who, *texts, trail.turn)
        added = self._connection.execute(_TO_TRAILS, row)
        if added.rowcount == 0:
            self._remove(trail.response_id)
            added = self._connection.execute(_TO_TRAILS, row)
        return added.lastrowid or 0

    def _remove(self, response_id: str) -> None:
        query = "SELECT ref, question, answer FROM trail WHERE response_id = ?"
        row = self._connection.execute(query, (response_id,)).fetchone()
        if row is None:
            return
        ref, *words = row
        # The index must be told what to forget: it keeps no copy of it.
        self._connection.execute(_FROM_INDEX, (ref, *map(indexable, words)))
        for table, key in (("message", "trail_ref"), ("usage", "trail_ref"), ("trail", "ref")):
            self._connection.execute(f"DELETE FROM {table} WHERE {key} = ?", (ref,))  # noqa: S608  # our names

    # What is erased

    @contextmanager
    def changing(self) -> Generator[None]:
        """Keep what is changed inside, or nothing of it."""
        try:
            with self._transaction({}, ()):
                yield
        except BaseException:
            self.recall()
            raise

    def replace(self, trail: Trail) -> None:
        """Put a trail, and what was said about it, in the place of the one of the same id."""
        self._forget_findings(canonical_id(trail.response_id))
        self._add_trail(encode(trail))
        for assessment in trail.assessments:
            self._add_finding(filed(encode_assessment(assessment)))
        for diagnosis in trail.diagnoses:
            self._add_finding(filed(encode_diagnosis(diagnosis)))

    def remove(self, response_id: str) -> None:
        """Delete a trail, and what was said about it."""
        key = canonical_id(response_id)
        self._forget_findings(key)
        self._remove(key)

    def drop_unused(self) -> int:
        """Delete the chunks that no trail has any more, and the texts that no chunk has; returns how many texts."""
        self.recall()
        run = self._connection.execute
        run("DELETE FROM chunk WHERE ref NOT IN (SELECT chunk_ref FROM usage)")
        return run(
            "DELETE FROM content WHERE content_hash NOT IN (SELECT content_hash FROM chunk)"
        ).rowcount

    def scrub(self, *, whole: bool = True) -> None:
        """Leave nothing of what was deleted in the file, nor in the index of phrases."""
        with explained(self._path, self._schema):
            # What the index is told to forget stays in it until its parts are merged.
            self._connection.execute("INSERT INTO phrase (phrase) VALUES ('optimize')")
        super().scrub(whole=whole)

    def _forget_findings(self, response_id: str) -> None:
        self._connection.execute("DELETE FROM finding WHERE response_id = ?", (response_id,))

    def _use(self, use: Use, texts: Mapping[str, str], ref: int) -> tuple[int, int, int, bool]:
        grade, *indirect = use[5:]  # which the records of before there was such a thing do not say
        return self._chunk(use, texts), ref, rank_of_grade(grade), any(indirect)

    def _chunk(self, use: Use, texts: Mapping[str, str]) -> int:
        document_id, chunk_id, content_hash, position, source, *_ = use
        self._keep_text(content_hash, texts)
        key = (document_id, chunk_id, content_hash)
        ref = self._chunks.get(key)
        if ref is None:
            ref = self._find_or_add_chunk((*key, position, source))
            _bound(self._chunks)
            self._chunks[key] = ref
        return ref

    def _find_or_add_chunk(self, row: tuple[object, ...]) -> int:
        run = self._connection.execute
        query = "SELECT ref FROM chunk WHERE document_id = ? AND chunk_id = ? AND content_hash = ?"
        found = run(query, row[:3]).fetchone()
        if found is not None:
            return found[0]
        # Not RETURNING, which costs a temporary table: 100 us instead of 5.
        return run("INSERT INTO chunk VALUES (NULL, ?, ?, ?, ?, ?)", row).lastrowid or 0

    def _keep_text(self, content_hash: str, texts: Mapping[str, str]) -> None:
        if content_hash in texts and content_hash not in self._texts:
            add = "INSERT OR IGNORE INTO content VALUES (?, ?)"
            self._connection.execute(add, (content_hash, texts[content_hash]))
            _bound(self._texts)
            self._texts.add(content_hash)


class TrailReader(Reader):
    """Answers from the file; see `doctrail_core.trails.store.TrailStore`."""

    def __init__(self, path: Path, *, warning: str | None = None) -> None:
        super().__init__(path, _SCHEMA, warning=warning)
        self._connection.create_function("holds", 2, holds, deterministic=True)

    def get(self, response_id: str) -> Trail | None:
        key = canonical_id(response_id)
        query = "SELECT ref, question, answer, body FROM trail WHERE response_id = ?"
        for ref, question, answer, body in self._rows(query, (key,)):
            try:
                trail = joined(body, question, answer, dict(self._rows(_TEXTS, (ref,))))
                return joined_with(trail, self._found_about(key))
            except ValueError as error:
                raise StoreError(
                    f"the trail of {key} in {self._path} cannot be read: another version of doctrail"
                    " wrote it. Use that version, or upgrade doctrail-core."
                ) from error
        return None

    def _found_about(self, response_id: str) -> Iterator[Assessment | Diagnosis]:
        if self._version() >= 3:  # noqa: PLR2004  # which brought the table
            for kind, body in self._rows(_FINDINGS, (response_id,)):
                yield decode(kind, body)

    def session(
        self, session_id: str, *, limit: int, known: Collection[str] = ()
    ) -> Sequence[Trail]:
        """The latest trails of a session, oldest first, but for the known ones."""
        latest = list(self._rows(_SESSION, (canonical_id(session_id), limit)))
        found = (self.get(each) for (each,) in reversed(latest) if each not in known)
        return [trail for trail in found if trail is not None]

    def heard_in(self, message_id: str) -> str | None:
        """The first response that has a message of this id."""
        found = self._rows(_FIRST_WITH_MESSAGE, (message_id,))
        return next((response_id for (response_id,) in found), None)

    def find(self, reference: str, *, limit: int = 20) -> Sequence[TrailSummary]:
        """The responses somebody may mean; an id counts before a beginning of one, that before a phrase."""
        for condition in _meanings(reference):
            if found := list(self._summaries([condition], limit)):
                return found
        return []

    def responses(
        self,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        document_id: str | None = None,
        status: Status | None = None,
        phrase: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[TrailSummary]:
        """The responses of which all that is given is true, newest first."""
        where: list[Condition] = []
        if session_id is not None:
            where.append(("session_id = ?", (canonical_id(session_id),)))
        if user_id is not None:
            where.append(("user_id = ?", (canonical_id(user_id),)))
        if document_id is not None:
            where.append((_WITH_DOCUMENT, (canonical_id(document_id),)))
        if status is not None:
            where.append(("status = ?", (status,)))
        if phrase is not None:
            where.append(_with_phrase(phrase))
        if since is not None:
            where.append(("started_us >= ?", (microseconds(since),)))
        if until is not None:
            where.append(("started_us < ?", (microseconds(until),)))
        return self._summaries(where, limit)

    def chunks_of(self, document_id: str) -> Iterator[ChunkUse]:
        """The document's chunks in order, and for each the responses that got it, newest first."""
        chunks = _CHUNKS.format(indirect=self._column("indirect", since=2))
        for *what, started_us, rank, indirect in self._rows(chunks, (canonical_id(document_id),)):
            grade = grade_of_rank(rank)
            how = involvement(grade, indirect=bool(indirect))
            yield ChunkUse(*what, time=moment(started_us), grade=grade, involvement=how)

    def texts_of(self, document_id: str) -> Collection[str]:
        return {text for (text,) in self._rows(_TEXTS_OF, (canonical_id(document_id),))}

    def sharing_texts(self, document_id: str) -> Sequence[str]:
        return [row[0] for row in self._rows(_SHARING, (canonical_id(document_id),))]

    def count(self) -> int:
        return next(self._rows("SELECT count(*) FROM trail"))[0]

    def _summaries(self, where: Sequence[Condition], limit: int | None) -> Iterator[TrailSummary]:
        conditions = " AND ".join(f"({condition})" for condition, _ in where) or "TRUE"
        parameters = [value for _, values in where for value in values]
        summary = _SUMMARY.format(turn=self._column("turn", since=2, otherwise="NULL"))
        query = f"{summary} WHERE {conditions} {_NEWEST_FIRST}"
        for row in self._rows(query, (*parameters, -1 if limit is None else limit)):
            response_id, status, started_us, ended_us, *rest, turn, documents = row
            yield TrailSummary(
                response_id,
                status,
                moment(started_us),
                moment(ended_us),
                *rest,
                turn=turn,
                document_ids=tuple(json.loads(documents)),
            )


def _meanings(reference: str) -> Iterator[Condition]:
    """What a reference may be, likeliest first."""
    key = canonical_id(reference)
    yield f"response_id = ? OR trace_id = ? OR ref IN ({_WITH_MESSAGE})", (key, key, reference)
    if len(reference) >= _SHORTEST_PREFIX:
        yield "response_id >= ? AND response_id < ?", (key, key + _AFTER_ANY)
    yield _with_phrase(reference)


def _with_phrase(phrase: str) -> Condition:
    sought = clean_text(phrase).casefold()
    really = "(holds(question, ?) OR holds(answer, ?))"
    if terms := search_terms(phrase):
        indexed = "ref IN (SELECT rowid FROM phrase WHERE phrase MATCH ?)"
        return f"{indexed} AND {really}", (terms, sought, sought)
    return really, (sought, sought)


def _bound(memory: dict[Any, Any] | set[Any]) -> None:
    if len(memory) >= _REMEMBERED:
        memory.clear()
