"""Lineage without a framework: say by hand what was retrieved, read, answered and called.

Each of these is a `with` block (also `async with`) and a decorator for functions, coroutines, generators
and async generators. Blocks inside a `response`, or inside `doctrail_core.lineage()`, are one response;
calls of a recorded framework in there belong to it, too. Nothing here raises into the application: what
cannot be understood is logged and counted.
"""

from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.manual.context import context
from doctrail_core.manual.generation import generation
from doctrail_core.manual.retrieval import retrieval
from doctrail_core.manual.reuse import current_response_id, reused
from doctrail_core.manual.run import response, step
from doctrail_core.manual.tool import tool
from doctrail_core.model import Message, ToolRequest, Usage

__all__ = [
    "Message",
    "RetrievedChunk",
    "ToolRequest",
    "Usage",
    "context",
    "current_response_id",
    "generation",
    "response",
    "retrieval",
    "reused",
    "step",
    "tool",
]
