"""A small application for WSGI servers, which `--preload` makes record an answer before it forks."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import doctrail_core
from doctrail_core.manual import generation, retrieval

DOCUMENT = "doc_4821"


def answer(question: str) -> str:
    """Answer it, and return the id under which that is on record."""
    with doctrail_core.lineage(question=question) as opened:
        with retrieval(question) as search:
            search.found([{"text": "February 28th.", "document_id": DOCUMENT, "chunk_id": "c1"}])
        with generation(f"February 28th. {question}", model="m") as call:
            call.said("On February 28th.")
    return opened.response_id


def answer_all(questions: Iterable[str]) -> list[str]:
    """What a pool of processes is given to do."""
    return [answer(question) for question in questions]


def application(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]
) -> Iterable[bytes]:
    """Answer the path; the body is the response id, and the process that answered."""
    body = f"{answer(environ['PATH_INFO'])} {os.getpid()}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


if os.environ.get("RECORD_AT_IMPORT"):
    answer("asked before the workers were forked")
