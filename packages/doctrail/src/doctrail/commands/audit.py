"""`doctrail audit`: evidence that the ledger is what it was, for those who do not have to trust us."""

from argparse import ArgumentParser, Namespace
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from doctrail import exit_codes, times
from doctrail.actions import add_action
from doctrail.errors import UsageError
from doctrail.installation import PATIENCE, home_of, ledger_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from doctrail_core.audit.anchors.publishing import AnchorFinding
    from doctrail_core.audit.bundle import Bundle, Signed, Written
    from doctrail_core.audit.checkpoint import Proof
    from doctrail_core.audit.findings import Finding, Report
    from doctrail_core.audit.note import Note, VerifierKey
    from doctrail_core.durable.home import Home
    from doctrail_core.folder import Folder
    from doctrail_core.ledger.reader import LedgerReader
    from doctrail_core.model.receipt import Receipt

NAME = "audit"
SUMMARY = "sign the ledger, verify it, and prove what is in it"
DESCRIPTION = """\
`init` makes a key, and from then on a checkpoint is signed every minute while the application runs.
`checkpoint` signs one now; keep it where the operator of the ledger cannot change it. `verify` looks at
every entry, `prove` shows that an answer is on record, `bundle` packs evidence for somebody without
doctrail. The sentence to remember: what never left the operator's hands proves nothing against the
operator."""
EXAMPLE = "doctrail audit verify --checkpoint kept-elsewhere.txt"

_MARKS = {"holds": "holds ", "open": "open  ", "broken": "BROKEN"}


def add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    init = add_action(actions, "init", "make the key that signs, and begin to sign")
    init.add_argument("--origin", metavar="NAME", help="the log's name, such as example.com/rag")
    init.add_argument(
        "--interval",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="between checkpoints, and heartbeats while idle (default: 60)",
    )

    checkpoint = add_action(actions, "checkpoint", "sign the ledger as it is now, and print it")
    checkpoint.add_argument("--out", type=Path, metavar="FILE", help="where to write it, too")

    verify = add_action(actions, "verify", "look at every entry, and say what was found")
    _add_key(verify)
    verify.add_argument(
        "--receipt",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a receipt that came with an answer; may be given more than once",
    )
    verify.add_argument("--bundle", type=Path, metavar="DIR", help="verify this bundle instead")
    verify.add_argument(
        "--quick", action="store_true", help="only the tree, its checkpoints, counters and times"
    )

    prove = add_action(actions, "prove", "prove that an answer is on record")
    prove.add_argument("response", metavar="RESPONSE", help="the answer's whole id")
    prove.add_argument("--out", type=Path, metavar="DIR", help="write files instead of printing")

    bundle = add_action(actions, "bundle", "pack evidence into a folder")
    bundle.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    bundle.add_argument(
        "--document", metavar="ID", help="only what mentions a document, and all of it"
    )
    times.add_range(bundle)
    bundle.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="one that somebody kept, to be shown to be a beginning of the log",
    )


def run(options: Namespace, terminal: Terminal) -> int:
    return _ACTIONS[options.action](options, terminal)


def _add_key(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint that was kept elsewhere; may be given more than once",
    )
    parser.add_argument(
        "--key",
        metavar="KEY",
        help="the log's key as somebody else kept it (default: the folder's)",
    )


