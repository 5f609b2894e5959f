"""A document to be erased: its texts wherever they stand, its names, and those of its chunks."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from doctrail_core.erasure.receipts import Scope
from doctrail_core.erasure.reduction import Doomed, had_in_prompt, without
from doctrail_core.erasure.scrubbing import Scrubber
from doctrail_core.erasure.subject import Affected, batches
from doctrail_core.ledger.forgotten import Forgotten
from doctrail_core.ledger.impact import ImpactHit, Query
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.model import Trail
from doctrail_core.trails.store import TrailEditor, TrailStore, TrailSummary

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["ErasedDocument"]

_SHOWN = 20
_DERIVED = "sha256:"
"""How an id begins that was made from a text."""


@dataclass
class ErasedDocument:
    """A document, by its id.

    Attributes:
        name: The id.
        answers: Whether the answers of responses that had it in their prompts go, too.
    """

    name: str
    answers: bool = False
    scope: Scope = field(default="document", init=False)
    to_review: bool = field(default=True, init=False)

    def places(self, ledger: LedgerReader) -> Sequence[int]:
        return ledger.document(self.name)

    def affected(self, ledger: LedgerReader) -> Iterator[Affected]:
        for hit in ledger.affected(Query(document_id=self.name)):
            if hit.log != ledger.log:
                continue  # of another home: its keys, and its log, are there
            yield Affected(
                seq=hit.seq,
                response=hit.response_id if _is_random(hit.response_id) else None,
                time=hit.time.isoformat(),
                how=hit.how,
                grade=hit.grade,
                complete=hit.complete,
                via=self._via(ledger, hit),
            )

    def found(self, ledger: LedgerReader, trails: TrailStore | None) -> Mapping[str, int]:
        places = self.places(ledger)
        named = [place for place in places if ledger.name_of(place) is not None]
        chunks = {chunk for place in named for chunk in _chunks_of(ledger, place)}
        return {
            "chunks": len(chunks),
            "keys": sum(ledger.key_of(place) is not None for place in places),
            "names": len(named),
            "texts": len(trails.texts_of(self.name)) if trails else 0,
            "trails": len(_trails_with(trails, self.name)) if trails else 0,
        }

    def erase_from(self, trails: TrailStore, editor: TrailEditor, ledger: LedgerReader) -> None:
        doomed = self._doomed(trails, ledger)
        for ids in batches(self._concerned(trails, ledger, doomed)):
            with editor.changing():
                for response_id in ids:
                    _reduce(trails, editor, response_id, doomed)
        with editor.changing():
            editor.drop_unused()

    def forgotten(self, ledger: LedgerReader) -> Forgotten:
        places = self.places(ledger)
        chunks = [chunk for place in places for chunk in _chunks_of(ledger, place)]
        derived = [c for c in chunks if (ledger.name_of(c) or "").startswith(_DERIVED)]
        return Forgotten(documents=places, derived_chunks=derived, names=self._sources(ledger))

    def owners(self, ledger: LedgerReader) -> Collection[int]:
        return {*self.places(ledger), *self._sources(ledger)}

    def editing(self, trails: TrailStore | None) -> Callable[[str], str]:
        return Scrubber(trails.texts_of(self.name) if trails else (), [self.name]).scrub

    def remarks(self, ledger: LedgerReader) -> Collection[str]:
        del ledger  # what they say of other things may stay
        return ()

    def not_covered(self, ledger: LedgerReader, trails: TrailStore | None) -> Iterator[str]:
        places = self.places(ledger)
        derived = {made for place in places for made in ledger.store.derived_from(place)}
        if derived:
            yield (
                f"{len(derived)} documents that were made from it (ledger places {_listed(derived)}): erase them as"
                " well, where they hold what it held."
            )
        sharing = trails.sharing_texts(self.name) if trails else ()
        if sharing:
            bound = {place for name in sharing for place in ledger.document(name)}
            yield (
                f"texts that {len(sharing)} other documents have word for word (ledger places {_listed(bound)}): they"
                " stay with those."
            )
        shared = self._all_sources(ledger) - set(self._sources(ledger))
        if shared:
            yield f"{len(shared)} names of sources that other documents have, too; the ledger keeps them sealed."
        if not self.answers:
            yield (
                "what models wrote: answers that may hold something of it are flagged for review, not removed"
                " (--answers removes them)."
            )
        yield "questions, prompts and outputs of tools that tell of it in words of their own, or in fewer than five in a row."

    # Names

    def _via(self, ledger: LedgerReader, hit: ImpactHit) -> int | None:
        if hit.derived_from is None and hit.same_text_as is None:
            return None
        places = ledger.document(hit.document_id)
        return places[-1] if places else None

    def _sources(self, ledger: LedgerReader) -> list[int]:
        """Names of sources that no other document has."""
        own = set(self.places(ledger))
        return [
            source
            for source in self._all_sources(ledger)
            if {document for _, document in ledger.store.chunks(by="source", key=source)} <= own
        ]

    def _all_sources(self, ledger: LedgerReader) -> set[int]:
        chunks = [chunk for place in self.places(ledger) for chunk in _chunks_of(ledger, place)]
        entries = (ledger.entry(chunk) for chunk in chunks)
        return {entry.body["source"] for entry in entries if entry and "source" in entry.body}

    # Trails

    def _doomed(self, trails: TrailStore, ledger: LedgerReader) -> Doomed:
        places = self.places(ledger)
        alias = f"erased:{places[-1]}" if places else "erased"
        answers = self._silenced(trails, ledger) if self.answers else set[str]()
        said = _said_in(trails, answers)
        return Doomed(
            document_id=self.name,
            alias=alias,
            chunk_aliases=_aliases(trails, self.name, alias),
            texts=Scrubber(trails.texts_of(self.name)),
            answers=answers,
            said=Scrubber(said) if said else None,
        )

    def _silenced(self, trails: TrailStore, ledger: LedgerReader) -> set[str]:
        """The responses whose answers may hold something of it."""
        hits = ledger.affected(Query(document_id=self.name))
        told = {hit.response_id for hit in hits if hit.how != "retrieved_only"}
        for response_id in _trails_with(trails, self.name):
            trail = trails.get(response_id)
            if trail is not None and had_in_prompt(trail, self.name):
                told.add(response_id)
        return told

    def _concerned(self, trails: TrailStore, ledger: LedgerReader, doomed: Doomed) -> list[str]:
        """The responses that had it, also those of an attempt that came to nothing, and all of their sessions.

        Latest first: what one of them quotes of an earlier one is known as long as that is there.
        """
        began: dict[str, datetime] = {}
        sessions: set[str] = set()
        for found in self._had(trails, ledger, doomed):
            began[found.response_id] = found.started_at
            if found.session_id is not None:
                sessions.add(found.session_id)
        mates = (mate for each in sessions for mate in trails.responses(session_id=each))
        began |= {mate.response_id: mate.started_at for mate in mates}
        return sorted(began, key=lambda each: began[each], reverse=True)

    def _had(
        self, trails: TrailStore, ledger: LedgerReader, doomed: Doomed
    ) -> Iterator[TrailSummary | Trail]:
        told: set[str] = set()
        for name in (doomed.document_id, doomed.alias):
            for found in trails.responses(document_id=name):
                told.add(found.response_id)
                yield found
        more = {*self._linked(ledger), *self._decided_on(ledger), *doomed.answers} - told
        yield from filter(None, map(trails.get, sorted(more)))

    def _linked(self, ledger: LedgerReader) -> Iterator[str]:
        """The responses that the ledger knows to have had it, or something that was made from it."""
        return (hit.response_id for hit in ledger.affected(Query(document_id=self.name)))

    def _decided_on(self, ledger: LedgerReader) -> Iterator[str]:
        """Those for which somebody was not let see it."""
        own = {chunk for place in self.places(ledger) for chunk in _chunks_of(ledger, place)}
        for entry in ledger.events("access"):
            named = (words[0] for key in ("allowed", "denied") for words in entry.body.get(key, ()))
            if entry.response is not None and not own.isdisjoint(named):
                yield ledger.response_id_of(entry.response)


def _reduce(trails: TrailStore, editor: TrailEditor, response_id: str, doomed: Doomed) -> None:
    trail = trails.get(response_id)
    if trail is not None:
        left = without(trail, doomed)
        if left is not trail:
            editor.replace(left)


def _chunks_of(ledger: LedgerReader, place: int) -> Iterator[int]:
    return (chunk for chunk, _ in ledger.store.chunks(by="document", key=place))


def _trails_with(trails: TrailStore, document_id: str) -> list[str]:
    return [found.response_id for found in trails.responses(document_id=document_id)]


def _aliases(trails: TrailStore, document_id: str, alias: str) -> dict[str, str]:
    """What the chunks are called from now on: numbered, after those that an earlier attempt has numbered."""
    begun = len({use.chunk_id for use in trails.chunks_of(alias)})
    names = sorted({use.chunk_id for use in trails.chunks_of(document_id)})
    return {name: f"{alias}/{number}" for number, name in enumerate(names, begun)}


def _said_in(trails: TrailStore, response_ids: Collection[str]) -> set[str]:
    """What models wrote in these responses."""
    found = (trails.get(each) for each in response_ids)
    return {text for trail in found if trail is not None for text in _said(trail)}


def _said(trail: Trail) -> Iterator[str]:
    yield from filter(None, (trail.answer, *(g.output for g in trail.generations)))


def _is_random(response_id: str) -> bool:
    try:
        return str(UUID(response_id)) == response_id
    except ValueError:
        return False


def _listed(places: Collection[int]) -> str:
    """The first of them, in words."""
    shown = ", ".join(map(str, sorted(places)[:_SHOWN]))
    return shown if len(places) <= _SHOWN else f"{shown}, and {len(places) - _SHOWN} more"
