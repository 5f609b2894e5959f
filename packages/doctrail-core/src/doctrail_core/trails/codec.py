"""A trail as bytes: a line that says how to find it and holds its texts; then the body.

All is JSON. The body lacks question, answer and the chunks' texts, also within prompts; a store keeps
each text once for all trails and puts it back with `joined`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from doctrail_core.durable.columns import microseconds
from doctrail_core.model import Grade, Trail
from doctrail_core.text.identity import canonical_id, clean_text
from doctrail_core.trails.prompts import fold, unfold

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "Parts",
    "Use",
    "decode",
    "encode",
    "fields_of",
    "in_session",
    "joined",
    "prepare",
    "taken_apart",
    "trail_of",
]

_ELSEWHERE: dict[str, Any] = {
    "question": True,
    "answer": True,
    "retrievals": {"__all__": {"hits": {"__all__": {"chunk": {"text"}}}}},
    "carried": {"__all__": {"chunk": {"text"}}},
    "generations": {"__all__": {"messages": {"__all__": {"text"}}}},
    "assessments": True,
    "diagnoses": True,
}

Use = tuple[str, str, str, int | None, str | None, Grade, bool]
"""That the trail has a chunk: document id, chunk id, content hash or "", index, source, grade, and
whether it reached the answer indirectly."""


@dataclass(frozen=True, slots=True)
class Parts:
    """An encoded trail, taken apart for a store.

    Attributes:
        texts: The chunks' texts by content hash.
        body: What `joined` makes a trail of, together with question, answer and texts.
    """

    response_id: str
    started_us: int
    ended_us: int
    status: str
    session_id: str | None
    user_id: str | None
    trace_id: str | None
    question: str | None
    answer: str | None
    message_ids: list[str]
    uses: list[Use]
    texts: dict[str, str]
    body: bytes
    turn: int | None = None


def encode(trail: Trail) -> bytes:
    """The bytes of a trail; never a byte that UTF-8 does not have."""
    from pydantic_core import PydanticSerializationError

    head = _head(trail)
    try:
        return _lines(head, trail)
    except PydanticSerializationError:
        # Lone surrogates, most likely: a text from a host that nobody cleaned on the way.
        adapter = _adapter()
        clean = adapter.validate_python(_cleaned(adapter.dump_python(trail)))
        return _lines(_cleaned(head), clean)


def in_session(session_id: str) -> bytes:
    """Bytes that every trail of the session has."""
    from pydantic_core import to_json

    return b'"session_id":' + to_json(canonical_id(session_id))


def decode(data: bytes) -> Trail:
    """The trail of these bytes.

    Raises:
        ValueError: They are no trail.
    """
    parts = taken_apart(data)
    return joined(parts.body, parts.question, parts.answer, parts.texts)


def taken_apart(data: bytes) -> Parts:
    """What a store needs of an encoded trail, without reading all of it.

    Raises:
        ValueError: They are no trail.
    """
    from pydantic_core import from_json

    head, _, body = data.partition(b"\n")
    try:
        return Parts(**from_json(head), body=body)
    except TypeError as error:
        raise ValueError("not an encoded trail") from error


def joined(
    body: bytes, question: str | None, answer: str | None, texts: Mapping[str, str]
) -> Trail:
    """The trail again; chunks whose text is not among `texts` have none.

    Raises:
        ValueError: It is no trail.
    """
    from pydantic_core import from_json

    prompts, _, rest = body.partition(b"\n")
    fields = from_json(rest)
    try:
        fields |= {"question": question, "answer": answer}
        _put_back(fields, from_json(prompts), texts)
    except (KeyError, TypeError) as error:
        raise ValueError("not the body of a trail") from error
    return _adapter().validate_python(fields)


def fields_of(trail: Trail) -> dict[str, Any]:
    """All that the trail says, as mappings and sequences of plain values."""
    return _adapter().dump_python(trail)


def trail_of(fields: Mapping[str, Any]) -> Trail:
    """The trail that says so; see `fields_of`.

    Raises:
        ValueError: No trail says this.
    """
    return _adapter().validate_python(fields)


def _put_back(fields: dict[str, Any], prompts: list[Any], texts: Mapping[str, str]) -> None:
    for retrieval in fields["retrievals"]:
        for hit in retrieval["hits"]:
            hit["chunk"]["text"] = texts.get(hit["chunk"]["content_hash"])
    for carried in fields.get("carried", ()):  # trails of before there were any have none
        carried["chunk"]["text"] = texts.get(carried["chunk"]["content_hash"])
    for generation, prompt in zip(fields["generations"], prompts, strict=True):
        for message, pieces in zip(generation["messages"], prompt, strict=True):
            message["text"] = unfold(pieces, texts)


def prepare() -> None:
    """Load now what encoding needs: a fork in the middle of an import would leave the child stuck."""
    _adapter()


@cache
def _adapter() -> "TypeAdapter[Trail]":
    from pydantic import TypeAdapter

    return TypeAdapter(Trail)


def _lines(head: dict[str, Any], trail: Trail) -> bytes:
    from pydantic_core import to_json

    prompts = fold(trail, head["texts"])
    body = _adapter().dump_json(trail, exclude=_ELSEWHERE)
    return b"\n".join((to_json(head), to_json(prompts), body))


def _head(trail: Trail) -> dict[str, Any]:
    grades, involved = trail.chunk_grades, trail.involvements
    uses: dict[tuple[str, str, str], Use] = {}
    texts: dict[str, str] = {}
    for chunk in trail.finds:
        text_hash = chunk.content_hash or ""
        key = (canonical_id(chunk.document_id), canonical_id(chunk.chunk_id), text_hash)
        indirect = involved.get(chunk.chunk_id) == "indirect"
        uses[key] = (*key, chunk.index, chunk.source, grades[chunk.chunk_id], indirect)
        if chunk.text is not None:
            texts[text_hash] = chunk.text
    return {
        "response_id": canonical_id(trail.response_id),
        "started_us": microseconds(trail.started_at),
        "ended_us": microseconds(trail.ended_at),
        "status": trail.status,
        "session_id": canonical_id(trail.session_id) if trail.session_id else None,
        "user_id": canonical_id(trail.user_id) if trail.user_id else None,
        "trace_id": trail.trace_id,
        "question": trail.question,
        "answer": trail.answer,
        "message_ids": [g.message_id for g in trail.generations if g.message_id],
        "uses": list(uses.values()),
        "texts": texts,
        "turn": trail.turn,
    }


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        return {_cleaned(key): _cleaned(item) for key, item in mapping.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in cast("Sequence[Any]", value)]
    return value
