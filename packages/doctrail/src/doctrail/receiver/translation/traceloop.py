"""What a span of OpenLLMetry says beyond the GenAI conventions.

Traps: the root of every chain calls itself `invoke_agent`; `traceloop.entity.input` and `.output` hold the
host's arguments around what was asked and said; its retriever spans drop ids and scores, so none are there
to be taken; its vector store spans have results in events, one each.
"""

from collections.abc import Mapping
from typing import Any, cast

from doctrail.receiver.span import ReceivedEvent, ReceivedSpan
from doctrail.receiver.translation.attributes import flat, name, parsed, record, text, whole
from doctrail.receiver.translation.documents import chunk, documents_in
from doctrail.receiver.translation.exchange import answer_in, question_in
from doctrail.receiver.translation.messages import messages_in
from doctrail.receiver.translation.operation import Kind, Operation
from doctrail_core.capture.events import RetrievedChunk

__all__ = ["read"]

_Attributes = Mapping[str, Any]
_ABOUT = "traceloop.association.properties"
_SESSIONS = ("session_id", "conversation_id", "chat_id", "thread_id")
_RESULT = "db.query.result"
_LIMITS = (".top_k", ".n_results", ".limit")
_FILTERS = (".where", ".filter")
_FOUND = (_RESULT, "db.query.embeddings", "db.search.result")


def read(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    """What it says; nothing where it is of another convention."""
    kind = _kind(span, attributes)
    about = record(attributes, _ABOUT)
    session = (name(about.get(key)) for key in _SESSIONS)
    told = _told(kind, span, attributes)
    return Operation(
        kind,
        name=name(attributes.get("traceloop.entity.name"))
        or (span.name if kind == "retrieval" else None),
        session_id=next(filter(None, session), None),
        user_id=name(about.get("user_id")),
        store=name(about.get("ls_vector_store_provider")) or name(attributes.get("db.system")),
        model=name(about.get("ls_model_name")) if kind == "nothing" else None,
        provider=name(about.get("ls_provider")),
        **told,
    )


def _kind(span: ReceivedSpan, attributes: _Attributes) -> Kind:
    if attributes.get("gen_ai.operation.name") == "vector_db_retrieve":
        return "retrieval"
    told = attributes.get("traceloop.span.kind")
    if told == "tool":
        return "tool"
    if told == "agent":
        return "agent"
    if told == "task" and _is_a_node(attributes):
        return "run"
    if told in ("workflow", "task") and "gen_ai.request.model" not in attributes:
        return "chain"
    return "retrieval" if any(event.name == _RESULT for event in span.events) else "nothing"


def _is_a_node(attributes: _Attributes) -> bool:
    node = attributes.get(f"{_ABOUT}.langgraph_node")
    return node is not None and node == attributes.get("traceloop.entity.name")


def _told(kind: Kind, span: ReceivedSpan, attributes: _Attributes) -> dict[str, Any]:
    asked, said = _inside(attributes, "input"), _inside(attributes, "output")
    if kind == "retrieval":
        found = documents_in(said) or _results(span.events)
        return {
            "asked": question_in(asked),
            "documents": tuple(found),
            "k": next(filter(None, map(whole, _of_a_store(attributes, _LIMITS))), None),
            "filters": next(filter(None, map(text, _of_a_store(attributes, _FILTERS))), None),
        }
    if kind == "tool":
        return {"asked": _arguments(asked), **_result(said)}
    if kind in ("chain", "run", "agent"):
        return {"asked": question_in(asked), "said": answer_in(said)}
    return {}


def _inside(attributes: _Attributes, what: str) -> object:
    """What was put in or came out, without the host's arguments around it."""
    value: object = attributes.get(f"traceloop.entity.{what}")
    found: object = parsed(value)
    if isinstance(found, Mapping):
        told = cast("Mapping[str, Any]", found)
        return next((told[key] for key in (f"{what}s", what) if key in told), told)
    return text(value) if found is None else found


def _arguments(asked: object) -> str | None:
    told: object = cast("_Attributes", asked).get("input_str") if _is_record(asked) else None
    return text(told) or text(asked)


def _is_record(value: object) -> bool:
    return isinstance(value, Mapping)


def _result(said: object) -> dict[str, Any]:
    told = messages_in(said)
    if len(told) == 1 and told[0].role == "tool":
        return {"said": told[0].text, "tool_call_id": told[0].tool_call_id}
    return {"said": text(said)}


def _of_a_store(attributes: _Attributes, endings: tuple[str, ...]) -> list[Any]:
    """What the spans of vector stores tell under names of their own, such as `db.chroma.query.where`."""
    named = (key for key in sorted(attributes) if key.startswith("db.") and key.endswith(endings))
    return [attributes[key] for key in named]


def _results(events: tuple[ReceivedEvent, ...]) -> list[RetrievedChunk]:
    told = (_found(flat(event.attributes)) for event in events if event.name in _FOUND)
    return [one for one in told if one is not None]


def _found(told: _Attributes) -> RetrievedChunk | None:
    about = record(told, f"{_RESULT}.metadata")
    content, chunk_id = told.get(f"{_RESULT}.document"), told.get(f"{_RESULT}.id")
    score, distance = told.get(f"{_RESULT}.score"), told.get(f"{_RESULT}.distance")
    if score is None and distance is not None:
        return chunk(content, chunk_id, about, distance, "distance")
    return chunk(content, chunk_id, about, score)
