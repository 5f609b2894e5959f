"""What a passing answer is checked against: what arrived, as far as that is on record by then.

Where nothing is on record, the documents count that a chain hands on beside its answer, as
`create_retrieval_chain` does, and those that an agent's tools left in its messages.
"""

import asyncio
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import var_child_runnable_config

from doctrail_core import suppress
from doctrail_core.grounding.checking import aassess, assess, check, unchecked
from doctrail_core.grounding.verifier import Verifier
from doctrail_core.model import Assessment, Trail
from doctrail_core.text.identity import clean_text
from langchain_doctrail.artifacts import documents_in, of_tool
from langchain_doctrail.documents import retrieved
from langchain_doctrail.fields import fields
from langchain_doctrail.listening import running
from langchain_doctrail.messages import question_in

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from doctrail_core import Lineage

__all__ = ["NOT_ON_RECORD", "Case", "OnRecord", "Unrecorded", "case_of"]

NOT_ON_RECORD = (
    "nothing of this answer is on record, and no documents come with it; pass a LineageCallbackHandler"
    " where the chain is called, or build the chain with check_grounding().around(chain)"
)


@dataclass(frozen=True, slots=True)
class OnRecord:
    """An answer of a response that is open, and the part of it that the answer was made in."""

    lineage: "Lineage"
    known: Trail
    part: Trail

    @property
    def response_id(self) -> str:
        """The response's id."""
        return self.known.response_id

    def assess(self, verifier: Verifier) -> Assessment:
        """Check the answer."""
        with _apart():
            return assess(self.part, verifier)

    async def aassess(self, verifier: Verifier) -> Assessment:
        """Check the answer without blocking the event loop."""
        with _apart():
            return await aassess(self.part, verifier)

    def record(self, assessment: Assessment) -> None:
        """Put the result on record."""
        self.lineage.assessed(assessment, self.known)


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """An answer, and the documents that came with it; or why nothing more is known of it."""

    answer: str
    question: str | None = None
    chunks: Sequence[Mapping[str, Any]] = ()
    why: str = NOT_ON_RECORD

    @property
    def response_id(self) -> str:
        """It has none."""
        return ""

    def assess(self, verifier: Verifier) -> Assessment:
        """Check the answer."""
        if not self.chunks:
            return unchecked(verifier, self.why)
        with _apart():
            return check(self.answer, self.chunks, self.question, verifier=verifier)

    async def aassess(self, verifier: Verifier) -> Assessment:
        """Check the answer without blocking the event loop."""
        return await asyncio.to_thread(self.assess, verifier)

    def record(self, assessment: Assessment) -> None:
        """There is no record to put it on."""


Case = OnRecord | Unrecorded


def case_of(answer: str, output: object) -> Case:
    """How the answer in an output of the running code came about."""
    if place := running():
        lineage, run = place
        known = lineage.so_far(run.response.root_id)
        if known and (known.generations or known.chunks):
            whole = run.outer or run
            asked = question_in(whole.inputs) if whole.outer else None
            part = _part(known, set(whole.called))
            part = replace(part, answer=clean_text(answer), question=asked or known.question)
            return OnRecord(lineage, known, part)
    chunks = [_fields_of(document) for document in _beside(output)]
    return Unrecorded(answer, question_in(output), chunks)


def _part(known: Trail, calls: set[str]) -> Trail:
    """What these calls of models read: answers may be made side by side, and made again."""
    if calls.isdisjoint(context.generation_id for context in known.contexts):
        return known
    return replace(
        known,
        contexts=tuple(c for c in known.contexts if c.generation_id in calls),
        generations=tuple(g for g in known.generations if g.generation_id in calls),
    )


def _beside(output: object) -> "list[Document]":
    named = documents_in(output)
    return named or of_tool(fields(output).get("messages"))


def _fields_of(document: "Document") -> Mapping[str, Any]:
    chunk = retrieved(document)
    return {
        "text": chunk.text,
        "chunk_id": chunk.chunk_id,
        "document_id": chunk.document_id,
        "metadata": chunk.metadata,
    }


@contextmanager
def _apart() -> Generator[None]:
    """What a verifier calls in here is no part of the running chain: not of its lineage, nor its stream."""
    token = var_child_runnable_config.set(None)
    try:
        with suppress():
            yield
    finally:
        var_child_runnable_config.reset(token)
