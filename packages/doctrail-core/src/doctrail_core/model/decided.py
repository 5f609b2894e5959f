"""What a policy decided about the finds of a search, in words: who was meant, and what was withheld from whom."""

from collections.abc import Iterator

from doctrail_core.model.access import AccessDecision, ChunkAccess
from doctrail_core.model.printable import one_line
from doctrail_core.model.wording import count, few

__all__ = ["decided"]

_ID = 40


def decided(decision: AccessDecision, *, full: bool) -> Iterator[str]:
    """One decision, in lines."""
    width = None if full else _ID
    whom = "nobody" if decision.principal is None else one_line(decision.principal, width)
    if decision.error:
        yield f"nothing released to {whom}: {one_line(decision.error, 200)}"
    elif decision.chunks:
        released = len(decision.chunks) - len(decision.denied)
        yield (
            f"{released} of {count(len(decision.chunks), 'chunk')} released to {whom} by"
            f" {one_line(decision.engine, width)}, policy {one_line(decision.policy or '?', width)},"
            f" decision {one_line(decision.decision_id or '?', width)}"
        )
    if decision.denied and not decision.error:
        named = [_named(chunk, width) for chunk in decision.denied]
        yield f"withheld: {', '.join(named) if full else few(named)}"


def _named(chunk: ChunkAccess, width: int | None) -> str:
    """Which chunk it was, and how it was classified; its text is nowhere."""
    name = f"{one_line(chunk.document_id, width)} {one_line(chunk.chunk_id, width)}"
    if chunk.label is None:
        return f"{name} (no label)"
    version = f" {one_line(chunk.label_version, width)}" if chunk.label_version else ""
    return f"{name} ({one_line(chunk.label, width)}{version})"
