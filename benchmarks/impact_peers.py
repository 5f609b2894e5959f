"""The same question to doctrail, Phoenix and MLflow, about the same answers: which of them had this document?

Each gets the same answers, five documents each, as it would record them: doctrail through its recorder, the others as
OpenInference spans over OTLP to a real server of theirs with a database in SQLite. Then each is asked by the only way that it
has: Phoenix by a substring of `retrieval.documents` on retriever spans, MLflow by a substring of a span's content. Told are the
time of the question (median of three, and the first), what was found beyond and short of the truth, what a record weighs, and how
long recording took. Two questions: a document of five answers whose id (`doc-7`) begins that of others, and one of a tenth of all.

Needs uv, and network access the first time, when it installs the peers into `benchmarks/.venvs/peers`.
Run: `.venv/bin/python benchmarks/impact_peers.py --answers 2000`.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / "benchmarks" / ".venvs" / "peers"
PEERS = (
    "arize-phoenix",
    "mlflow",
    "openinference-semantic-conventions",
    "opentelemetry-exporter-otlp-proto-http",
)
RARE, FREQUENT = "doc-7", "doc-1"
_TRIES = 3
_PATIENCE = 900.0


def answers(number: int) -> list[list[str]]:
    """The documents of each answer; `RARE` is one of five of them, `FREQUENT` of a tenth."""
    rng = random.Random(1)  # noqa: S311  # repeatable load, no secret
    made = [[f"doc-{rng.randrange(70, 1000)}" for _ in range(4)] for _ in range(number)]
    for place, documents in enumerate(made):
        documents.append(FREQUENT if place % 10 == 0 else f"doc-{rng.randrange(70, 1000)}")
    for place in rng.sample(range(number), 5):
        made[place][0] = RARE
    return made


def text_of(document: str) -> str:
    return f"What {document.partition('-')[2]} says of the renewal of contracts. " * 12


# --- each side, in its own environment


def doctrail(number: int, folder: Path) -> dict[str, object]:
    from doctrail_core import Lineage, Settings
    from doctrail_core.capture.events import (
        GenerationEnded,
        PromptSent,
        RetrievalEnded,
        RetrievalStarted,
        RetrievedChunk,
        RunEnded,
        RunStarted,
    )
    from doctrail_core.durable.home import Home
    from doctrail_core.ledger import open_ledger
    from doctrail_core.model import Message

    home = Home(folder)
    begin = time.perf_counter()
    with closing(Lineage(Settings(home=folder, spans="none"))) as lineage:
        for place, documents in enumerate(answers(number)):
            name = f"answer-{place}"
            chunks = [
                RetrievedChunk(text_of(d), chunk_id=f"{d}#0", document_id=d) for d in documents
            ]
            prompt = "\n".join(map(text_of, documents))
            lineage.record(RunStarted(name, None, "chain", "benchmark", "When?"))
            lineage.record(RetrievalStarted(f"{name}-r", name, "store", "When?", "benchmark"))
            lineage.record(RetrievalEnded(f"{name}-r", chunks))
            lineage.record(PromptSent(f"{name}-c", name, [Message("user", prompt)], "benchmark"))
            lineage.record(GenerationEnded(f"{name}-c", "On February 28th."))
            lineage.record(RunEnded(name, "On February 28th."))
        lineage.flush()
    recorded = time.perf_counter() - begin

    def ask(document: str) -> set[str]:
        with open_ledger(home) as ledger:
            return {hit.response_id for hit in ledger.responses_with(document)}

    sizes = {
        f"bytes per answer, {name}": (folder / f"{name}.db").stat().st_size // number
        for name in ("ledger", "trails")
    }
    return {"seconds to record": round(recorded, 1), **sizes, **asked(number, ask)}


def phoenix(number: int, folder: Path) -> dict[str, object]:
    env = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_PORT": "16006",
        "PHOENIX_GRPC_PORT": "14317",
    }
    command = [sys.executable, "-m", "phoenix.server.main", "serve"]
    with server(command, env, "http://127.0.0.1:16006/healthz"):
        from phoenix.client import Client
        from phoenix.client.types.spans import SpanQuery

        client = Client(base_url="http://127.0.0.1:16006")
        begin = time.perf_counter()
        send(number, "http://127.0.0.1:16006/v1/traces", {})

        def rows(condition: str) -> "list[object]":
            query = SpanQuery().where(condition).select("context.trace_id")
            found = client.spans.get_spans_dataframe(
                query=query, project_identifier="default", limit=10_000_000
            )
            return list(found["context.trace_id"]) if len(found) else []

        everything = "span_kind == 'RETRIEVER'"
        wait_for(lambda: len(rows(everything)) >= number)
        recorded = time.perf_counter() - begin
        figures = asked(
            number,
            lambda document: {
                place_of(trace)
                for trace in rows(f"{everything} and '{document}' in retrieval.documents")
            },
        )
    size = sum(path.stat().st_size for path in folder.glob("phoenix.db*")) // number
    return {"seconds to record": round(recorded, 1), "bytes per answer": size, **figures}


def mlflow(number: int, folder: Path) -> dict[str, object]:
    store = f"sqlite:///{folder / 'mlflow.db'}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--port", "15000"]
    with server(command, {}, "http://127.0.0.1:15000/health"):
        import mlflow as client

        client.set_tracking_uri("http://127.0.0.1:15000")
        experiment = client.create_experiment("answers")
        begin = time.perf_counter()
        send(number, "http://127.0.0.1:15000/v1/traces", {"x-mlflow-experiment-id": experiment})

        def traces(condition: str | None) -> "list[str]":
            found = client.search_traces(
                locations=[experiment],
                filter_string=condition,
                max_results=10_000_000,
                include_spans=False,
                return_type="list",
            )
            return [trace.info.trace_id.removeprefix("tr-") for trace in found]

        wait_for(lambda: len(traces(None)) >= number)
        recorded = time.perf_counter() - begin
        figures = asked(
            number,
            lambda document: {
                place_of(trace) for trace in traces(f"span.content LIKE '%{document}%'")
            },
        )
    size = sum(path.stat().st_size for path in folder.glob("mlflow.db*")) // number
    return {"seconds to record": round(recorded, 1), "bytes per answer": size, **figures}


# --- what they share


def asked(number: int, ask: Callable[[str], set[str]]) -> dict[str, object]:
    """Both questions, with what was found too much and too little."""
    figures: dict[str, object] = {}
    for document in (RARE, FREQUENT):
        truth = {f"answer-{n}" for n, had in enumerate(answers(number)) if document in had}
        times: list[float] = []
        found: set[str] = set()
        for _ in range(_TRIES):
            begin = time.perf_counter()
            found = ask(document)
            times.append(time.perf_counter() - begin)
            if times[-1] > _PATIENCE / 10:
                break
        figures[document] = {
            "had it": len(truth),
            "found": len(found),
            "found falsely": len(found - truth),
            "missed": len(truth - found),
            "ms": round(statistics.median(times) * 1e3, 1),
            "first ms": round(times[0] * 1e3, 1),
        }
    return figures


def send(number: int, endpoint: str, headers: dict[str, str]) -> None:
    """The answers as OpenInference spans: a chain and a retriever each, trace ids that say which."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Numbered(RandomIdGenerator):
        def __init__(self) -> None:
            self.place = 0

        def generate_trace_id(self) -> int:
            self.place += 1
            return (1 << 120) + self.place - 1

    provider = TracerProvider(id_generator=Numbered())
    exporter = OTLPSpanExporter(endpoint=endpoint, headers=headers, timeout=120)
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=1 << 20, max_export_batch_size=200)
    )
    tracer = provider.get_tracer("benchmark")
    for documents in answers(number):
        with tracer.start_as_current_span("answer") as chain:
            chain.set_attribute("openinference.span.kind", "CHAIN")
            chain.set_attribute("input.value", "When?")
            chain.set_attribute("output.value", "On February 28th.")
            with tracer.start_as_current_span("retrieve") as span:
                span.set_attribute("openinference.span.kind", "RETRIEVER")
                for place, document in enumerate(documents):
                    prefix = f"retrieval.documents.{place}.document"
                    span.set_attribute(f"{prefix}.id", document)
                    span.set_attribute(f"{prefix}.content", text_of(document))
                    span.set_attribute(f"{prefix}.score", 0.5)
    provider.force_flush(600_000)
    provider.shutdown()


