"""What the core's tests share: a home folder, trails to put into it, and patience with a deadline."""

import asyncio
import json
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from doctrail_core.audit.checkpoint import Checkpoint, checkpoint_of
from doctrail_core.audit.note import COSIGNATURE, SigningKey, VerifierKey, read_note
from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunFailed,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.capture.settings import Settings
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.grounding.verifier import Answer, Findings, Verifier
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.ledger.tree import EMPTY_ROOT, verify_consistency
from doctrail_core.model import (
    Assessment,
    Claim,
    Evidence,
    Message,
    ToolRequest,
    Trail,
    Usage,
    Verdict,
    VerdictKind,
)
from doctrail_core.testing import CapturedLineage
from doctrail_core.testing.fixtures import postgres  # noqa: F401  # a fixture is there by its name
from doctrail_core.testing.trail_stores import build_trail
from doctrail_core.trails.journal import TrailJournal


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def faults(home):
    return Faults(home)


@pytest.fixture(scope="session")
def make_trail() -> Callable[..., Trail]:
    return build_trail


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    return wait_for


def wait_for(condition: Callable[[], Any], timeout: float = 20.0) -> Any:
    """The condition's value as soon as it is true."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
    return value


class Story:
    """A response as a host would tell it, one event after the other; the response's run is "r"."""

    def __init__(self, question: str | None, settings: Settings | None = None) -> None:
        self.lineage = CapturedLineage(settings)
        self.lineage.record(RunStarted("r", None, "app", "test", question, session_id="s1"))

    def step(self, run_id: str, parent: str | None, name: str, told: str | None) -> None:
        self.lineage.record(RunStarted(run_id, parent or "r", name, "test", told))

    def ended(self, run_id: str, output: str | None) -> None:
        self.lineage.record(RunEnded(run_id, output))

    def search(self, run_id: str, parent: str | None, query: str, found: dict[str, str]) -> None:
        """Find these texts, by chunk ids such as `doc_1#0`."""
        chunks = [
            RetrievedChunk(text, name, name.partition("#")[0], int(name.partition("#")[2]))
            for name, text in found.items()
        ]
        self.lineage.record(RetrievalStarted(run_id, parent or "r", "Retriever", query, "test"))
        self.lineage.record(RetrievalEnded(run_id, chunks))

    def call(
        self,
        run_id: str,
        parent: str | None,
        *messages: Message | str,
        says: str | None,
        asks: Sequence[ToolRequest] = (),
        auxiliary: bool = False,
        usage: Usage | None = None,
    ) -> None:
        """Call a model; it never ends where it says None."""
        prompt = [Message("user", m) if isinstance(m, str) else m for m in messages]
        sent = PromptSent(run_id, parent or "r", prompt, "test", "m-1", auxiliary=auxiliary)
        self.lineage.record(sent)
        if says is not None:
            self.lineage.record(GenerationEnded(run_id, says, usage=usage, tool_requests=asks))

    def tool(
        self, run_id: str, parent: str | None, name: str, arguments: str, call_id: str | None
    ) -> None:
        self.lineage.record(ToolCalled(run_id, parent or "r", name, "test", arguments, call_id))

    def returned(self, run_id: str, result: str) -> None:
        self.lineage.record(ToolReturned(run_id, result))

    def answered(self, answer: str) -> Trail:
        return self._closed(RunEnded("r", answer))

    def failed(self) -> Trail:
        return self._closed(RunFailed("r", ValueError("the model is down")))

    def aborted(self) -> Trail:
        return self._closed(RunFailed("r", asyncio.CancelledError()))

    def interrupted(self) -> Trail:
        return self._closed(RunEnded("r", interrupted=True))

    def _closed(self, event: RunEnded | RunFailed) -> Trail:
        self.lineage.record(event)
        (trail,) = self.lineage.trails
        assert self.lineage.errors == []
        self.lineage.close()
        self.lineage.tracer_provider.shutdown()
        return trail


@pytest.fixture
def story() -> type[Story]:
    return Story


