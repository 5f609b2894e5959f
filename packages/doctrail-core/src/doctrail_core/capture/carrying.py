"""What a response builds on that earlier turns of its session retrieved.

Three ways lead here: a chunk's text stands in a prompt again; the host says that it keeps the chunk with
the prompt's messages, and its text is there; or a prompt holds what an earlier turn answered, or what a
tool returned then, and the chunk was behind that. What this response itself had retrieved before is its
own and never carried.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from doctrail_core.capture.sessions import Key, Past, Turn, key_of
from doctrail_core.model import CarriedBy, CarriedChunk, Chunk, Message
from doctrail_core.text.arrival import Match
from doctrail_core.text.recognition import recognised, telling
from doctrail_core.text.spans import Span

__all__ = ["Behind", "Earlier", "Present"]

_ANSWER_WORDS = 12
_ANSWER_LETTERS = 60
"""A shorter answer is recognised only where it is a message of its own: its words may stand anywhere."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Present:
    """A chunk of an earlier turn whose text stands in a prompt, and where."""

    carried: CarriedChunk
    match: Match


@dataclass(frozen=True, slots=True)
class Behind:
    """Something of an earlier turn that stands in a prompt, and the chunks that were behind it."""

    by: CarriedBy
    turn: Turn
    chunks: tuple[Key, ...]


class Earlier:
    """All that earlier turns, and the host, may have brought into the prompts of a response."""

    def __init__(
        self, past: Past, told: Collection[Chunk], name_apart: Callable[[Chunk], Chunk]
    ) -> None:
        """Gather the candidates.

        Args:
            past: The session.
            told: The chunks that the host keeps with the messages.
            name_apart: Gives a chunk an id that no chunk of another document has in this response.
        """
        self._past = past
        self._name_apart = name_apart
        self._told = _by_text(_with_origins(told, past))
        # Where several chunks have the same text, the host knows whose it is.
        self._chunks = _by_text(past.chunks.values()) | self._told
        self._answers = _grouped((text, turn) for turn in past.turns for text in turn.said)
        self._tools = _grouped((call, turn) for turn in past.turns for call in turn.tools)

    @property
    def may_be_present(self) -> bool:
        """Whether there is anything to look for in a prompt."""
        return bool(self._chunks or self._answers)

    def present(
        self, prompt: str, free: Sequence[Span], own: Collection[Chunk]
    ) -> tuple[list[Present], list[Behind]]:
        """The chunks and the long answers of earlier turns that stand in a prompt.

        Args:
            prompt: What the model was told.
            free: The stretches of it that nothing else explains.
            own: What this response itself had retrieved before.
        """
        chunks = self._not_among(own)
        answers = {
            text: turns[0]
            for text, turns in self._answers.items()
            if len(turns) == 1 and len(text) >= _ANSWER_LETTERS
        }
        found = recognised(prompt, free, [*answers, *chunks], self._told)
        present = {
            each.carried.chunk.chunk_id: each
            for text, match in found.items()
            for each in self._present(chunks.get(text, []), text, match)
        }
        behind = [
            Behind("answer", answers[text], answers[text].behind)
            for text in found
            if text in answers and telling(text, _ANSWER_WORDS, _ANSWER_LETTERS)
        ]
        return list(present.values()), behind

    def heard(self, messages: Sequence[Message], own_calls: Collection[str]) -> Iterator[Behind]:
        """What earlier turns answered, and their tools returned, that are messages of a prompt.

        The same answer given by several turns counts if it is there as often; that one tool call is
        meant and not another one of the same id must be certain as well.
        """
        if not self._past.turns:
            return
        said = Counter(m.text.strip() for m in messages if m.role == "assistant" and m.text)
        for text, times in said.items():
            turns = self._answers.get(text, [])
            if times >= len(turns):
                yield from (Behind("answer", turn, turn.behind) for turn in turns)
        for call in dict.fromkeys(m.tool_call_id for m in messages if m.tool_call_id):
            turns = self._tools.get(call, [])
            if len(turns) == 1 and call not in own_calls:
                yield Behind("tool", turns[0], turns[0].tools[call])

    def carried(
        self, present: Sequence[Present], behind: Sequence[Behind], own: Collection[Chunk]
    ) -> tuple[CarriedChunk, ...]:
        """Each chunk once: by its text, or else through the first turn that brought it."""
        if not present and not behind:
            return ()
        found = {each.carried.chunk.chunk_id: each.carried for each in present}
        keys = {key_of(each.chunk) for each in found.values()} | set(map(key_of, own))
        hashes = {chunk.content_hash for chunk in own if chunk.content_hash}
        for each in sorted(behind, key=lambda each: each.turn.number):
            for key in each.chunks:
                known = self._past.chunks.get(key)
                if known is None or key in keys or key[2] in hashes:
                    continue
                keys.add(key)
                chunk = self._name_apart(known.chunk)
                through = each.turn.response_id
                indirect = replace(known, chunk=chunk, carried_by=each.by, through=through)
                found.setdefault(chunk.chunk_id, indirect)
        return tuple(found.values())

    def _not_among(self, own: Collection[Chunk]) -> dict[str, list[CarriedChunk]]:
        ids = {(chunk.document_id, chunk.chunk_id) for chunk in own}
        texts = {chunk.content_hash for chunk in own}
        return {
            text: chunks
            for text, chunks in self._chunks.items()
            if chunks[0].chunk.content_hash not in texts
            and all((c.chunk.document_id, c.chunk.chunk_id) not in ids for c in chunks)
        }

    def _present(
        self, chunks: Sequence[CarriedChunk], text: str, match: Match
    ) -> Iterator[Present]:
        for each in chunks:
            if each.carried_by == "artifact" or telling(text):
                told = match if len(chunks) == 1 else replace(match, state="ambiguous")
                yield Present(replace(each, chunk=self._name_apart(each.chunk)), told)


def _with_origins(told: Iterable[Chunk], past: Past) -> Iterator[CarriedChunk]:
    """The chunks that the host keeps, as the turns that retrieved them know them."""
    by_text = _grouped((key[2], known) for key, known in past.chunks.items() if key[2])
    for chunk in told:
        key = key_of(chunk)
        unread = (chunk.document_id, chunk.chunk_id, None)
        known = past.chunks.get(key) or past.chunks.get(unread)
        alike = by_text.get(chunk.content_hash or "", [])
        if known is None and len(alike) == 1:
            known = alike[0]
        if known is None:
            yield CarriedChunk(chunk, "artifact")
        else:  # which has no text of its own, where texts are not kept
            same = replace(known.chunk, text=chunk.text, content_hash=chunk.content_hash)
            yield replace(known, chunk=same, carried_by="artifact")


def _by_text(chunks: Iterable[CarriedChunk]) -> dict[str, list[CarriedChunk]]:
    return _grouped((c.chunk.text.strip(), c) for c in chunks if c.chunk.text)


def _grouped(pairs: Iterable[tuple[str, _T]]) -> dict[str, list[_T]]:
    groups: dict[str, list[_T]] = {}
    for key, item in pairs:
        groups.setdefault(key, []).append(item)
    return groups