def place_of(trace_id: str) -> str:
    return f"answer-{int(trace_id, 16) - (1 << 120)}"


@contextmanager
def server(command: list[str], env: dict[str, str], health: str) -> Iterator[None]:
    """A server while the block runs."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=os.environ | env, **quiet)
    try:
        wait_for(lambda: _answers(health))
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as reply:  # noqa: S310  # our own server
            return reply.status == 200  # noqa: PLR2004  # OK
    except OSError:
        return False


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come true in time")
        time.sleep(0.5)


SIDES = {"doctrail": doctrail, "phoenix": phoenix, "mlflow": mlflow}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=2_000)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(SIDES[options.side](options.answers, Path(folder))))
        return
    _install()
    figures = {side: _run(side, options.answers) for side in SIDES}
    print(json.dumps({"answers": options.answers} | figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps({"answers": options.answers} | figures, indent=1) + "\n")


def _run(side: str, number: int) -> dict[str, object]:
    python = sys.executable if side == "doctrail" else str(ENVIRONMENT / "bin" / "python")
    command = [python, __file__, "--side", side, "--answers", str(number)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _install() -> None:
    if ENVIRONMENT.exists():
        return
    uv = str(ROOT / ".uv" / "bin" / "uv")
    subprocess.run(
        [uv, "venv", "--quiet", "--python", sys.executable, str(ENVIRONMENT)], check=True
    )
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", str(ENVIRONMENT), *PEERS], check=True
    )


if __name__ == "__main__":
    main()
