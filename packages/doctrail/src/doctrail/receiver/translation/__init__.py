"""The spans of a trace become the events of the responses in it.

Ids and scores are taken where they are and never invented. What cannot be known from spans: where outputs are
hidden, a score of 0.0 of OpenInference's LlamaIndex instrumentation may stand for none at all; OpenLLMetry
tells neither ids nor scores of what LangChain retrieved, and earlier versions of it tell of no search.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from doctrail.receiver.span import ReceivedSpan
from doctrail.receiver.translation.doubles import join_doubles
from doctrail.receiver.translation.responses import Whole, wholes
from doctrail.receiver.translation.runs import runs
from doctrail.receiver.translation.telling import tell
from doctrail.receiver.translation.tree import tree
from doctrail_core.capture.events import Event

__all__ = ["Response", "translate"]

_OURS = "doctrail"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, and what happened for it, in the order in which it is to be recorded."""

    response_id: str
    trace_id: str
    events: Sequence[Event]


def translate(spans: Sequence[ReceivedSpan]) -> list[Response]:
    """The responses in these spans, in the order in which they began.

    It depends on the set of spans only, and never raises.

    Args:
        spans: All that was received of a trace, or of several. Our own are left out.
    """
    traces: dict[str, list[ReceivedSpan]] = defaultdict(list)
    for span in spans:
        if span.scope != _OURS and not span.scope.startswith(f"{_OURS}."):
            traces[span.trace_id].append(span)
    found = [each for trace_id in sorted(traces) for each in _responses(trace_id, traces[trace_id])]
    return [response for _, response in sorted(found, key=lambda each: each[0])]


def _responses(
    trace_id: str, spans: Sequence[ReceivedSpan]
) -> Iterator[tuple[tuple[int, str], Response]]:
    """The responses of one trace, each with its place among all."""
    own = str(uuid.UUID(trace_id))
    taken: set[str] = set()
    trace = tree(spans)
    join_doubles(trace)
    for whole in wholes(trace):
        told = runs(whole.root, whole.others)
        given = (run.operation.response_id for run in told.told)
        # Those that begin with the trace's are the ids of its runs.
        free = (i for i in given if i and i not in taken and not i.startswith(own))
        response_id = next(free, None)
        response_id = response_id or _named(own, whole, taken)
        taken.add(response_id)
        response = Response(response_id, trace_id, tell(told, response_id, trace_id, own))
        yield (whole.root.start, response_id), response


def _named(own: str, whole: Whole, taken: set[str]) -> str:
    return f"{own}:{whole.root.span_id}" if own in taken else own
