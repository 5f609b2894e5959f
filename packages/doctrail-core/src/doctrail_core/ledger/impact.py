"""Which responses may hold something of a document: the ones that had it, and those that got it by a detour.

A detour is another document that was made from it, the same texts under another id, an earlier turn, a sub-agent, or
an answer that was given again. Each response is told once for each document that leads to it; those of the document
that was asked for come from one search of an index and are told first, in the order of the log.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from doctrail_core.durable.columns import (
    grade_of_rank,
    involvement,
    microseconds,
    moment,
    rank_of_grade,
)
from doctrail_core.ledger.entry import Whose, decode, kind_of, whose
from doctrail_core.ledger.rows import link_rank, links_of, state_complete, state_status
from doctrail_core.ledger.store import LATEST, ChunkKey, Found
from doctrail_core.model import Grade, Involvement, Status
from doctrail_core.text.identity import canonical_id

if TYPE_CHECKING:
    from doctrail_core.ledger.reader import LedgerReader

__all__ = ["How", "ImpactHit", "Kin", "Query", "affected", "cursor_place"]

How = Literal["in_prompt", "retrieved_only", "via_agent", "via_history", "via_cache"]
"""How a document came into a response: its own prompt had it; it was found, and not read; a sub-agent or a tool read
it; an earlier turn brought it; or an answer that had it was given again."""


_GIVEN_AGAIN = 1 << 30
"""Stands last in cursors: the search for answers that were given again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to look for: a document, a chunk, a source, a version, or a version of a document.

    Attributes:
        after: Go on behind the hit that had this `cursor`.
        document_id: The whole id.
        chunk_id: The whole id.
        source: The whole source, as the chunks' metadata name it.
        version: The version, as the chunks' metadata name it.
        since: From this time on.
        until: Before this time.
        grade: Only where it reached this grade or a stronger one.
        closure: Also what was made from it, has the same texts, or was answered from a cache.
    """

    document_id: str | None = None
    chunk_id: str | None = None
    source: str | None = None
    version: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    grade: Grade | None = None
    closure: bool = True
    after: str | None = None


@dataclass(frozen=True, slots=True)
class ImpactHit:
    """That a response had a document.

    `time` is when the response was first put on record. `complete` is False while nothing but the
    retrieval is on record: it is still running, or its process died; then `status` is `interrupted`.
    `involvement` is None where the document played no part in the answer.

    `seq` is the place of the response's first entry. `document_id` is the document that the response had; where it
    is not the one that was asked for, `derived_from` or `same_text_as` names that one. `through` is the response whose
    answer was given again. `cursor` is where to go on from (`Query.after`). `log` names the log that it is in.
    """

    document_id: str
    response_id: str
    time: datetime
    grade: Grade
    involvement: Involvement | None
    status: Status
    complete: bool
    session_id: str | None
    user_id: str | None
    trace_id: str | None
    how: How = "in_prompt"
    seq: int = -1
    derived_from: str | None = None
    same_text_as: str | None = None
    through: str | None = None
    cursor: str = ""
    log: str | None = None


@dataclass(frozen=True, slots=True)
class _Target:
    """A document to search for, and those of its chunks that are meant; all if None."""

    document: int
    chunks: frozenset[int] | None = None
    derived_from: str | None = None
    same_text_as: str | None = None


@dataclass(frozen=True, slots=True)
class Kin:
    """What several logs together know to be made from what is meant, or to have its texts; see `kin_of`.

    Attributes:
        made: Tags of documents, and the one that each was made from.
        texts: By document, the tags of its texts.
    """

    made: Mapping[bytes, str]
    texts: Mapping[str, frozenset[bytes]]


def affected(ledger: "LedgerReader", query: Query, kin: Kin | None = None) -> Generator[ImpactHit]:
    """The responses that the query is about, read as they are asked for.

    Args:
        ledger: Where to look.
        query: For what.
        kin: What other logs know of it.

    Raises:
        ValueError: `after` is no hit's cursor.
    """
    begin = 0 if query.since is None else max(0, microseconds(query.since))
    end = LATEST if query.until is None else min(LATEST, max(0, microseconds(query.until)))
    rank = 0 if query.grade is None else rank_of_grade(query.grade)
    first, after = cursor_place(query.after)
    # An answer may be given again long after: then what was before the time counts, too.
    again = query.closure and ledger.store.has_reuses()
    given_again: dict[int, ImpactHit] = {}
    for number, target in enumerate(_targets(ledger, query, kin)):
        told = after if number == first else -1
        begun = (0, -1) if again else (begin, told)
        if number < first and not again:
            continue
        for found in ledger.store.with_document(target.document, begun[0], end, rank, begun[1]):
            hit = _hit(ledger, found, target, number, rank)
            if hit is None:
                continue
            if again:
                _follow(ledger, hit, given_again)
                if number < first or found.seq <= told or microseconds(hit.time) < begin:
                    continue
            yield hit
    told = after if first == _GIVEN_AGAIN else -1
    for seq, hit in sorted(given_again.items()):
        if seq > told and begin <= microseconds(hit.time) < end:
            yield replace(hit, cursor=f"{_GIVEN_AGAIN}.{seq}")


def cursor_place(cursor: str | None) -> tuple[int, int]:
    """In which search a cursor stands, and behind which response."""
    if cursor is None:
        return 0, -1
    first, _, after = cursor.partition(".")
    try:
        return int(first), int(after)
    except ValueError:
        raise ValueError(f"{cursor!r} is not where a list of answers left off") from None


def kin_of(ledgers: "Sequence[LedgerReader]", query: Query) -> Kin:
    """What was made from the documents that are meant, and their texts, whichever log has that on record."""
    made: dict[bytes, str] = {}
    texts: dict[str, frozenset[bytes]] = {}
    meant = [(ledger, list(_meant(ledger, query))) for ledger in ledgers]
    waiting = {_tag(ledger, each.document) for ledger, targets in meant for each in targets}
    seen = set(waiting)
    while waiting:
        tag = waiting.pop()
        for ledger, source in _bound(ledgers, tag):
            for document in ledger.store.derived_from(source):
                if (other := _tag(ledger, document)) not in seen:
                    seen.add(other)
                    waiting.add(other)
                    made[other] = ledger.document_name(source)
    whole = [(ledger, _Target(seq)) for tag in made for ledger, seq in _bound(ledgers, tag)]
    for ledger, target in [*((e, t) for e, targets in meant for t in targets), *whole]:
        name = ledger.document_name(target.document)
        own = ledger.store.content_tags(target.document, target.chunks)
        texts[name] = texts.get(name, frozenset()) | frozenset(own)
    return Kin(made, texts)


def _bound(ledgers: "Sequence[LedgerReader]", tag: bytes) -> "Iterator[tuple[LedgerReader, int]]":
    return ((ledger, seq) for ledger in ledgers for seq in ledger.store.documents(tag))


def _tag(ledger: "LedgerReader", document: int) -> bytes:
    found = ledger.store.document_tags(document, document + 1)
    return next((tag for _, tag in found), b"")  # of one that was pruned there is none


def _targets(ledger: "LedgerReader", query: Query, kin: Kin | None) -> Iterator[_Target]:
    """The documents to search for: those that are meant, then what was made of them, then equal texts."""
    meant = list(_meant(ledger, query))
    yield from meant
    if not query.closure:
        return
    made = list(_derived(ledger, meant) if kin is None else _made(ledger, meant, kin))
    yield from made
    seen = {target.document for target in (*meant, *made)}
    if kin is None:
        names = (ledger.document_name(target.document) for target in (*meant, *made))
        tags = (ledger.store.content_tags(t.document, t.chunks) for t in (*meant, *made))
        texts = zip(names, tags, strict=True)
    else:
        texts = kin.texts.items()
    for name, own in texts:
        yield from _same_texts(ledger, name, own, seen)


def _meant(ledger: "LedgerReader", query: Query) -> Iterator[_Target]:
    if query.document_id is not None and query.version is None:
        yield from (_Target(seq) for seq in ledger.document(query.document_id))
        return
    if query.chunk_id is not None:
        tag = ledger.tag("chunk", canonical_id(query.chunk_id))
        yield from _of_chunks(ledger.store.chunks(by="id_tag", key=tag))
        return
    if query.version is not None:
        only = None if query.document_id is None else set(ledger.document(query.document_id))
        found = _named(ledger, "version", query.version)
        yield from _of_chunks((c, d) for c, d in found if only is None or d in only)
        return
    if query.source is not None:
        own = ledger.document(query.source)
        yield from (_Target(seq) for seq in own)
        found = _named(ledger, "source", query.source)
        yield from _of_chunks((c, d) for c, d in found if d not in own)


def _named(ledger: "LedgerReader", by: ChunkKey, name: str) -> Iterator[tuple[int, int]]:
    tag = ledger.tag(by, canonical_id(name))
    for seq in ledger.store.names(tag):
        yield from ledger.store.chunks(by=by, key=seq)


def _of_chunks(chunks: Iterable[tuple[int, int]]) -> Iterator[_Target]:
    by_document: dict[int, set[int]] = {}
    for chunk, document in chunks:
        by_document.setdefault(document, set()).add(chunk)
    for document, own in by_document.items():
        yield _Target(document, frozenset(own))


def _derived(ledger: "LedgerReader", meant: Iterable[_Target]) -> Iterator[_Target]:
    waiting = [target.document for target in meant]
    seen = set(waiting)
    while waiting:
        source = waiting.pop(0)
        for document in ledger.store.derived_from(source):
            if document not in seen:
                seen.add(document)
                waiting.append(document)
                yield _Target(document, derived_from=ledger.document_name(source))


def _made(ledger: "LedgerReader", meant: Iterable[_Target], kin: Kin) -> Iterator[_Target]:
    known = {target.document for target in meant}
    for tag, source in kin.made.items():
        for document in ledger.store.documents(tag):
            if document not in known:
                yield _Target(document, derived_from=source)


def _same_texts(
    ledger: "LedgerReader", name: str, texts: Iterable[bytes], seen: set[int]
) -> Iterator[_Target]:
    """Chunks of other documents that have the same texts: a corpus that came again under other ids."""
    others = {found for tag in texts for found in ledger.store.chunks(by="content_tag", key=tag)}
    for other in _of_chunks((c, d) for c, d in sorted(others) if d not in seen):
        yield replace(other, same_text_as=name)


def _hit(
    ledger: "LedgerReader", found: Found, target: _Target, number: int, rank: int
) -> ImpactHit | None:
    flags = found.flags
    if target.chunks is not None:
        flags = _flags_of(ledger, found.seq, target)
        if flags is None or link_rank(flags)[0] < rank:
            return None
    grade, involved, how = _WAYS[flags]
    status, complete = _ENDS[found.state & _END]
    reference, time_us, session, user, trace, _ = _whose(ledger, found)
    return ImpactHit(
        ledger.document_name(target.document),
        ledger.response_id(reference, found.state),
        moment(time_us),
        grade,
        involved,
        status,
        complete,
        ledger.name_of(session) if session else None,
        ledger.name_of(user) if user else None,
        trace.hex() if trace else None,
        how,
        found.seq,
        target.derived_from,
        target.same_text_as,
        None,
        f"{number}.{found.seq}",
        ledger.log,
    )


def _whose(ledger: "LedgerReader", found: Found) -> Whose:
    first = whose(found.body)
    if not (first.more_may_follow and state_complete(found.state)):
        return first
    # What was not known yet when the sources were put on record, the answered entry says.
    later = [whose(b) for _, b in ledger.store.history(found.seq) if kind_of(b) == "answered"]
    return first._replace(
        session=next((each.session for each in later if each.session), first.session),
        user=next((each.user for each in later if each.user), first.user),
        trace=next((each.trace for each in later if each.trace), first.trace),
    )


def _flags_of(ledger: "LedgerReader", first: int, target: _Target) -> int | None:
    """The flags of a link to some chunks of a document alone."""
    meant = target.chunks or frozenset()
    history = [decode(body, seq) for seq, body in ledger.store.history(first)]
    uses = {entry.seq: tuple(u for u in entry.chunks if u.chunk in meant) for entry in history}
    narrowed = (replace(entry, chunks=uses[entry.seq]) for entry in history)
    return links_of(narrowed, dict.fromkeys(meant, target.document)).get(target.document)


def _way(flags: int) -> tuple[Grade, Involvement | None, How]:
    """What a link's flags say."""
    rank, indirect, carried = link_rank(flags)
    grade = grade_of_rank(rank)
    involved = involvement(grade, indirect=indirect)
    if carried:
        return grade, involved, "via_history"
    if indirect:
        return grade, involved, "via_agent"
    return grade, involved, "in_prompt" if rank else "retrieved_only"


