"""One batch of records on its way to become entries: numbered, nameless, and with the rows that find them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from doctrail_core.durable.columns import microseconds, rank_of_grade
from doctrail_core.durable.errors import StoreError
from doctrail_core.ledger.access import access_entry, chunks_decided
from doctrail_core.ledger.commitments import (
    answer_commitment,
    chunk_commitment,
    name_commitment,
    query_tag,
)
from doctrail_core.ledger.entry import CODES, ChunkUse, Entry, EntryError, decode, encode
from doctrail_core.ledger.keyring import THE_LOG, Keyring, Tagger
from doctrail_core.ledger.known import Known
from doctrail_core.ledger.record import ChunkFact, EventRecord, LedgerRecord, Record
from doctrail_core.ledger.rows import (
    ChunkRow,
    DocumentRow,
    EntryRow,
    LinkRow,
    LogState,
    NameRow,
    Rows,
    Tables,
    links_of,
    month_of,
    people_of,
    state_of,
)
from doctrail_core.ledger.tree import leaf_hash

__all__ = ["BLOCK", "Batch", "bytes_of_uuid", "chunk_tag", "reference_of", "require_key_of"]

BLOCK = 1024
"""So many entries share a tick."""

_OPEN_NAMES = frozenset({"framework", "model", "service", "version", "writer"})
"""What is nobody's secret stands in the log as it is."""
_TAG_BYTES = _UUID_BYTES = 16
_NO_REASON = -1
_THE_SEQUENCER = 0
"""The writer of what the holder of the lease adds itself, which is not numbered."""


def reference_of(response_id: str, tagger: Tagger) -> tuple[bytes, bool]:
    """How the log refers to a response, and whether that stands for a name: a UUID is its own reference."""
    own = bytes_of_uuid(response_id)
    return (own, False) if own else (tagger.tag("response", response_id), True)


def bytes_of_uuid(response_id: str) -> bytes | None:
    """Those of an id that is its own reference."""
    with suppress(ValueError):
        own = bytes.fromhex(response_id.replace("-", ""))
        if len(own) == _UUID_BYTES and any(own) and _written(own.hex()) == response_id:
            return own
    return None


