"""`doctrail serve`: takes the spans of applications in, and puts their answers on record."""

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from doctrail import exit_codes
from doctrail.errors import UsageError
from doctrail.installation import settings_of
from doctrail.terminal import Terminal
from doctrail.verifiers import add_verifier, share, verifier_of

if TYPE_CHECKING:
    import socket
    from contextlib import AbstractContextManager

    from opentelemetry.trace import TracerProvider

    from doctrail.receiver.recording import Recording
    from doctrail_core.grounding.settings import Grounding

NAME = "serve"
SUMMARY = "take in the traces of applications, and put their answers on record"
DESCRIPTION = """\
Listens for OpenTelemetry traces (OTLP/HTTP, protobuf or JSON) and puts the answers in them on record, of
applications that nobody changed: whatever OpenInference or GenAI instrumentation they have, in any language,
is told to send its spans here. What is received is safe before it is acknowledged. Only this machine can
reach it, unless --host says otherwise; then senders need a token, from DOCTRAIL_SERVE_TOKEN or --token-file."""
EXAMPLE = "doctrail serve --ground 0.1"

_TOKEN = "DOCTRAIL_SERVE_TOKEN"  # noqa: S105  # the name of a variable
_SHORTEST_TOKEN = 16
_NEEDED = ("starlette", "uvicorn", "google.rpc", "opentelemetry.proto")
_LAST_PORT = 65_535


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen at (default: 127.0.0.1)"
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=4318,
        help="the port to listen at (default: 4318, that of OTLP/HTTP; 0: any that is free)",
    )
    parser.add_argument(
        "--token-file", metavar="FILE", help=f"holds the token of senders (default: ${_TOKEN})"
    )
    parser.add_argument(
        "--quiet",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="a trace is complete when nothing came for so long, and no parent is missing (default: 10)",
    )
    parser.add_argument(
        "--patience",
        type=_seconds,
        default=600.0,
        metavar="SECONDS",
        help="a trace whose first span never comes is recorded as far as it came when nothing came for so"
        " long (default: 600)",
    )
    parser.add_argument(
        "--ground",
        type=share,
        metavar="SHARE",
        help="check this share of the answers, above 0 and at most 1 (default: none)",
    )
    add_verifier(parser)
    parser.add_argument(
        "--send",
        metavar="URL",
        help="send spans of what was found out about answers (what arrived in prompts, checks) to where another"
        " collector or backend takes traces, in the traces that they belong to",
    )


def run(options: Namespace, terminal: Terminal) -> int:
    _check_installed()
    token, grounding = _token(options), _grounding(options)
    from doctrail.receiver.assembling import Waits
    from doctrail.receiver.door import Door
    from doctrail.receiver.listening import address_of, is_loopback, listening, serve
    from doctrail.receiver.recording import recording
    from doctrail.receiver.server import application

    if token is None and not is_loopback(options.host):
        raise UsageError(
            f"--host {options.host} can be reached from other machines: set {_TOKEN}, or name a file with"
            " --token-file; senders must show what it holds"
        )
    listens = listening(options.host, options.port)
    waits = Waits(quiet=options.quiet, patience=options.patience)
    with (
        closing(listens),
        _sending(options, listens) as spans,
        recording(settings_of(options), "inbox", grounding, spans=spans) as records,
    ):
        door = Door(records, waits)
        try:
            door.open()
            _welcome(address_of(listens), records, options, terminal)
            serve(application(door, token), listens)
        finally:
            door.close()
            _sum_up(records, options, terminal)
    return exit_codes.OK


def _sending(
    options: Namespace, listens: "socket.socket"
) -> "AbstractContextManager[TracerProvider | None]":
    if options.send is None:
        return nullcontext()
    from doctrail.receiver.sending import sending

    return sending(options.send, listens)


def _check_installed() -> None:
    from importlib.util import find_spec

    try:
        missing = [name for name in _NEEDED if find_spec(name) is None]
    except ModuleNotFoundError as error:
        missing = [error.name]
    if missing:
        raise UsageError(f"{missing[0]} is not installed: pip install 'doctrail[serve]'")


def _token(options: Namespace) -> str | None:
    where, token = _TOKEN, os.environ.get(_TOKEN) or None
    if options.token_file:
        where = options.token_file
        token = Path(where).read_text("utf-8", "replace")
    if token is None:
        return None
    token = token.strip()
    if len(token) < _SHORTEST_TOKEN or any(not "!" <= each <= "~" for each in token):
        raise UsageError(
            f"the token in {where} must have {_SHORTEST_TOKEN} characters or more, all of them ASCII"
            " and none of them white"
        )
    return token


def _grounding(options: Namespace) -> "Grounding | None":
    if options.ground is None:
        if options.verifier != "embedded" or options.calibrator:
            raise UsageError("a verifier is for --ground SHARE, which was not given")
        return None
    from doctrail_core.grounding.settings import Grounding

    return Grounding(verifier=verifier_of(options), sample_rate=options.ground)


def _welcome(address: str, records: "Recording", options: Namespace, terminal: Terminal) -> None:
    home = str(records.lineage.settings.home.absolute())
    if options.json:
        terminal.data({"endpoint": address, "home": home})
    else:
        terminal.say(f"Recording into {home}. Applications send their traces here with")
        terminal.say(f"  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT={address}/v1/traces")
        terminal.say(f"An answer is on record {options.quiet:g} s after its trace is complete.")
    terminal.flush()


def _sum_up(records: "Recording", options: Namespace, terminal: Terminal) -> None:
    from doctrail.receiver.recording import in_words

    waiting = len(records.inbox.traces())
    if options.json:
        terminal.data({**records.outcomes, "waiting": waiting})
        return
    for line in in_words(records.outcomes):
        terminal.say(line)
    if waiting:
        terminal.say(f"{waiting:,} traces wait in the inbox for the next start.")


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else -1
    if not 0 <= port <= _LAST_PORT:
        raise ArgumentTypeError(f"{text!r} is no port")
    return port


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds
