"""Nodes on their way from a retriever into a prompt: who dropped, added, rewrote or scored them anew.

What a step hands on is compared with all that was seen before it. What is gone was dropped. New scores are
those of a ranking. New nodes and texts are told as a retrieval under the name of the step, with the texts
and scores that the nodes have from then on. Two kinds of new nodes are no sources: pieces cut out of one that was retrieved, which
stand for it, and texts that an inner engine answered, which are on record as its answer.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore

from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.model import ScoreKind
from doctrail_core.text.identity import canonical_id
from llama_index.observability.doctrail.hits import chunks, document_id

__all__ = ["Handover", "Known", "examine", "rerank_kind"]

Known = Mapping[str, Sequence[RetrievedChunk]]
"""The states in which each node was seen: several retrievers may find it, with a score each."""

_NUMBERED = re.compile(r"\ASource \d+:\n")
"""How `CitationQueryEngine` begins the pieces that it cuts."""


@dataclass(frozen=True, slots=True)
class Handover:
    """What a step hands on.

    Attributes:
        kept: The chunks that go on, for the core's arrivals; None if only answers do.
        changed: The nodes that are sources, if the step changed any.
        rewritten: Whether some of them are new, or have new texts, and not just new scores.
    """

    kept: tuple[str, ...] | None
    changed: tuple[RetrievedChunk, ...]
    rewritten: bool


def examine(
    nodes: Sequence[NodeWithScore], known: Known, answers: Iterable[str], kind: ScoreKind
) -> Handover:
    """Compare; `kind` is what scores mean that are new."""
    kept: list[str] = []
    sources: list[RetrievedChunk] = []
    changed = rewritten = False
    for hit in nodes:
        node = hit.node
        states = known.get(node.node_id, ())
        text = node.get_content(metadata_mode=MetadataMode.NONE)
        is_piece = not states or _NUMBERED.match(text)  # numbered ones had their chunk's id once
        cut_from = tuple(_cut_from(node, text, known)) if is_piece else ()
        if cut_from:
            kept += cut_from
        elif states or not _brings(text, answers):
            state = _same(states, text, hit.score)
            changed = changed or state is None
            rewritten = rewritten or all(seen.text != text for seen in states)
            sources.append(state or _anew(hit, states, kind))
            kept.append(node.node_id)
    told = tuple(map(canonical_id, kept)) if kept or not nodes else None
    return Handover(told, tuple(sources) if changed else (), rewritten)


def rerank_kind(step: object) -> ScoreKind:
    """What the scores mean that a post-processor gives, as far as its name says."""
    reranks = any("rerank" in cls.__name__.lower() for cls in type(step).__mro__)
    return "rerank" if reranks else "unknown"


def _same(
    states: Iterable[RetrievedChunk], text: str, score: float | None
) -> RetrievedChunk | None:
    for state in states:
        if state.text == text and (state.score is score or state.score == score):
            return state
    return None


def _anew(hit: NodeWithScore, states: Iterable[RetrievedChunk], kind: ScoreKind) -> RetrievedChunk:
    """The node as it is now; a score that it kept means what it meant before."""
    before = next((s for s in states if s.score == hit.score), None)
    return chunks([hit], before.score_kind if before else kind)[0]


def _cut_from(node: BaseNode, text: str, known: Known) -> Iterator[str]:
    """The nodes of the same document that this one is a piece of."""
    piece, numbered = _NUMBERED.subn("", text)
    piece, document = piece.strip(), document_id(node)
    for node_id, states in known.items():
        for state in states:
            whole = state.text or ""
            within = piece in whole or (numbered > 0 and whole.strip() in piece)
            if piece and within and state.document_id == document:
                yield node_id
                break


def _brings(text: str, answers: Iterable[str]) -> bool:
    """Whether the text is what an engine answered, after the question at most."""
    return any(text.rstrip().endswith(answer) for answer in answers)
