"""Reads what people said of answers, a JSON object a line.

    {"answer": "...", "chunks": [{"text": "..."}], "labels": [{"start": 0, "end": 31, "grounded": false}]}
    {"answer": "...", "chunks": ["..."], "question": "...", "label": "grounded"}

Characters are counted as in the answer itself. A bad line is refused, never skipped.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from doctrail_core.grounding.checking import chunks_of
from doctrail_core.grounding.verifier import Answer, Passage
from doctrail_core.model import Chunk
from doctrail_core.text.identity import clean_text

__all__ = ["Label", "LabelError", "Labelled", "read_labels"]

_WHOLE = {"grounded": True, "ungrounded": False}


class LabelError(ValueError):
    """A line that says nothing that can be learned from; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Label:
    """Whether characters `[start, end)` of an answer are grounded."""

    start: int
    end: int
    grounded: bool


@dataclass(frozen=True, slots=True)
class Labelled:
    """An answer and what people said of it.

    Attributes:
        answer: The answer.
        group: What it is about. Answers of one group are never learned from and tested on at once.
        labels: What they said of parts of it; None where they judged only the whole.
        grounded: What they said of the whole.
    """

    answer: Answer
    group: str
    labels: tuple[Label, ...] | None
    grounded: bool

    def says(self, start: int, end: int) -> bool | None:
        """Whether a claim is grounded; None where nobody said.

        A part that is not marked counts as grounded where only the wrong parts were marked.
        """
        if self.labels is None:
            return True if self.grounded else None
        said = {label.grounded for label in self.labels if label.start < end and start < label.end}
        if said:
            return False not in said
        return None if any(label.grounded for label in self.labels) else True


def read_labels(lines: Iterable[str], group: str | None = None) -> Iterator[Labelled]:
    """Read labelled answers.

    Args:
        lines: JSON objects; empty lines are passed over.
        group: The key of a line, or of its chunks, whose values are one group; by default the chunks'
            `document_id`, or their texts where there is none.

    Raises:
        LabelError: A line is not as it must be.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield _labelled(json.loads(line), group)
            except (json.JSONDecodeError, RecursionError) as error:
                raise LabelError(f"line {number}: this is no JSON: {error}") from error
            except LabelError as error:
                raise LabelError(f"line {number}: {error}") from error


def _labelled(told: object, group: str | None) -> Labelled:
    line = _object(told, "the line")
    text = _text(line, "answer")
    chunks = _list(line, "chunks")
    known = _chunks(chunks)
    passages = tuple(Passage(c.chunk_id, c.document_id, c.text or "") for c in known)
    question = _text(line, "question") if line.get("question") is not None else None
    labels = _labels(line, text)
    return Labelled(
        Answer(text, passages, question),
        _group(line, chunks, known, group),
        labels,
        _whole(line) if labels is None else all(label.grounded for label in labels),
    )


def _labels(line: Mapping[str, Any], text: str) -> tuple[Label, ...] | None:
    if "labels" not in line:
        return None
    return tuple(_label(each, len(text)) for each in _list(line, "labels"))


def _label(told: object, length: int) -> Label:
    label = _object(told, "a label")
    start, end = _place(label, "start"), _place(label, "end")
    if not 0 <= start < end <= length:
        raise LabelError(
            f"a label is from {start} to {end}, which is no part of an answer of {length} characters"
        )
    grounded = label.get("grounded")
    if not isinstance(grounded, bool):
        raise LabelError(f"'grounded' of a label is true or false, not {grounded!r:.40}")
    return Label(start, end, grounded)


def _place(label: Mapping[str, Any], key: str) -> int:
    value = label.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise LabelError(f"{key!r} of a label is a number of characters, not {value!r:.40}")
    return value


def _whole(line: Mapping[str, Any]) -> bool:
    if "label" not in line:
        raise LabelError("it has neither 'labels' nor 'label'")
    label = line["label"]
    if not isinstance(label, str) or label not in _WHOLE:
        raise LabelError(f"'label' is 'grounded' or 'ungrounded', not {label!r:.40}")
    return _WHOLE[label]


def _chunks(told: Sequence[object]) -> Sequence[Chunk]:
    for each in told:
        if not isinstance(each, str):
            _object(each, "a chunk")
    try:
        return list(chunks_of(cast("Sequence[Mapping[str, Any] | str]", told)).values())
    except ValueError as error:
        raise LabelError(str(error)) from error


def _group(
    line: Mapping[str, Any], chunks: Sequence[object], known: Sequence[Chunk], key: str | None
) -> str:
    if key is None:
        return "\n".join(sorted({chunk.document_id for chunk in known}))
    if key in line:
        return str(line[key])
    objects = [cast("Mapping[str, Any]", each) for each in chunks if isinstance(each, dict)]
    if named := {str(each[key]) for each in objects if key in each}:
        return "\n".join(sorted(named))
    raise LabelError(f"neither it nor its chunks have {key!r}, which is to tell the groups")


def _object(told: object, what: str) -> Mapping[str, Any]:
    if not isinstance(told, dict):
        raise LabelError(f"{what} must be an object, not {told!r:.40}")
    return cast("Mapping[str, Any]", told)


def _text(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    if not isinstance(value, str):
        raise LabelError(f"{key!r} must be a text, not {value!r:.40}")
    return clean_text(value)


def _list(told: Mapping[str, Any], key: str) -> list[object]:
    value = told.get(key)
    if not isinstance(value, list):
        raise LabelError(f"{key!r} must be a list, not {value!r:.40}")
    return cast("list[object]", value)