def _written(digits: str) -> str:
    """A UUID as it is mostly written."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"


def _tag_of_log(name: str, tagger: Tagger) -> str:
    """Stands in the first entry of a log: who has another key finds none of its names."""
    return tagger.tag("log", name).hex()


def require_key_of(first: bytes, tagger: Tagger | None) -> None:
    """See that the names of a log can be found.

    Args:
        first: The log's first entry.
        tagger: With the installation's key, if that is here.

    Raises:
        StoreError: The key is not here, or another one is.
    """
    again = "and without it no name can be found. Put it back from a backup."
    if tagger is None:
        raise StoreError(f"the home's file keys is missing, {again}")
    said: Mapping[str, Any] = {}
    with suppress(EntryError):  # a damaged one is for those to tell who verify
        said = decode(first, 0).body
    if "keys" in said and said["keys"] != _tag_of_log(str(said.get("log")), tagger):
        raise StoreError(
            f"the home's file keys is not the one that this ledger began with, {again}"
        )


def chunk_tag(fact: ChunkFact, tagger: Tagger) -> bytes:
    """The tag of a version of a chunk: another text, source or version is another one."""
    return tagger.tag(
        "chunk version",
        fact.document_id,
        fact.chunk_id,
        fact.content_hash or "",
        fact.source or "",
        fact.version or "",
    )


class Batch:
    """Takes records in order; `rows` is then what a store puts in, in one transaction."""

    def __init__(
        self, tables: Tables, known: Known, keyring: Keyring, tagger: Tagger, state: LogState
    ) -> None:
        self.rows = Rows(frontier=state.frontier)
        self.writers = state.writers
        self._name_of_log = state.name
        self._tables = tables
        self._known = known
        self._keyring = keyring
        self._tagger = tagger
        self._next = state.frontier.size
        self._leaves: list[bytes] = []
        self._references: dict[str, tuple[bytes, bool]] = {}
        self._chunk_tags: dict[tuple[str | None, ...], bytes] = {}
        self._responses: dict[bytes, int] = {}
        self._histories: dict[int, list[Entry]] = {}
        self._touched: dict[int, bool] = {}

    def take(self, records: Sequence[Record]) -> Rows:
        """The rows of these records.

        Raises:
            ValueError: One of them says what no entry can.
        """
        self._look_up(records)
        if not self._next:
            self._begin_log(records)
        # What was given again may have been told by another process, later in the same batch.
        for record, covered in sorted(_merged(records, self._is_new), key=_gives_again):
            if isinstance(record, LedgerRecord):
                self._add_response(record, covered)
            else:
                self._add_event(record)
        self._index()
        self.rows.tiles = self.rows.frontier.append_all(self._leaves)
        return self.rows

    def _look_up(self, records: Sequence[Record]) -> None:
        """Ask the store, in one go, for all that the records name."""
        responses = [r for r in records if isinstance(r, LedgerRecord)]
        events = [record for record in records if isinstance(record, EventRecord)]
        decided = [event.body for event in events if event.event == "access"]
        facts = [fact for record in responses for fact in record.chunks]
        facts += [fact for body in decided for fact in chunks_decided(body)]
        names = [tag for record in responses for tag in self._name_tags(record)]
        names += [self._tagger.tag("source", f.source) for f in facts if f.source]
        names += [self._tagger.tag("version", f.version) for f in facts if f.version]
        names += [self._tagger.tag("user", b["principal"]) for b in decided if b.get("principal")]
        signed = (event.body.get("by") for event in events)
        names += [self._tagger.tag("person", by) for by in signed if isinstance(by, str)]
        documents = {fact.document_id for fact in facts}
        for event in events:
            if event.event == "derived":
                documents |= {event.body["document"], *event.body["from"]}
        self._known.learn(
            [self._tagger.tag("document", each) for each in documents],
            [self._chunk_tag(fact) for fact in facts],
            names,
            [record.writer for record in records],
        )
        references = {self._reference(r.response_id) for r in records if r.response_id}
        references |= {self._reference(e.body["of"]) for e in events if e.event == "reused"}
        self._responses = dict(self._tables.responses(references))
        histories = self._tables.histories(list(self._responses.values()))
        for first, history in histories.items():
            self._histories[first] = [decode(body, seq) for seq, body in history]
        uses = (u for h in self._histories.values() for entry in h for u in entry.chunks)
        self._known.learn_documents_of({use.chunk for use in uses})

    def _chunk_tag(self, fact: ChunkFact) -> bytes:
        """The tag of a version, which most records of a batch share with others."""
        version = fact.document_id, fact.chunk_id, fact.content_hash, fact.source, fact.version
        known = self._chunk_tags.get(version)
        if known is None:
            known = self._chunk_tags[version] = chunk_tag(fact, self._tagger)
        return known

    def _name_tags(self, record: LedgerRecord) -> list[bytes]:
        named = (
            ("user", record.user_id),
            ("session", record.session_id),
            ("framework", record.framework),
            ("service", record.service),
            ("person", record.diagnosis.by if record.diagnosis else None),
            *(("model", model) for model in record.models),
        )
        return [self._tagger.tag(kind, name) for kind, name in named if name]

    def _reference(self, response_id: str) -> bytes:
        return self._referred_to(response_id)[0]

    def _referred_to(self, response_id: str) -> tuple[bytes, bool]:
        known = self._references.get(response_id)
        if known is None:
            known = self._references[response_id] = reference_of(response_id, self._tagger)
        return known

    def _is_new(self, response_id: str) -> bool:
        return self._reference(response_id) not in self._responses

    def _begin_log(self, records: Sequence[Record]) -> None:
        """The first entry says which log this is, and by a tag under which key its names are found."""
        time_us = microseconds(datetime.fromisoformat(records[0].timestamp)) if records else 0
        self._keyring.make(THE_LOG)
        name = self._name_of_log or uuid4().hex
        body = {"log": name, "keys": _tag_of_log(name, self._tagger)}
        self._append(Entry(kind="configured", time_us=time_us, body=body))

    def _add_response(self, record: LedgerRecord, covered: Sequence[LedgerRecord]) -> None:
        began = covered[0] if covered else record
        time_us = microseconds(datetime.fromisoformat(began.timestamp))
        ended_us = microseconds(datetime.fromisoformat(record.timestamp))
        reference, named = self._referred_to(record.response_id)
        user = self._name("user", record.user_id, time_us)
        secret = self._secret(user)
        entry = Entry(
            kind=record.kind,
            response=reference,
            time_us=time_us,
            duration_us=max(0, ended_us - time_us),
            writer=self._writer(record.writer, time_us),
            counter=record.counter,
            covers=tuple(each.counter for each in covered),
            status=record.status,
            trace=_trace(record.trace_id),
            query_tag=query_tag(secret, record.query_hash),
            answer_commitment=answer_commitment(secret, reference, record.answer_hash),
            session=self._name("session", record.session_id, time_us, owner=user),
            user=user,
            models=tuple(self._named("model", model, time_us) for model in record.models),
            framework=self._name("framework", record.framework, time_us),
            service=self._name("service", record.service, time_us),
            chunks=tuple(self._use(fact, time_us) for fact in record.chunks),
            body=self._said(record, time_us),
        )
        _, first = self._append_about(entry, record.response_id, reference, named=named)
        self._touched[first] = named

    def _said(self, record: LedgerRecord, time_us: int) -> dict[str, Any]:
        """What a check or a diagnosis found, without names."""
        if record.check is not None:
            said = record.check
            found = {"risk": said.risk, "status": said.status, "verdicts": dict(said.verdicts)}
            by = {"verifier": said.verifier, "version": said.version}
            return _present(found | by | {"degraded_from": said.degraded_from})
        if record.diagnosis is not None:
            by_whom = self._name("person", record.diagnosis.by, time_us)
            return _present({"fault": record.diagnosis.fault, "by": by_whom})
        return {}

    def _add_event(self, record: EventRecord) -> None:
        if record.event not in CODES:
            raise ValueError(f"there is no kind of entry called {record.event!r}")
        time_us = microseconds(datetime.fromisoformat(record.timestamp))
        entry = Entry(
            kind=record.event,
            time_us=time_us,
            writer=self._writer(record.writer, time_us),
            counter=record.counter,
            body=self._with_person(record.body, time_us),
        )
        if record.event == "derived":
            self._add_derived(entry, record.body["document"], record.body["from"])
        elif record.response_id is None:
            self._follow_up(entry, self._append(entry))
        else:
            self._add_event_about(entry, record.response_id)

    def _with_person(self, body: Mapping[str, Any], time_us: int) -> Mapping[str, Any]:
        """A body that names who did it, with the place of the name."""
        by = body.get("by")
        return {**body, "by": self._named("person", by, time_us)} if isinstance(by, str) else body

    def _add_event_about(self, entry: Entry, response_id: str) -> None:
        reference, named = self._referred_to(response_id)
        about = replace(entry, response=reference)
        if about.kind == "reused":
            earlier = self._reference(about.body["of"])
            about = replace(about, body={"of": earlier.hex()})
        elif about.kind == "access":
            about = replace(about, body=self._decision(about))
        seq, first = self._append_about(about, response_id, reference, named=named)
        if about.kind == "access":
            self._touched[first] = named
        self._follow_up(about, seq, first)

    def _decision(self, entry: Entry) -> dict[str, Any]:
        """A decision on access, by places."""
        principal = self._name("user", entry.body.get("principal"), entry.time_us)
        return access_entry(entry.body, lambda fact: self._chunk(fact, entry.time_us), principal)

    def _follow_up(self, entry: Entry, seq: int, response: int = _NO_REASON) -> None:
        """The rows that find what an event is about."""
        if entry.kind == "reused":
            earlier = self._responses.get(bytes.fromhex(entry.body["of"]))
            if earlier is not None:
                self.rows.reuses.append((response, earlier))
        elif entry.kind == "flagged":
            self.rows.flags.append((seq, response, entry.body.get("because", _NO_REASON)))
        elif entry.kind == "reviewed":
            self.rows.reviews.append((seq, entry.body["flag"]))

    def _add_derived(self, entry: Entry, document_id: str, sources: Sequence[str]) -> None:
        document = self._document(document_id, entry.time_us)
        known = self._known.derivations_of(document)
        from_ = [self._document(source, entry.time_us) for source in sources]
        self._append(replace(entry, body={"document": document, "from": from_}))
        for source in from_:
            if source not in known and source != document:
                known.add(source)
                self.rows.derivations.append((document, source))

    def _use(self, fact: ChunkFact, time_us: int) -> ChunkUse:
        return ChunkUse(
            self._chunk(fact, time_us),
            rank_of_grade(fact.grade),
            indirect=fact.involvement is not None,
            carried=bool(fact.carried),
        )

    def _chunk(self, fact: ChunkFact, time_us: int) -> int:
        tag = self._chunk_tag(fact)
        known = self._known.chunks.get(tag)
        if known is not None:
            return known[0]
        document = self._document(fact.document_id, time_us)
        source = self._name("source", fact.source, time_us)
        version = self._name("version", fact.version, time_us)
        commitment = self._chunk_commitment(document, fact.content_hash)
        said = {
            "document": document,
            "commitment": commitment,
            "source": source,
            "version": version,
        }
        seq = self._append(Entry(kind="chunk", time_us=time_us, body=_present(said)))
        content = self._tagger.tag("content", fact.content_hash) if fact.content_hash else None
        self.rows.chunks.append(
            ChunkRow(
                seq=seq,
                document=document,
                tag=tag,
                id_tag=self._tagger.tag("chunk", fact.chunk_id),
                content_tag=content,
                source=source,
                version=version,
                sealed=self._keyring.seal(document, fact.chunk_id),
            )
        )
        self._known.chunks[tag] = (seq, document)
        self._known.document_of[seq] = document
        return seq

    def _chunk_commitment(self, document: int, content_hash: str | None) -> str | None:
        key = self._keyring.get(document)
        if key is None or content_hash is None:
            return None
        return chunk_commitment(key, content_hash)

    def _document(self, document_id: str, time_us: int) -> int:
        tag = self._tagger.tag("document", document_id)
        known = self._known.documents.get(tag)
        if known is not None:
            return known
        key = self._keyring.make(self._next)
        said = {"commitment": name_commitment(key, document_id)}
        seq = self._append(Entry(kind="document", time_us=time_us, body=said))
        self.rows.documents.append(DocumentRow(seq, tag, self._keyring.seal(seq, document_id)))
        self._known.documents[tag] = seq
        return seq

    def _name(
        self, kind: str, name: str | None, time_us: int, *, owner: int | None = None
    ) -> int | None:
        return None if name is None else self._named(kind, name, time_us, owner=owner)

    def _named(self, kind: str, name: str, time_us: int, *, owner: int | None = None) -> int:
        """The place that binds a name; a new one is bound now, and sealed if it may be a secret."""
        tag = self._tagger.tag(kind, name)
        known = self._known.names.get(tag)
        if known is not None:
            return known
        if kind in _OPEN_NAMES:
            body, sealed, owner = {"kind": kind, "name": name}, None, None
            seq = self._append(Entry(kind="name", time_us=time_us, body=body))
        else:
            if owner is None:
                owner = self._next
                self._keyring.make(owner)
            body = {"kind": kind, "commitment": name_commitment(self._secret(owner), name)}
            seq = self._append(Entry(kind="name", time_us=time_us, body=body))
            sealed = self._keyring.seal(owner, name)
        self.rows.names.append(NameRow(seq, kind, tag, owner, sealed))
        self._known.names[tag] = seq
        return seq

    def _writer(self, name: str, time_us: int) -> int:
        if not name:
            return _THE_SEQUENCER
        number = self._known.writers.get(name)
        if number is None:
            self.writers += 1
            number = self._known.writers[name] = self.writers
            body = {"kind": "writer", "name": name, "number": number}
            self._append(Entry(kind="name", time_us=time_us, body=body))
            self.rows.writers.append((number, name))
        return number

    def _secret(self, user: int | None) -> bytes:
        """Whose key what was asked and answered is committed under."""
        secret = self._keyring.get(THE_LOG if user is None else user)
        if secret is None:
            raise LookupError("the key store has lost a key that is in use: put its file back")
        return secret

    def _append_about(
        self, entry: Entry, response_id: str, reference: bytes, *, named: bool
    ) -> tuple[int, int]:
        """Add an entry about a response; returns its place, and that of the response's first one."""
        first = self._responses.get(reference)
        if first is None and named:
            self._name("response", response_id, entry.time_us, owner=entry.user)
        seq = self._append(entry, about=first)
        if first is None:
            first = self._responses[reference] = seq
            self.rows.responses.append((reference, seq))
            self._touched[seq] = named
        self._histories.setdefault(first, []).append(entry)
        return seq, first

    def _append(self, entry: Entry, about: int | None = None) -> int:
        seq = self._next
        body = encode(entry)
        self._next += 1
        self._leaves.append(leaf_hash(body))
        self.rows.entries.append(EntryRow(seq, about, None, body))
        low, high = self.rows.ticks.get(seq // BLOCK, (entry.time_us, entry.time_us))
        self.rows.ticks[seq // BLOCK] = (min(low, entry.time_us), max(high, entry.time_us))
        return seq

    def _index(self) -> None:
        """The links of every response that something was said about, and what is known of it."""
        begun = self.rows.entries[0].seq if self.rows.entries else self._next
        for first, named in self._touched.items():
            history = self._histories[first]
            month = month_of(history[0].time_us)
            for document, flags in links_of(history, self._known.document_of).items():
                self.rows.links.append(LinkRow(month, document, first, flags))
            self.rows.mentions += [(name, first) for name in sorted(people_of(history))]
            state = state_of(history, named=named)
            if first >= begun:
                row = self.rows.entries[first - begun]
                self.rows.entries[first - begun] = EntryRow(row.seq, row.about, state, row.body)
            else:
                self.rows.states[first] = state


def _merged(
    records: Sequence[Record], is_new: Callable[[str], bool]
) -> list[tuple[Record, tuple[LedgerRecord, ...]]]:
    """The records, those of before a model was called as part of the answer's where both are here.

    Only where the answer's says all that they say, and nothing else was on the ledger of the response.
    """
    waiting: dict[tuple[str, str], list[int]] = {}
    covered: dict[int, list[int]] = {}
    for place, record in enumerate(records):
        if not isinstance(record, LedgerRecord):
            continue
        key = (record.writer, record.response_id)
        if record.kind == "retrieved":
            waiting.setdefault(key, []).append(place)
        elif record.kind == "answered" and is_new(record.response_id):
            early = waiting.pop(key, [])
            said = set(record.document_ids)
            if all(said.issuperset(_document_ids(records[each])) for each in early):
                covered[place] = early
    gone = {place for places in covered.values() for place in places}
    return [
        (record, tuple(_only_responses(records, covered.get(place, ()))))
        for place, record in enumerate(records)
        if place not in gone
    ]


def _gives_again(merged: tuple[Record, Sequence[LedgerRecord]]) -> bool:
    record, _ = merged
    return isinstance(record, EventRecord) and record.event == "reused"


def _only_responses(records: Sequence[Record], places: Sequence[int]) -> list[LedgerRecord]:
    return [record for place in places if isinstance(record := records[place], LedgerRecord)]


def _document_ids(record: Record) -> Sequence[str]:
    return record.document_ids if isinstance(record, LedgerRecord) else ()


def _trace(trace_id: str | None) -> bytes | None:
    try:
        found = bytes.fromhex(trace_id) if trace_id else b""
    except ValueError:
        return None
    return found if len(found) == _TAG_BYTES else None


def _present(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}