class ScriptedVerifier(Verifier):
    """A fake: says the same of every answer, as one claim, or raises. Keeps what it was asked."""

    name = "scripted"
    version = "1"

    def __init__(self, verdict: VerdictKind = "supported", *, fails: int = 0) -> None:
        self.verdict = verdict
        self.fails = fails
        self.asked: list[Answer] = []

    def verify(self, answer: Answer) -> Findings:
        self.asked.append(answer)
        if self.fails:
            self.fails -= 1
            raise ConnectionError("the judge is down")
        return Findings(verdicts=(build_verdict(self.verdict, answer),))


def build_verdict(kind: VerdictKind, answer: Answer) -> Verdict:
    """The whole answer as one claim, with the first passage for evidence."""
    risks = {"supported": 0.1, "contradicted": 0.95, "unsupported": 0.7, "not_checked": None}
    named = answer.passages[:1] if kind in ("supported", "contradicted") else ()
    return Verdict(
        claim=Claim(0, len(answer.text), answer.text),
        verdict=kind,
        score=risks[kind],
        reason="judged",
        evidence=tuple(Evidence(p.chunk_id, 4, 20) for p in named),
        conflicting_value="renewal deadline" if kind == "contradicted" else None,
    )


def build_assessment(trail: Trail, *verdicts: Verdict, **changes: Any) -> Assessment:
    assessment = Assessment(
        response_id=trail.response_id,
        verifier="scripted",
        version="1",
        status="checked",
        started_at=trail.ended_at,
        ended_at=trail.ended_at + timedelta(seconds=1),
        verdicts=verdicts,
    )
    return replace(assessment, **changes)


@pytest.fixture
def scripted() -> type[ScriptedVerifier]:
    return ScriptedVerifier


@pytest.fixture
def make_assessment() -> Callable[..., Assessment]:
    return build_assessment


@pytest.fixture
def make_verdict() -> Callable[..., Verdict]:
    return build_verdict


@contextmanager
def serve(answer):
    """An HTTP server on loopback: `answer(path, body)` gives status, content type and body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            self._reply(*answer(self.path, body))

        def do_GET(self):
            self._reply(*answer(self.path, None))

        def _reply(self, status, content_type, body):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            if status in (301, 302):
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def served():
    return serve


class FakeWitness:
    """A fake, written after c2sp.org/tlog-witness and no more than that: keeps the latest size and root of one log, and cosigns what begins with them."""

    def __init__(self, log: VerifierKey) -> None:
        self.log = log
        self.key = SigningKey("witness.example/w1", b"w" * 32, COSIGNATURE)
        self.latest = Checkpoint(log.name, 0, EMPTY_ROOT)
        self.note = b""
        self.asked: list[str] = []
        self.time = 1_790_000_000

    def __call__(self, path, body):
        if body is None:
            known = (
                path == f"/{sha256(self.log.name.encode()).hexdigest()}/checkpoint" and self.note
            )
            return (200, "text/plain", self.note) if known else (404, "text/plain", b"")
        assert path == "/add-checkpoint"
        return self.add_checkpoint(body.decode())

    def add_checkpoint(self, body):
        head, _, text = body.partition("\n\n")
        old_line, *proof = head.split("\n")
        self.asked.append(old_line)
        word, _, digits = old_line.partition(" ")
        assert word == "old"
        assert str(int(digits)) == digits
        assert len(proof) <= 63
        note, old = read_note(text), int(digits)
        if note.text.split("\n", 1)[0] != self.log.name:
            return 404, "text/plain", b"unknown log\n"
        try:
            new = checkpoint_of(note, self.log)
        except ValueError:
            return 403, "text/plain", b"not signed\n"
        if old > new.size:
            return 400, "text/plain", b"old is larger\n"
        if old != self.latest.size:
            return 409, "text/x.tlog.size", f"{self.latest.size}\n".encode()
        if not self._grown(old, new, proof):
            return 422, "text/plain", b"inconsistent\n"
        self.latest = new
        cosignature = self.key.sign(note.text, time=self.time)
        self.note = str(note.with_signatures(cosignature)).encode()
        return 200, "text/plain", str(cosignature).encode()

    def _grown(self, old, new, proof):
        hashes = [b64decode(line) for line in proof]
        if old == 0:
            return not hashes and (new.size > 0 or new.root == EMPTY_ROOT)
        return verify_consistency(old, new.size, self.latest.root, new.root, hashes)


@pytest.fixture
def make_witness() -> type[FakeWitness]:
    return FakeWitness


_TSA = """
[tsa]
default_tsa = this
[this]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
{certs}
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
[ext]
extendedKeyUsage = critical, timeStamping
keyUsage = critical, digitalSignature
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[req]
distinguished_name = dn
[dn]
"""


def run_openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """The keys and certificates of a time-stamp authority, and of the one above it."""
    pytest.importorskip("rfc3161_client", reason="the timestamp extra is not installed")
    folder = tmp_path_factory.mktemp("tsa")
    (folder / "serial").write_text("01\n")
    for name, certs in (("tsa.cnf", ""), ("chain.cnf", f"certs = {folder}/ca.pem")):
        (folder / name).write_text(_TSA.format(folder=folder, certs=certs))
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    ca = ("-x509", "-days", "3650", "-subj", "/CN=Test CA", "-extensions", "ca")
    run_openssl(folder, *new, *ca, "-config", "tsa.cnf", "-keyout", "ca.key", "-out", "ca.pem")
    asked = ("-subj", "/CN=Test TSA", "-config", "tsa.cnf", "-keyout", "tsa.key", "-out", "tsa.csr")
    run_openssl(folder, *new, *asked)
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3650")
    made = ("-extfile", "tsa.cnf", "-extensions", "ext", "-out", "tsa.pem")
    run_openssl(folder, "x509", "-req", "-in", "tsa.csr", *signing, *made)
    return folder


@pytest.fixture
def openssl():
    return run_openssl


@pytest.fixture
def stamping(authority, tmp_path):
    """Serve the authority, OpenSSL's own; `config` is that of OpenSSL, `swap` replaces the query that it answers."""

    @contextmanager
    def serving(config="tsa.cnf", swap=None):
        def answer(_, body):
            (tmp_path / "query").write_bytes(swap or body)
            query, reply = str(tmp_path / "query"), str(tmp_path / "reply")
            known = ("-config", config, "-queryfile", query, "-out", reply)
            run_openssl(authority, "ts", "-reply", *known)
            return 200, "application/timestamp-reply", (tmp_path / "reply").read_bytes()

        with serve(answer) as url:
            yield url

    return serving