# There are few, and a hot document has many hits.
_WAYS = tuple(map(_way, range(16)))
_END = 7
_ENDS: tuple[tuple[Status, bool], ...] = tuple(
    (state_status(state), state_complete(state)) for state in range(_END + 1)
)


def _follow(ledger: "LedgerReader", hit: ImpactHit, found: dict[int, ImpactHit]) -> None:
    """The responses that gave this one's answer again, and those that gave theirs."""
    waiting = [hit]
    while waiting:
        earlier = waiting.pop()
        for first in ledger.store.reused_from(earlier.seq):
            state, history = ledger.store.state(first), ledger.store.history(first)
            if first not in found and state is not None and history:
                whose_it_is = _whose(ledger, Found(first, 0, state, history[0][1]))
                found[first] = replace(
                    earlier,
                    response_id=ledger.response_id(whose_it_is.response, state),
                    time=moment(whose_it_is.time_us),
                    involvement="indirect",
                    status=state_status(state),
                    complete=state_complete(state),
                    session_id=ledger.name_of(whose_it_is.session),
                    user_id=ledger.name_of(whose_it_is.user),
                    trace_id=whose_it_is.trace.hex() if whose_it_is.trace else None,
                    how="via_cache",
                    seq=first,
                    through=earlier.response_id,
                )
                waiting.append(found[first])
