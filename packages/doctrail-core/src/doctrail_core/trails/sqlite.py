"""The trail store in an SQLite file. Each text is there once, whatever number of trails has it."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from doctrail_core.durable.bulk import found, insert
from doctrail_core.durable.columns import (
    rank_of_grade,
)
from doctrail_core.durable.database import Reader, Schema, Writer, peek_cursors
from doctrail_core.durable.opening import explained
from doctrail_core.model import Trail
from doctrail_core.text.identity import canonical_id, clean_text
from doctrail_core.trails.answers import Condition, Dialect, TrailAnswers
from doctrail_core.trails.codec import Parts, Use, encode, taken_apart
from doctrail_core.trails.findings import (
    Filed,
    filed,
    findings_of,
    is_finding,
)
from doctrail_core.trails.phrases import holds, indexable, search_terms

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
_WITH_TURNS = 2
_WITH_FINDINGS = 3
"""Versions of the file that brought these."""

_KNOWN = "SELECT response_id FROM trail WHERE response_id IN ({keys})"
_TO_INDEX = "INSERT INTO phrase (rowid, question, answer)"
_FROM_INDEX = "INSERT INTO phrase (phrase, rowid, question, answer) VALUES ('delete', ?, ?, ?)"

_REACHED = """
    UPDATE usage SET grade = max(grade, ?)
    WHERE trail_ref = (SELECT ref FROM trail WHERE response_id = ?)
        AND (SELECT chunk_id FROM chunk WHERE ref = chunk_ref) = ?
"""


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

    def add(self, payloads: Sequence[bytes]) -> None:
        """Put in trails, and what was found about them."""
        for finding, group in groupby(payloads, key=is_finding):
            if finding:
                for payload in group:
                    self._add_finding(filed(payload))
            else:
                self._add_trails([taken_apart(payload) for payload in group])

    def _add_finding(self, found: Filed) -> None:
        row = (found.about, found.kind, found.body)
        self._connection.execute("INSERT INTO finding VALUES (NULL, ?, ?, ?)", row)
        reached = [(rank, found.about, chunk_id) for chunk_id, rank in found.grades.items()]
        self._connection.executemany(_REACHED, reached)

    def _add_trails(self, parts: Iterable[Parts]) -> None:
        trails = {trail.response_id: trail for trail in parts}
        known = found(self._connection, _KNOWN, trails)
        for (response_id,) in list(known):
            self._remove(response_id)
        ((last,),) = self._connection.execute("SELECT coalesce(max(ref), 0) FROM trail")
        by_ref = dict(enumerate(trails.values(), last + 1))
        put = partial(insert, self._connection)
        put("INSERT INTO trail", (_row(ref, trail) for ref, trail in by_ref.items()))
        messages = {(m, ref): None for ref, trail in by_ref.items() for m in trail.message_ids}
        put("INSERT INTO message", messages)
        uses = [
            self._use(use, trail.texts, ref) for ref, trail in by_ref.items() for use in trail.uses
        ]
        put("INSERT INTO usage", uses)
        words = (
            (ref, indexable(trail.question), indexable(trail.answer))
            for ref, trail in by_ref.items()
        )
        put(_TO_INDEX, words)

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
        self._add_trails([taken_apart(encode(trail))])
        for payload in findings_of(trail):
            self._add_finding(filed(payload))

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


class TrailReader(Reader, TrailAnswers):
    """Answers from the file; see `doctrail_core.trails.store.TrailStore`."""

    DIALECT = Dialect(
        documents="json_group_array(document_id)",
        with_message="SELECT trail_ref FROM message WHERE message_id = ?",
    )

    def __init__(self, path: Path, *, warning: str | None = None) -> None:
        super().__init__(path, _SCHEMA, warning=warning)
        self._connection.create_function("holds", 2, holds, deterministic=True)

    @property
    def turn(self) -> str:
        return self._column("turn", since=_WITH_TURNS, otherwise="NULL")

    @property
    def indirect(self) -> str:
        return self._column("indirect", since=_WITH_TURNS)

    @property
    def has_findings(self) -> bool:
        return self._version() >= _WITH_FINDINGS

    @property
    def where(self) -> str:
        return str(self._path)

    def rows(self, query: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
        return self._rows(query, parameters)

    def with_phrase(self, phrase: str) -> Condition:
        sought = clean_text(phrase).casefold()
        really = "(holds(question, ?) OR holds(answer, ?))"
        if terms := search_terms(phrase):
            indexed = "ref IN (SELECT rowid FROM phrase WHERE phrase MATCH ?)"
            return f"{indexed} AND {really}", (terms, sought, sought)
        return really, (sought, sought)


def _row(ref: int, trail: Parts) -> tuple[object, ...]:
    when_and_how = (trail.started_us, trail.ended_us, trail.status)
    who = (trail.session_id, trail.user_id, trail.trace_id)
    texts = (trail.question, trail.answer, trail.body)
    return (ref, trail.response_id, *when_and_how, *who, *texts, trail.turn)


def _bound(memory: dict[Any, Any] | set[Any]) -> None:
    if len(memory) >= _REMEMBERED:
        memory.clear()
