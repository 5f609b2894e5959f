"""The frozen records of one answer's lineage. No I/O and no telemetry in here."""

from doctrail_core.model.access import (
    AccessDecision,
    AccessPolicy,
    ChunkAccess,
    LabelledChunk,
    PolicyConfiguration,
    Principal,
    Ruling,
)
from doctrail_core.model.assessment import NOT_A_CLAIM, Assessment, AssessmentStatus
from doctrail_core.model.carried import CarriedBy, CarriedChunk, Involvement
from doctrail_core.model.chunk import Chunk, IdOrigin
from doctrail_core.model.citation import Citation, CitationState
from doctrail_core.model.claim import VERDICTS, Claim, Evidence, Verdict, VerdictKind
from doctrail_core.model.context import AbsenceReason, Arrival, ArrivalState, Context, PromptSpan
from doctrail_core.model.derivation import Derivation
from doctrail_core.model.diagnosis import Diagnosis, Fault, Finding
from doctrail_core.model.generation import Generation, Message, ToolCall, ToolRequest, Usage
from doctrail_core.model.receipt import Receipt
from doctrail_core.model.rerank import RankedChunk, Rerank
from doctrail_core.model.retrieval import Hit, Retrieval, ScoreKind
from doctrail_core.model.span import SpanReference, SpanStart, StageKind
from doctrail_core.model.step import Step
from doctrail_core.model.trail import (
    GRADES,
    EntryKind,
    Grade,
    SourceDocument,
    Status,
    Trail,
)

__all__ = [
    "GRADES",
    "NOT_A_CLAIM",
    "VERDICTS",
    "AbsenceReason",
    "AccessDecision",
    "AccessPolicy",
    "Arrival",
    "ArrivalState",
    "Assessment",
    "AssessmentStatus",
    "CarriedBy",
    "CarriedChunk",
    "Chunk",
    "ChunkAccess",
    "Citation",
    "CitationState",
    "Claim",
    "Context",
    "Derivation",
    "Diagnosis",
    "EntryKind",
    "Evidence",
    "Fault",
    "Finding",
    "Generation",
    "Grade",
    "Hit",
    "IdOrigin",
    "Involvement",
    "LabelledChunk",
    "Message",
    "PolicyConfiguration",
    "Principal",
    "PromptSpan",
    "RankedChunk",
    "Receipt",
    "Rerank",
    "Retrieval",
    "Ruling",
    "ScoreKind",
    "SourceDocument",
    "SpanReference",
    "SpanStart",
    "StageKind",
    "Status",
    "Step",
    "ToolCall",
    "ToolRequest",
    "Trail",
    "Usage",
    "Verdict",
    "VerdictKind",
]
