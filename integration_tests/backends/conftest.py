"""The servers that the tests of this folder need, started once."""

from collections.abc import Generator
from dataclasses import dataclass

import pytest
from backends.mlflow import Experiment, MLflow
from backends.phoenix import Phoenix, Project
from backends.programs import installed
from backends.sending import IDS, TEXTS, Sent, send
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "backend: talks to a server of another project")


@dataclass(frozen=True)
class Arrived:
    """What was sent to Phoenix, and what it tells of it."""

    server: Phoenix
    name: str
    sent: Sent
    project: Project


@pytest.fixture(scope="session")
def phoenix() -> Generator[Phoenix]:
    if installed("phoenix") is None:
        pytest.skip("no Phoenix here; `make test-backends` installs one")
    with Phoenix() as server:
        yield server


@pytest.fixture(scope="session")
def texts(phoenix) -> Arrived:
    """Everything, with texts."""
    return _arrived(phoenix, "texts")


@pytest.fixture(scope="session")
def ids(phoenix) -> Arrived:
    """Everything, by ids only."""
    return _arrived(phoenix, "ids")


def _arrived(server: Phoenix, name: str) -> Arrived:
    resource = {"openinference.project.name": name, "service.name": "shop"}
    sent = send(OTLPSpanExporter(server.traces), resource, TEXTS if name == "texts" else IDS)
    return Arrived(server, name, sent, server.project(name, len(sent.spans)))


@pytest.fixture(scope="session")
def mlflow() -> Generator[MLflow]:
    if installed("mlflow") is None:
        pytest.skip("no MLflow here; `make test-backends BACKENDS='phoenix mlflow'` installs one")
    with MLflow() as server:
        yield server


@pytest.fixture(scope="session")
def texts_in_mlflow(mlflow) -> tuple[Sent, Experiment]:
    """Everything, with texts."""
    experiment = mlflow.experiment("texts")
    return send(experiment.exporter(), {"service.name": "shop"}, TEXTS), experiment


@pytest.fixture(scope="session")
def ids_in_mlflow(mlflow) -> tuple[Sent, Experiment]:
    """Everything, by ids only."""
    experiment = mlflow.experiment("ids")
    return send(experiment.exporter(), {"service.name": "shop"}, IDS), experiment
