"""`doctrail replay`: a recorded question once more, and what changes."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from doctrail import exit_codes
from doctrail.application import add_application, answering
from doctrail.errors import UsageError
from doctrail.factories import made_by
from doctrail.installation import home_of
from doctrail.reference import add_reference, referred
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from doctrail_core import Lineage, Trail
    from doctrail_core.capture.replaying import Replay

NAME = "replay"
SUMMARY = "ask a recorded question again, and see what changes"
DESCRIPTION = """\
Asks a recorded question again through your application, and shows what changes: what was found, what
arrived, what was said, how it checks. The new answer is a response of its own, outside of any session; its
id begins with that of the old one. --without-document and --k take effect in retrievers that are wrapped
in a LineageRetriever; nothing else of the application is changed."""
EXAMPLE = "doctrail replay 'renewal deadline' --app myapp:chain --without-document policy_2023"


def add_arguments(parser: ArgumentParser) -> None:
    add_reference(parser)
    add_application(parser, required=False)
    parser.add_argument(
        "--without-document",
        action="append",
        default=[],
        metavar="ID",
        help="as if this document were not in the corpus; may be given again",
    )
    parser.add_argument(
        "--k", type=_number, metavar="N", help="so many chunks, instead of as many as ever"
    )


def run(options: Namespace, terminal: Terminal) -> int:
    if not options.app:
        raise UsageError(
            "a replay needs your application: --app MODULE:FACTORY, a function that returns a LangChain"
            " runnable, a LlamaIndex engine, or a function of the question"
        )
    trail = referred(options, terminal)
    if trail is None:
        return exit_codes.NOTHING
    if not trail.question:
        raise UsageError(
            f"the question of response {trail.response_id} is not on record: texts were not kept"
        )
    _check_documents(trail, options.without_document)
    again = _replayed(trail, options)
    _show(trail, again, options, terminal)
    return exit_codes.OK


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 10_000:  # noqa: PLR2004 - far more than any prompt holds
        raise ArgumentTypeError(f"{text!r} is no number of chunks; it must be from 1 to 10000")
    return int(text)


def _check_documents(trail: "Trail", documents: list[str]) -> None:
    known = {chunk.document_id for chunk in trail.finds}
    for document in documents:
        if document not in known:
            from doctrail_core.model.wording import few

            raise UsageError(
                f"response {trail.response_id} had no document {document!r}; it had {few(sorted(known)) or 'none'}."
                " Ids must be exact."
            )


def _replayed(trail: "Trail", options: Namespace) -> "Trail":
    from dataclasses import replace
    from uuid import uuid4

    from doctrail_core import Settings, configure
    from doctrail_core.capture.replaying import Replay, replaying

    lineage = configure(replace(Settings.load(), home=home_of(options), spans="none"))
    ask = answering(made_by(options.app, "--app"), options.app)
    replay = Replay(frozenset(options.without_document), options.k)
    response_id = f"{trail.response_id}~replay-{uuid4().hex[:8]}"
    with replaying(replay):
        _ask(ask, trail.question or "", response_id, lineage, options)
    lineage.flush()
    again = lineage.get(response_id)
    lineage.close()
    return _checked(again, replay, options)


def _ask(ask: Any, question: str, response_id: str, lineage: "Lineage", options: Namespace) -> None:
    try:
        with lineage.scope(response_id=response_id, question=question) as opened:
            opened.answer = _text(_whole(ask(question)))
    except Exception as error:
        lineage.flush()
        raise UsageError(
            f"--app {options.app}: the application failed: {type(error).__name__}: {error}"
        ) from error


def _whole(said: Any) -> Any:
    """What was said to the end, where it is still to come: awaited, or drawn from a stream."""
    import asyncio
    from inspect import isawaitable

    if isawaitable(said):
        return asyncio.run(_awaited(said))
    if callable(drawn := getattr(said, "get_response", None)):  # LlamaIndex's streaming responses
        return drawn()
    return "".join(map(str, cast("Iterator[Any]", said))) if isinstance(said, Iterator) else said


async def _awaited(said: Any) -> Any:
    return await said


def _text(said: Any) -> str | None:
    """The answer, where it is a text or holds one; else what the last model said is taken."""
    for found in (said, getattr(said, "response", None), getattr(said, "content", None)):
        if isinstance(found, str):
            return found
    return None


def _checked(again: "Trail | None", replay: "Replay", options: Namespace) -> "Trail":
    if again is None or not (again.retrievals or again.generations):
        raise UsageError(
            f"--app {options.app} answered, and nothing of it was recorded: neither a search nor a model's"
            " call was seen. Is the adapter of its framework installed and imported? An engine of LlamaIndex also"
            " needs a LineageRetriever, a LineageQueryEngine or a LineageInstrumentor."
        )
    if (replay.k or replay.without_documents) and not replay.heeded:
        raise UsageError(
            f"--app {options.app} answered without asking a LineageRetriever, so that --k and"
            f" --without-document had no effect; wrap its retriever. The answer is on record: {again.response_id}"
        )
    return again


def _show(trail: "Trail", again: "Trail", options: Namespace, terminal: Terminal) -> None:
    from dataclasses import asdict

    from doctrail_core.diagnosis.comparing import compared, tell_comparison

    found = compared(trail, again)
    if options.json:
        terminal.data(asdict(found))
    else:
        terminal.say(tell_comparison(found).rstrip("\n"))