def _init(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.audit.note import NoteError
    from doctrail_core.audit.watch import begin

    with _folder(options) as folder:
        try:
            config, note = begin(folder.home, folder.ledger, options.origin, options.interval)
        except NoteError as error:
            raise UsageError(f"--origin: {error}") from error
        except FileExistsError as error:
            raise UsageError(f"{error}; a log has one key, and keeps it") from error
    if options.json:
        terminal.data(
            {"origin": config.origin, "key": str(config.key), "interval": config.interval}
        )
        return exit_codes.OK
    terminal.say(
        f"Checkpoints of {config.origin} are signed from now on. The key by which others verify them:\n"
        f"\n  {config.key}\n\n"
        "Give it, and a checkpoint now and then, to somebody who does not operate this ledger. Keep the private key"
        f"\nin {folder.home.path / 'audit'} to yourself. The first checkpoint:\n\n{note}"
    )
    return exit_codes.OK


def _checkpoint(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.audit.anchors.publishing import publish_all
    from doctrail_core.audit.watch import checkpoint_now

    with _folder(options) as folder:
        checkpoint, note = checkpoint_now(folder.home, folder.ledger, heartbeat=False)
        anchored = publish_all(folder.home, str(note).encode())
    if options.out is not None:
        options.out.write_text(str(note), encoding="utf-8")
    if options.json:
        told = {"size": checkpoint.size, "root": checkpoint.root.hex(), "note": str(note)}
        terminal.data(told | {"anchors": [receipt.anchor for receipt in anchored]})
    else:
        terminal.say(str(note).rstrip("\n"))
    return exit_codes.OK


def _verify(options: Namespace, terminal: Terminal) -> int:
    if options.bundle is not None:
        if options.receipt:
            raise UsageError("--receipt is held against the ledger itself: leave out --bundle")
        return _verify_bundle(options)
    from doctrail_core.audit.folder import AuditFolder
    from doctrail_core.audit.verifying import Known, verify

    folder = AuditFolder(_home(options))
    key = _key(options) or (folder.config().key if folder.exists() else None)
    known = Known(
        key,
        folder.notes(),
        [_note(path) for path in options.checkpoint],
        [_receipt(path) for path in options.receipt],
    )
    with ledger_of(options, terminal) as log:
        report = verify(log, known, quick=options.quick)
        anchors = list(_anchors(options, log, key))
    _show(report, anchors, options, terminal)
    contradicted = any(finding.contradiction for finding in anchors)
    return exit_codes.OK if report.is_sound and not contradicted else exit_codes.NOTHING


def _verify_bundle(options: Namespace) -> int:
    from doctrail_core.audit.standalone import main

    words = [str(options.bundle), *(f"--checkpoint={path}" for path in options.checkpoint)]
    return main([*words, *([f"--key={options.key}"] if options.key else [])])


def _prove(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.audit.bundle import proof_of

    signed = _signed(options)
    with ledger_of(options, terminal) as log:
        entries = log.entries_of(options.response)
        proofs = [
            (entry, proof_of(log, entry.seq, signed.checkpoint, signed.note)) for entry in entries
        ]
    if not proofs:
        terminal.complain(f"no answer {options.response!r} is on record; the id must be whole")
        return exit_codes.NOTHING
    for entry, proof in proofs:
        path = None if options.out is None else _write_proof(proof, options.out)
        if options.json:
            terminal.data({"seq": entry.seq, "kind": entry.kind, "proof": str(proof)})
        else:
            terminal.say(f"{path}  {entry.kind}" if path else str(proof))
    return exit_codes.OK


def _write_proof(proof: "Proof", folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{proof.seq}.tlog-proof"
    path.write_text(str(proof), encoding="utf-8")
    return path


def _bundle(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.audit.bundle import Bundle

    times.check_range(options)
    if options.document and (options.since or options.until):
        raise UsageError("--document is about all time: leave out --from and --to")
    signed = _signed(options)
    with ledger_of(options, terminal) as log:
        try:
            written = _packed(Bundle(log, signed, options.out), options)
            _explain(log, signed, options)
        except FileExistsError as error:
            raise UsageError(str(error)) from error
        except LookupError as error:
            terminal.complain(str(error.args[0]))
            return exit_codes.NOTHING
    _tell_bundle(written, options, terminal)
    return exit_codes.OK


def _packed(bundle: "Bundle", options: Namespace) -> "Written":
    from doctrail_core.durable.columns import microseconds
    from doctrail_core.ledger.store import LATEST

    if options.document:
        return bundle.of_document(options.document)
    if not (options.since or options.until):
        return bundle.of_log()
    begin = microseconds(options.since) if options.since else 0
    end = microseconds(options.until) if options.until else LATEST
    said = {"from": options.since, "before": options.until}
    words = {name: when.isoformat() if when else None for name, when in said.items()}
    return bundle.of_time(begin, end, words)


def _explain(log: "LedgerReader", signed: "Signed", options: Namespace) -> None:
    """Add what anchors gave, and how to interpret the log."""
    from dataclasses import replace

    from doctrail_core.audit.anchors.packing import latest, pack
    from doctrail_core.audit.interpretation import interpretation
    from doctrail_core.capture.settings import Settings

    home = _home(options)
    pack(options.out / "anchors", latest(home, signed.checkpoint.size))
    written = interpretation(log, home, replace(Settings.load(), home=home.path))
    (options.out / "interpretation.md").write_text(written, encoding="utf-8")


def _tell_bundle(written: "Written", options: Namespace, terminal: Terminal) -> None:
    if options.json:
        told = {"entries": written.entries, "segments": written.segments, "pruned": written.unshown}
        terminal.data({"out": str(options.out)} | told)
        return
    segments = f", {written.segments} segments by their index" if written.segments else ""
    pruned = f"; {written.unshown} entries were pruned and are not shown" if written.unshown else ""
    terminal.say(f"{written.entries} entries{segments} are in {options.out}{pruned}.")
    terminal.say(f"Whoever gets it runs: python {options.out / 'verify.py'} --key KEY")


def _signed(options: Namespace) -> "Signed":
    """The log as it is now, signed; with the checkpoints that it is to be compared with."""
    from doctrail_core.audit.anchors.packing import latest
    from doctrail_core.audit.bundle import Signed
    from doctrail_core.audit.checkpoint import checkpoint_of
    from doctrail_core.audit.folder import AuditFolder
    from doctrail_core.audit.note import NoteError, read_note
    from doctrail_core.audit.watch import checkpoint_now

    with _folder(options) as folder:
        key = AuditFolder(folder.home).config().key
        checkpoint, note = checkpoint_now(folder.home, folder.ledger, heartbeat=False)
        anchored = latest(folder.home, checkpoint.size)
    notes = [read_note(receipt.checkpoint) for receipt in anchored]
    earlier = [(checkpoint_of(taken, key), taken) for taken in notes if taken.signed_by(key)]
    for path in getattr(options, "checkpoint", ()):
        kept = _note(path)
        try:
            earlier.append((checkpoint_of(kept, key), kept))
        except NoteError as error:
            raise UsageError(f"{path}: {error}") from error
    return Signed(key, checkpoint, note, earlier)


def _anchors(
    options: Namespace, log: "LedgerReader", key: "VerifierKey | None"
) -> "Iterator[AnchorFinding]":
    from doctrail_core.audit.anchors.publishing import confirm

    if key is not None:
        yield from confirm(_home(options), key, log.size(), log.root)


def _show(
    report: "Report", anchors: "Sequence[AnchorFinding]", options: Namespace, terminal: Terminal
) -> None:
    if options.json:
        from dataclasses import asdict

        for finding in (*report.findings, *anchors):
            terminal.data(asdict(finding))
        terminal.data({"size": report.size, "root": report.root.hex(), "sound": report.is_sound})
        return
    terminal.say(f"{report.size} entries, root {report.root.hex()}")
    for finding in report.findings:
        terminal.say(_line(finding))
    for each in anchors:
        mark = "broken" if each.contradiction else "open" if each.trouble else "holds"
        said = each.trouble or f"{each.compared} checkpoint(s) there agree with the log"
        terminal.say(f"{_MARKS[mark]}  anchor {each.anchor}: {said}")
    terminal.say("\nThis does not show:")
    for words in report.unproven:
        terminal.say(f"- {words}")
    if not report.is_sound:
        terminal.complain("the ledger contradicts itself, or what was signed; see what is BROKEN")


def _line(finding: "Finding") -> str:
    return f"{_MARKS[finding.outcome]}  {finding.check}: {finding.words}"


@contextmanager
def _folder(options: Namespace) -> "Generator[Folder]":
    """The installation to add to."""
    from doctrail_core.folder import Folder

    with closing(Folder(home_of(options))) as folder:
        yield folder
        folder.flush(PATIENCE)


def _home(options: Namespace) -> "Home":
    from doctrail_core.durable.home import Home

    return Home(home_of(options).absolute())


def _key(options: Namespace) -> "VerifierKey | None":
    from doctrail_core.audit.note import NoteError, VerifierKey

    try:
        return VerifierKey.parse(options.key) if options.key else None
    except NoteError as error:
        raise UsageError(f"--key: {error}") from error


def _note(path: Path) -> "Note":
    from doctrail_core.audit.note import NoteError, read_note

    try:
        return read_note(path.read_bytes())
    except NoteError as error:
        raise UsageError(f"{path} is no checkpoint: {error}") from error


def _receipt(path: Path) -> "Receipt":
    from doctrail_core.model.receipt import Receipt

    try:
        return Receipt.from_json(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"{path} is no receipt") from error


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError("not a number of seconds")
    return seconds


_ACTIONS = {
    "init": _init,
    "checkpoint": _checkpoint,
    "verify": _verify,
    "prove": _prove,
    "bundle": _bundle,
}
