"""A trail without a document: its texts, names and whatever else tells what was in it.

Nothing in here knows a store. What the trail says of other documents, of scores, times and places in prompts
stays as it is, and so does what models wrote, unless that is to go as well: an answer may hold something of
the document, and whether it does is for people to say.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from doctrail_core.erasure.scrubbing import Scrubber
from doctrail_core.model import Chunk, Context, Diagnosis, Finding, Trail, Verdict
from doctrail_core.text.spans import Span
from doctrail_core.trails.codec import fields_of, trail_of
from doctrail_core.trails.prompts import ERASED

__all__ = ["Doomed", "had_in_prompt", "without"]

_OF_DOCUMENTS = frozenset({"document_id", "sources"})
_OF_CHUNKS = frozenset({"better", "chunk_id", "chunk_ids"})
_OF_OTHERS = frozenset({"reused", "through"})
_MODELS_WORDS = frozenset({"answer", "cited", "missing", "output"})


@dataclass(frozen=True, slots=True)
class Doomed:
    """What is to go, all trails alike.

    Attributes:
        document_id: The document.
        alias: What it is called from now on.
        chunk_aliases: What its chunks are.
        texts: Finds their texts.
        answers: The responses of which also what models wrote is to go.
        said: Finds what models wrote there, in other prompts.
    """

    document_id: str
    alias: str
    chunk_aliases: Mapping[str, str]
    texts: Scrubber
    answers: Collection[str] = ()
    said: Scrubber | None = None


def had_in_prompt(trail: Trail, document_id: str) -> bool:
    """Whether a model may have read the document for this response."""
    if not trail.contexts and trail.generations:
        return True  # nobody looked
    grades = trail.chunk_grades
    own = (c.chunk_id for c in trail.finds if c.document_id == document_id)
    return any(grades[chunk_id] != "retrieved" for chunk_id in own)


def without(trail: Trail, doomed: Doomed) -> Trail:
    """The trail without what is doomed; the same one where there is nothing of it."""
    left = trail_of(_Reduction(trail, doomed).fields())
    return trail if left == trail else left


class _Reduction:
    """One trail being reduced."""

    def __init__(self, trail: Trail, doomed: Doomed) -> None:
        self._trail = trail
        self._doomed = doomed
        own, others = _chunk_ids(trail, doomed.document_id)
        self._own = own
        self._aliases = {i: doomed.chunk_aliases.get(i, ERASED) for i in own - others}
        self._silent = trail.response_id in doomed.answers
        self._spoken = {trail.answer, *(g.output for g in trail.generations)} - {None}
        self._marks = Scrubber((), _marks(trail, doomed.document_id))

    def fields(self) -> dict[str, Any]:
        trail = self._trail
        verdicts_apart = (
            replace(a, verdicts=tuple(map(self._verdict, a.verdicts))) for a in trail.assessments
        )
        diagnoses = tuple(map(self._diagnosis, trail.diagnoses))
        bare = replace(trail, assessments=tuple(verdicts_apart), diagnoses=diagnoses)
        fields = fields_of(bare)
        messages = [list(self._messages(each)) for each in fields["generations"]]
        reduced = cast("dict[str, Any]", self._walk(fields, ""))
        for generation, texts in zip(reduced["generations"], messages, strict=True):
            for message, text in zip(generation["messages"], texts, strict=True):
                message["text"] = text
        if self._silent:
            reduced["answer_hash"] = None
            for assessment in reduced["assessments"]:
                assessment["answer_hash"] = None
        return reduced

    def _walk(self, value: Any, key: str) -> Any:
        if isinstance(value, str):
            return self._text(value, key)
        if isinstance(value, Mapping):
            return self._mapping(cast("Mapping[str, Any]", value), key)
        if isinstance(value, list | tuple):
            return [self._walk(each, key) for each in cast("Sequence[Any]", value)]
        return value

    def _mapping(self, fields: Mapping[str, Any], key: str) -> dict[str, Any]:
        if key == "chunk":
            return self._chunk(fields)
        if key == "claim":
            return {**fields, "text": None} if self._silent else dict(fields)
        walked = {name: self._walk(value, name) for name, value in fields.items()}
        if fields.get("document_id") == self._doomed.document_id and fields.get("chunk_id"):
            walked["chunk_id"] = self._doomed.chunk_aliases.get(fields["chunk_id"], ERASED)
        return walked

    def _chunk(self, chunk: Mapping[str, Any]) -> dict[str, Any]:
        if chunk["document_id"] != self._doomed.document_id:
            return dict(chunk)
        alias = self._doomed.chunk_aliases.get(chunk["chunk_id"], ERASED)
        gone = dict.fromkeys(("content_hash", "text", "source", "version"))
        named = {"chunk_id": alias, "document_id": self._doomed.alias}
        return {**chunk, **gone, **named, "metadata": dict[str, Any]()}

    def _text(self, text: str, key: str) -> str:
        if key in _OF_DOCUMENTS:
            return self._doomed.alias if text == self._doomed.document_id else text
        if key in _OF_CHUNKS:
            return self._aliases.get(text, text)
        if key in _OF_OTHERS or key.endswith(("_id", "_hash")):
            return text
        if key in _MODELS_WORDS and (key != "output" or text in self._spoken):
            return ERASED if self._silent else text
        return self._scrubbed(text)

    def _scrubbed(self, text: str, also: Sequence[Span] = (), keep: Sequence[Span] = ()) -> str:
        said = self._doomed.said.find(text) if self._doomed.said else ()
        marks = self._marks.find(text)
        return self._doomed.texts.scrub(text, also=(*also, *marks, *said), keep=keep)

    def _messages(self, generation: Mapping[str, Any]) -> Iterator[str | None]:
        """The texts of a prompt; what came from other chunks stays."""
        named = generation["generation_id"]
        contexts = [c for c in self._trail.contexts if c.generation_id == named]
        for number, message in enumerate(generation["messages"]):
            text = message["text"]
            if text is None:
                yield None
                continue
            own, others = self._places(contexts, number)
            if message["role"] != "assistant":
                yield self._scrubbed(text, also=own, keep=others)
            elif self._doomed.said is None:
                yield text
            else:
                yield self._doomed.said.scrub(text, keep=others)

    def _places(self, contexts: Sequence[Context], message: int) -> tuple[list[Span], list[Span]]:
        own: list[Span] = []
        others: list[Span] = []
        for arrival in (a for c in contexts for a in c.arrivals if a.state != "absent"):
            of = own if arrival.document_id == self._doomed.document_id else others
            of += [(span.start, span.end) for span in arrival.spans if span.message == message]
        return own, others

    def _verdict(self, verdict: Verdict) -> Verdict:
        named = (*verdict.evidence, *verdict.conflicting_evidence)
        if any(each.chunk_id in self._own for each in named):
            return replace(verdict, conflicting_value=None)
        return verdict

    def _diagnosis(self, diagnosis: Diagnosis) -> Diagnosis:
        return replace(diagnosis, findings=tuple(map(self._finding, diagnosis.findings)))

    def _finding(self, finding: Finding) -> Finding:
        about = finding.evidence.chunk_id if finding.evidence else None
        if about in self._own or finding.document_id == self._doomed.document_id:
            return replace(finding, text=ERASED, sentence=None)
        return finding


def _chunk_ids(trail: Trail, document_id: str) -> tuple[set[str], set[str]]:
    """The ids of the document's chunks, and those of others: two documents may number theirs alike."""
    named = {(c.document_id, c.chunk_id) for c in trail.finds}
    named |= {(a.document_id, a.chunk_id) for c in trail.contexts for a in c.arrivals}
    decisions = (decision for retrieval in trail.retrievals for decision in retrieval.access)
    named |= {(c.document_id, c.chunk_id) for decision in decisions for c in decision.chunks}
    own = {chunk_id for document, chunk_id in named if document == document_id}
    return own, {chunk_id for document, chunk_id in named if document != document_id}


def _marks(trail: Trail, document_id: str) -> set[str]:
    """What the document and its chunks are called or said to be, as far as no other's chunk has it too."""
    own: set[str] = {document_id} if _chunk_ids(trail, document_id)[0] else set()
    others: set[str] = set()
    for chunk in trail.finds:
        of = own if chunk.document_id == document_id else others
        of |= {chunk.document_id, chunk.chunk_id, *_said_of(chunk)}
    return own - others


def _said_of(chunk: Chunk) -> Iterator[str]:
    yield from filter(None, (chunk.source, chunk.version))
    yield from _strings(chunk.metadata)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in cast("Mapping[str, object]", value).values():
            yield from _strings(each)
    elif isinstance(value, list | tuple):
        for each in cast("Sequence[object]", value):
            yield from _strings(each)
