"""An MLflow server, and what its API tells of an experiment."""

from dataclasses import dataclass
from typing import Any

from backends.programs import PATIENCE, Server, free_port, installed
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

_TRACES = "/api/3.0/mlflow/traces"


class MLflow(Server):
    """One that keeps everything in its own folder."""

    def __init__(self) -> None:
        port = free_port()
        command = [installed("mlflow") or "mlflow", "server", "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        command += ["--backend-store-uri", "sqlite:///mlflow.db"]
        command += ["--default-artifact-root", "./artifacts"]
        environment = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        super().__init__(command, environment, port, "/health")

    def experiment(self, name: str) -> "Experiment":
        """A new one."""
        made = self.ask("/api/2.0/mlflow/experiments/create", {"name": name})
        return Experiment(self, made["experiment_id"])


@dataclass(frozen=True)
class Experiment:
    """Where traces are kept together."""

    server: MLflow
    id: str

    def exporter(self) -> OTLPSpanExporter:
        return OTLPSpanExporter(
            self.server.url + "/v1/traces",
            headers={"x-mlflow-experiment-id": self.id},
            timeout=PATIENCE,  # it answers when all has been written, the first time slowly
        )

    def search(self, wanted: str) -> list[Any]:
        """The traces that this filter finds."""
        within = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": self.id}}
        asked = {"locations": [within], "filter": wanted, "max_results": 100}
        return self.server.ask(_TRACES + "/search", asked).get("traces", [])

    def trace(self, trace_id: str | None) -> list["Seen"]:
        """Its spans, in the order they began."""
        found = self.server.ask(f"{_TRACES}/get?trace_id=tr-{trace_id}")["trace"]["spans"]
        return [Seen(span) for span in sorted(found, key=lambda s: int(s["start_time_unix_nano"]))]


@dataclass(frozen=True)
class Seen:
    """A span as it tells of it."""

    raw: Any

    @property
    def name(self) -> str:
        return self.raw["name"]

    def told(self, name: str) -> Any:
        """The value of an attribute; None where there is none."""
        found = {item["key"]: item["value"] for item in self.raw["attributes"]}
        return _value(found[name]) if name in found else None


def _value(told: Any) -> Any:
    ((kind, value),) = told.items()
    if kind == "array_value":
        return [_value(item) for item in value.get("values", ())]
    if kind == "kvlist_value":
        return {item["key"]: _value(item["value"]) for item in value.get("values", ())}
    return value
