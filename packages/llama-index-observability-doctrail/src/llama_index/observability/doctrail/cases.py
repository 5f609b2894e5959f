"""A response that is checked, and what it can be checked against.

That is what its model was seen to read in the part of a response where it was answered; where nobody
saw that, the nodes that it names as its sources.
"""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.chat_engine.types import AgentChatResponse
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.schema import QueryBundle, QueryType

from doctrail_core import Trail
from doctrail_core.grounding.checking import aassess, assess, check, unchecked
from doctrail_core.grounding.verifier import Verifier
from doctrail_core.model import Assessment
from doctrail_core.model.part import part
from doctrail_core.text.identity import clean_text
from llama_index.observability.doctrail.handlers import RUNS
from llama_index.observability.doctrail.hits import chunks
from llama_index.observability.doctrail.note import GroundingNote, LineageNote
from llama_index.observability.doctrail.places import Place
from llama_index.observability.doctrail.streams import Heard

__all__ = ["Case", "Checked", "case_of"]

Checked = (
    Response | PydanticResponse | StreamingResponse | AsyncStreamingResponse | AgentChatResponse
)
"""What can be checked."""


@dataclass(slots=True, eq=False)
class Case:
    """A response that is checked.

    Attributes:
        place: Where it was answered, if that is on record.
        note: What its metadata says of the check.
        heard: What it said, as far as it was drawn.
        trail: All that is known of the response that the place is in.
    """

    response: Any
    question: str | None
    place: Place | None
    note: GroundingNote = field(default_factory=GroundingNote)
    heard: Heard = field(default_factory=Heard)
    trail: Trail | None = None

    @property
    def response_id(self) -> str:
        """The id of the response that it is or is in; empty where it is not on record."""
        return self.place.response_id if self.place else ""

    @property
    def said(self) -> str | None:
        """The whole answer; None where it is still to be drawn from a stream."""
        response = self.response
        if isinstance(response, StreamingResponse | AsyncStreamingResponse):
            return response.response_txt
        return "" if response.response is None else str(response)

    @property
    def text(self) -> str:
        """The answer, as far as it was said."""
        return self.heard.text

    @property
    def is_text(self) -> bool:
        """Whether a text can take its place."""
        return not isinstance(self.response, PydanticResponse) and self.heard.is_text

    def assess(self, verifier: Verifier) -> Assessment:
        """Check it."""
        trail = self._read()
        return self._check(verifier) if trail is None else assess(trail, verifier)

    async def aassess(self, verifier: Verifier) -> Assessment:
        """Check it without blocking the event loop."""
        trail = self._read()
        if trail is None:
            return await asyncio.to_thread(self._check, verifier)
        return await aassess(trail, verifier)

    def record(self, assessment: Assessment) -> None:
        """Put it on record, if this is what its response answers."""
        if self.place is not None and self.place.is_answer and self.trail is not None:
            self.place.lineage.assessed(assessment, self.trail)

    def replace(self, said: str) -> None:
        """Put another answer in its place."""
        streamed = isinstance(self.response, StreamingResponse | AsyncStreamingResponse)
        setattr(self.response, "response_txt" if streamed else "response", said)

    def _read(self) -> Trail | None:
        """The response with what its model was seen to read; None where no model was seen."""
        self.trail = self.place.trail() if self.place else None
        if self.place is None or self.trail is None:
            return None
        known = part(self.trail, self.place.run_id)
        if all(g.auxiliary for g in known.generations):
            return None
        asked = self.question or known.question
        return replace(known, answer=clean_text(self.text), question=asked, citations=())

    def _check(self, verifier: Verifier) -> Assessment:
        """Check it against the sources that it names itself."""
        if not self.response.source_nodes:
            why = "nothing is known of what it was made from"
            return unchecked(verifier, why, response_id=self.response_id)
        sources = [
            {"text": c.text, "chunk_id": c.chunk_id, "document_id": c.document_id}
            for c in chunks(self.response.source_nodes, None)
        ]
        return check(
            self.text, sources, self.question, verifier=verifier, response_id=self.response_id
        )


def case_of(response: Any, query: QueryType | None) -> Case:
    """Begin the check of a response; its note stands in the metadata from now on.

    Raises:
        TypeError: It is nothing that could be checked.
    """
    if not isinstance(response, Checked):
        raise TypeError(
            f"{type(response).__name__} is no response that can be checked; make one of its text:"
            " Response(text, source_nodes=nodes)"
        )
    question = query.query_str if isinstance(query, QueryBundle) else query
    if response.metadata is None:
        response.metadata = {}
    recorded = response.metadata.get("lineage")
    place = recorded.place if isinstance(recorded, LineageNote) else None
    case = Case(response, question, place or RUNS.place(active_span_id.get()))
    response.metadata["grounding"] = case.note
    return case
