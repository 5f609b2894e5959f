"""The frozen records of one answer's lineage. No I/O and no telemetry in here."""

from doctrail_core.model.carried import CarriedBy, CarriedChunk, Involvement
from doctrail_core.model.chunk import Chunk, IdOrigin
from doctrail_core.model.context import AbsenceReason, Arrival, ArrivalState, Context, PromptSpan
from doctrail_core.model.generation import Generation, Message, ToolCall, ToolRequest, Usage
from doctrail_core.model.retrieval import Hit, Retrieval, ScoreKind
from doctrail_core.model.step import Step
from doctrail_core.model.trail import (
    GRADES,
    EntryKind,
    Grade,
    SourceDocument,
    StageKind,
    Status,
    Trail,
)

__all__ = [
    "GRADES",
    "AbsenceReason",
    "Arrival",
    "ArrivalState",
    "CarriedBy",
    "CarriedChunk",
    "Chunk",
    "Context",
    "EntryKind",
    "Generation",
    "Grade",
    "Hit",
    "IdOrigin",
    "Involvement",
    "Message",
    "PromptSpan",
    "Retrieval",
    "ScoreKind",
    "SourceDocument",
    "StageKind",
    "Status",
    "Step",
    "ToolCall",
    "ToolRequest",
    "Trail",
    "Usage",
]
