"""What a sender is told, in the form that it spoke in."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from doctrail.receiver.decoding import Decoded, Form

__all__ = ["MEDIA_TYPES", "accepted", "refused"]

MEDIA_TYPES: "Mapping[str, Form]" = {
    "application/x-protobuf": "protobuf",
    "application/json": "json",
}
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 3, 415: 3, 429: 8, 503: 14}
"""By HTTP status, what `google.rpc.Code` has for it; 2, unknown, for any other."""


def accepted(decoded: "Decoded", form: "Form") -> Response:
    """Say that the spans are safe, and how many were none."""
    if form == "json":
        partial = {"rejectedSpans": str(decoded.rejected), "errorMessage": decoded.reason}
        return _json({"partialSuccess": partial} if decoded.rejected else {}, 200)
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    response = ExportTraceServiceResponse()
    if decoded.rejected:
        response.partial_success.rejected_spans = decoded.rejected
        response.partial_success.error_message = decoded.reason
    return _protobuf(response.SerializeToString(), 200)


def refused(
    status: int, message: str, form: "Form", headers: Mapping[str, str] | None = None
) -> Response:
    """Say why nothing was taken: a `google.rpc.Status`."""
    code = _CODES.get(status, 2)
    if form == "json":
        return _json({"code": code, "message": message}, status, headers)
    from google.rpc.status_pb2 import Status

    said = Status(code=code, message=message)
    return _protobuf(said.SerializeToString(), status, headers)


def _json(value: object, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(value), status, headers, "application/json")


def _protobuf(body: bytes, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, headers, "application/x-protobuf")
