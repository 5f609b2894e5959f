"""How a chunk arrived of which only pieces were handed on: each is looked for, and they count together."""

from collections.abc import Mapping, Sequence

from doctrail_core.model import ArrivalState
from doctrail_core.text.arrival import Match, match
from doctrail_core.text.spans import merged

__all__ = ["match_pieces"]


def match_pieces(prompt: str, chunks: Mapping[str, Sequence[str]]) -> dict[str, Match]:
    """Find each chunk (id: its pieces) in the prompt; a piece that another one holds is no piece."""
    pieces = {chunk_id: _apart(texts) for chunk_id, texts in chunks.items()}
    if all(len(texts) == 1 for texts in pieces.values()):
        return match(prompt, {chunk_id: texts[0] for chunk_id, texts in pieces.items()})
    named = {f"{n} {i}": text for i, texts in pieces.items() for n, text in enumerate(texts)}
    found = match(prompt, named)
    return {
        i: _together([(found[f"{n} {i}"], len(text)) for n, text in enumerate(texts)])
        for i, texts in pieces.items()
    }


def _apart(texts: Sequence[str]) -> list[str]:
    if len(texts) == 1:
        return list(texts)
    longest_first = sorted(dict.fromkeys(texts), key=len, reverse=True)
    kept: list[str] = []
    for text in longest_first:
        if not any(text in other for other in kept):
            kept.append(text)
    return kept


def _together(pieces: Sequence[tuple[Match, int]]) -> Match:
    if len(pieces) == 1:
        return pieces[0][0]
    spans = merged(span for found, _ in pieces for span in found.spans)
    whole = sum(length for _, length in pieces)
    coverage = sum(found.coverage * length for found, length in pieces) / whole
    return Match(_state({found.state for found, _ in pieces}), coverage, tuple(spans))


def _state(states: set[ArrivalState]) -> ArrivalState:
    """What all pieces have in common; where they differ, a part of the chunk is there."""
    return states.pop() if len(states) == 1 else "partial"
