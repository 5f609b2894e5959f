"""All that is known of one response."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

from doctrail_core.model.assessment import Assessment
from doctrail_core.model.carried import CarriedChunk, Involvement
from doctrail_core.model.chunk import Chunk
from doctrail_core.model.citation import Citation
from doctrail_core.model.context import Context
from doctrail_core.model.derivation import Derivation
from doctrail_core.model.diagnosis import Diagnosis
from doctrail_core.model.generation import Generation, ToolCall
from doctrail_core.model.rerank import Rerank
from doctrail_core.model.retrieval import Retrieval
from doctrail_core.model.step import Step

Status = Literal["ok", "error", "aborted", "interrupted"]
"""`aborted`: the caller stopped it. `interrupted`: it ended without an answer, or never ended."""

Grade = Literal["cited", "supports", "in_prompt", "retrieved"]
"""How deeply a source was involved, strongest first."""

EntryKind = Literal["retrieved", "answered", "assessed", "diagnosed"]
"""`retrieved` is on record before a model is called, `answered` when the response is complete; `assessed`
and `diagnosed` are said about it later, the latest of the trail's at its end."""

GRADES: tuple[Grade, ...] = ("cited", "supports", "in_prompt", "retrieved")


def strongest(grades: Iterable[Grade]) -> Grade:
    """The grade that says most."""
    return min(grades, key=GRADES.index)


def closest(involvements: Iterable[Involvement | None]) -> Involvement | None:
    """`direct` if any is, else `indirect` if any is."""
    found = set(involvements)
    return "direct" if "direct" in found else "indirect" if "indirect" in found else None


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """A document behind a response, with the strongest grade any of its chunks reached.

    `involvement` is `direct` if that of any chunk is, and None where none played a part.
    """

    document_id: str
    grade: Grade
    chunks: tuple[Chunk, ...]
    involvement: Involvement | None = None


@dataclass(frozen=True)  # without slots: what is asked of all its parts together is found once
class Trail:
    """The lineage of one response: what was retrieved, what arrived, what was answered.

    `query_hash` is `hmac-sha256:<hex>` under the installation's key, so it can be compared within an
    installation but not guessed from outside. `framework` names the adapter that reported it. `turn`
    is the response's place (from 1) in its session, as far as the session is on record.

    Steps, retrievals, generations and tool calls form one tree by `parent_id`. `citations` were resolved
    when the response closed; `assessments` and `diagnoses` were added later, in the order of time.
    `derivations` say what the documents behind it were made from, as far as their chunks told; `reused`
    names the earlier responses whose answers a cache gave again.
    `answer_hash` is `sha256:<hex>`, where the hash is kept and the answer is not.
    """

    response_id: str
    status: Status
    started_at: datetime
    ended_at: datetime
    query_hash: str
    question: str | None = None
    answer: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    trace_id: str | None = None
    service: str | None = None
    framework: str | None = None
    error: str | None = None
    retrievals: tuple[Retrieval, ...] = ()
    contexts: tuple[Context, ...] = ()
    generations: tuple[Generation, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    steps: tuple[Step, ...] = ()
    carried: tuple[CarriedChunk, ...] = ()
    turn: int | None = None
    citations: tuple[Citation, ...] = ()
    assessments: tuple[Assessment, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    derivations: tuple[Derivation, ...] = ()
    reused: tuple[str, ...] = ()
    answer_hash: str | None = None
    reranks: tuple[Rerank, ...] = ()

    @cached_property
    def chunks(self) -> Mapping[str, Chunk]:
        """Every chunk by id, as the outermost retrieval returned it; those of earlier turns too."""
        outermost_last = self.retrievals
        if len(outermost_last) > 1:
            outermost_last = sorted(outermost_last, key=lambda r: r.enclosing_id is None)
        chunks = {c.chunk.chunk_id: c.chunk for c in self.carried}
        chunks.update((h.chunk.chunk_id, h.chunk) for r in outermost_last for h in r.hits)
        return chunks

    @cached_property
    def finds(self) -> tuple[Chunk, ...]:
        """Every chunk as often as it came: those of earlier turns, then each hit of each retrieval."""
        earlier = [carried.chunk for carried in self.carried]
        return *earlier, *(hit.chunk for retrieval in self.retrievals for hit in retrieval.hits)

    @cached_property
    def chunk_grades(self) -> Mapping[str, Grade]:
        """The grade each chunk reached; one that an earlier answer brought had been in its prompt."""
        cited = cited_in([*self.citations, *(c for a in self.assessments for c in a.citations)])
        supporting = supporting_in(self.assessments)
        arrived = {a.chunk_id for c in self.contexts for a in c.arrivals if a.state != "absent"}
        arrived |= {c.chunk.chunk_id for c in self.carried}
        grades: dict[str, Grade] = dict.fromkeys(self.chunks, "retrieved")
        reached: tuple[tuple[Grade, set[str]], ...] = (
            ("in_prompt", arrived),
            ("supports", supporting),
            ("cited", cited),
        )
        for grade, chunk_ids in reached:
            grades.update(dict.fromkeys(chunk_ids & grades.keys(), grade))
        return grades

    @cached_property
    def involvements(self) -> Mapping[str, Involvement]:
        """How each chunk that played a part reached the answer; those that played none are not in it."""
        from doctrail_core.model.involvement import involvements

        return involvements(self)

    @property
    def documents(self) -> tuple[SourceDocument, ...]:
        """The documents behind the answer, strongest grade first."""
        grades, involved = self.chunk_grades, self.involvements
        chunks: dict[str, list[Chunk]] = {}
        for chunk in self.chunks.values():
            chunks.setdefault(chunk.document_id, []).append(chunk)
        found = [
            SourceDocument(
                document_id,
                strongest(grades[chunk.chunk_id] for chunk in own),
                tuple(own),
                closest(involved.get(chunk.chunk_id) for chunk in own),
            )
            for document_id, own in chunks.items()
        ]
        return tuple(sorted(found, key=lambda document: GRADES.index(document.grade)))

    @property
    def models(self) -> tuple[str, ...]:
        """The models that were asked for the answer, in order, each once."""
        return tuple(
            dict.fromkeys(g.model for g in self.generations if g.model and not g.auxiliary)
        )

    def why(self) -> str:
        """Say in plain text where this answer came from; safe to print on a terminal."""
        from doctrail_core.model.why import explain

        return explain(self)


def arrived_in(contexts: Iterable[Context]) -> list[str]:
    """The ids of the chunks that prompts held, in the order of the prompts, each once."""
    present = (
        sorted(
            (a for a in context.arrivals if a.state != "absent"),
            key=lambda a: (a.order is None, a.order),
        )
        for context in contexts
    )
    return list(dict.fromkeys(arrival.chunk_id for each in present for arrival in each))


def cited_in(citations: Iterable[Citation]) -> set[str]:
    """The chunks that an answer names and that it could read, whatever it names them for."""
    unread = ("not_in_context", "unknown_id")
    return {i for c in citations if c.state not in unread for i in c.chunk_ids}


def supporting_in(assessments: Iterable[Assessment]) -> set[str]:
    """The chunks that support a claim."""
    verdicts = (v for a in assessments for v in a.verdicts if v.verdict == "supported")
    return {evidence.chunk_id for verdict in verdicts for evidence in verdict.evidence}