class Recorded:
    """An installation that records."""

    def __init__(self, home: Home, faults: Faults) -> None:
        self.home = home
        self.ledger = LedgerJournal(home, faults)
        self.trails = TrailJournal(home, faults)

    def put(self, trail: Trail) -> Trail:
        """Record a response, and what was found about it."""
        self.ledger.append("answered", trail)
        self.trails.append(trail)
        for assessment in trail.assessments:
            self.trails.append_assessment(assessment)
        for diagnosis in trail.diagnoses:
            self.trails.append_diagnosis(diagnosis)
        return trail

    def flush(self) -> None:
        self.ledger.flush()
        self.trails.flush()

    def close(self) -> None:
        self.ledger.close()
        self.trails.close()


@pytest.fixture
def recorded(home, faults):
    recorded = Recorded(home, faults)
    yield recorded
    recorded.close()


@pytest.fixture
def files_with(home) -> Callable[..., list[str]]:
    """The files below the home, of whatever kind, in which any of these bytes are."""

    def found(*wanted: bytes) -> list[str]:
        files = (path for path in home.path.rglob("*") if path.is_file())
        content = {str(path.relative_to(home.path)): path.read_bytes() for path in files}
        return sorted(name for name, data in content.items() if any(w in data for w in wanted))

    return found


def written(text: str) -> set[bytes]:
    """A text in the forms in which a file may hold it."""
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    twice = json.dumps(escaped, ensure_ascii=False)[1:-1]
    forms = {text, escaped, twice, json.dumps(text)[1:-1]}
    return {form.encode() for form in forms} | {text.encode("utf-16-le")}


@pytest.fixture(name="written")
def written_() -> Callable[[str], set[bytes]]:
    return written


@pytest.fixture
def pieces() -> Callable[[str], set[bytes]]:
    """Every five words in a row of a text, in those forms."""

    def cut(text: str) -> set[bytes]:
        words = text.split(" ")
        rows = (" ".join(words[at : at + 5]) for at in range(len(words) - 4))
        return {form for row in rows for form in written(row)}

    return cut
