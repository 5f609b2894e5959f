"""What a trail cannot tell, said aloud: an answer to "why" is only as good as its gaps are known."""

from collections.abc import Iterator, Sequence

from doctrail_core.model.context import Context
from doctrail_core.model.printable import one_line
from doctrail_core.model.trail import Trail
from doctrail_core.model.wording import count, few

__all__ = ["unseen"]


def unseen(trail: Trail) -> Iterator[str]:
    """One remark for each thing that this trail leaves open."""
    if not (trail.retrievals or trail.carried or trail.reused):
        yield (
            "Where its facts come from: no search was recorded. The model answered from what it learned"
            " in training, or the documents came by a way that is not being recorded."
        )
    if any(c.response_id is None for c in trail.carried):
        yield "Which search found some chunks: the application kept them, from before what is on record."
    if not (trail.generations or trail.reused):
        yield "What was asked of a model: no call was recorded."
    hits = [h for r in trail.retrievals for h in r.hits]
    silent = [
        r.retriever for r in trail.retrievals if r.hits and all(h.score is None for h in r.hits)
    ]
    if silent:
        yield f"How well the chunks fit the question: no scores were given by {few(map(one_line, silent))}."
    if any(h.score is not None and h.score_kind == "unknown" for h in hits):
        yield "What the scores mean: it is not known whether larger is better; the rank is what counts."
    derived = {h.chunk.document_id for h in hits if h.chunk.document_id_origin == "derived"}
    if derived:
        yield (
            f"The real names of {count(len(derived), 'document')}: the application gave no id, so one was"
            " made from the text. Put a document_id into the metadata when indexing."
        )
    if hits and trail.generations and not trail.contexts:
        yield "What reached the model: its prompt was not compared with the chunks."
    yield from _unseen_in_prompts(trail.contexts)
    checked = any(assessment.status == "checked" for assessment in trail.assessments)
    if not checked and (trail.answer is not None or trail.status == "ok"):
        yield (
            "Whether the answer says what these documents say: it was not checked. This shows what the"
            " model had before it, not whether it kept to it."
        )


def _unseen_in_prompts(contexts: Sequence[Context]) -> Iterator[str]:
    arrivals = [a for c in contexts for a in c.arrivals]
    if any(a.state == "absent" and a.reason in (None, "not observed") for a in arrivals):
        yield (
            "Why some chunks are absent: their words are not in the prompt. A summary or translation of"
            " them would not be recognised."
        )
    if any(a.state == "ambiguous" for a in arrivals):
        yield "Which of several chunks with the same text was read: the prompt holds the text fewer times."
    if any(c.unexplained_length for c in contexts):
        yield (
            "Where the rest of the prompt comes from: instructions, the question, earlier turns, or a"
            " search that is not being recorded."
        )
