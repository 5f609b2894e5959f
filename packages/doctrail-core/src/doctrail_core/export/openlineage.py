"""Answers as OpenLineage: one run for each application and hour, never one for each answer.

Catalogues model jobs that read and write data sets, and show the latest run of each. So an hour of answers is a
run of the job `rag.answer/SERVICE`, its inputs are the documents that its prompts held, its output is
`responses/SERVICE`. The run's id follows from what it is of: to send an hour again replaces it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from doctrail_core.export import ExportError
from doctrail_core.export.hours import HOUR, Hour
from doctrail_core.model import GRADES

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent
    from openlineage.client.transport import Transport

    from doctrail_core.ledger.reader import LedgerReader

__all__ = ["FACET", "PRODUCER", "Feed", "deliver", "event_json", "to_file", "to_url"]

PRODUCER = "urn:doctrail"
FACET = "doctrail_answers"
"""The key of the run facet that only doctrail knows."""

_BY: dict[str, Any] = {
    "producer": PRODUCER
}  # attrs' alias of a field that type checkers know as `_producer`
_RUNS = UUID("5b0f6f0e-6f0b-5b0a-9c1c-0d3a1f7c2a55")
_INTEGRATION = "DOCTRAIL"
_UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class Feed:
    """How hours are told.

    Attributes:
        namespace: Of the jobs, and of documents whose ids are no addresses.
        most: So many documents of an hour are named, those with most uses first; the rest is counted.
        checkpoint: The latest one of the log, as it stands in evidence: `origin`, `size`, `root`.
    """

    namespace: str = "doctrail"
    most: int = 100
    checkpoint: Mapping[str, Any] | None = None

    def events(self, hours: Iterable[Hour], ledger: "LedgerReader") -> "Iterator[RunEvent]":
        """Two events for each hour, as a run has to begin and to end.

        Raises:
            ExportError: The library is not installed.
        """
        _require()
        for hour in hours:
            yield from self._run(hour, _Uses(hour, ledger, self.most))

    def _run(self, hour: Hour, uses: "_Uses") -> "Iterator[RunEvent]":
        from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
        from openlineage.client.facet_v2 import job_type_job, nominal_time_run

        service = hour.service or _UNNAMED
        begin, end = hour.begin.isoformat(), (hour.begin + HOUR).isoformat()
        name = f"rag.answer/{service}"
        run_id = str(uuid5(_RUNS, f"{self.namespace}\n{name}\n{begin}"))
        kind = job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration=_INTEGRATION, jobType="JOB", **_BY
        )
        time = nominal_time_run.NominalTimeRunFacet(begin, end, **_BY)
        job = Job(self.namespace, name, {"jobType": kind})
        yield RunEvent(
            eventTime=begin,
            eventType=RunState.START,
            run=Run(run_id, {"nominalTime": time}),
            job=job,
            producer=PRODUCER,
        )
        yield RunEvent(
            eventTime=end,
            eventType=RunState.COMPLETE,
            run=Run(run_id, {"nominalTime": time, FACET: _facet(self._told(hour, uses))}),
            job=job,
            inputs=self._inputs(uses),
            outputs=[self._output(hour, service)],
            producer=PRODUCER,
        )

    def _told(self, hour: Hour, uses: "_Uses") -> dict[str, Any]:
        """What the facet says: counts, and the documents that were used most."""
        return {
            "responses": hour.responses,
            "statuses": dict(hour.statuses),
            "documents": len(hour.documents),
            "documentsInPrompts": uses.in_prompts,
            "documentsNotNamed": uses.in_prompts - len(uses.named),
            "documentsErased": uses.erased,
            "topDocuments": [
                {"document": name, "responses": sum(grades.values()), "grades": grades}
                for name, grades in uses.named
            ],
            "checkpoint": self.checkpoint,
        }

    def _inputs(self, uses: "_Uses") -> "list[InputDataset]":
        from openlineage.client.event_v2 import InputDataset

        places = dict.fromkeys(_place(document, self.namespace) for document, _ in uses.named)
        return [InputDataset(namespace, name) for namespace, name in places]

    def _output(self, hour: Hour, service: str) -> "OutputDataset":
        from openlineage.client.event_v2 import OutputDataset
        from openlineage.client.facet_v2 import output_statistics_output_dataset

        statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=hour.responses, **_BY
        )
        return OutputDataset(
            self.namespace,
            f"responses/{service}",
            outputFacets={"outputStatistics": statistics},
        )


class _Uses:
    """The documents of an hour that any prompt held: those that are named, and how many there are.

    Attributes:
        named: Ids, with how many responses had the document by the grade it reached.
        erased: How many have no name any more.
        in_prompts: How many there are at all.
    """

    def __init__(self, hour: Hour, ledger: "LedgerReader", most: int) -> None:
        held = {
            document: {grade: count for grade in GRADES if (count := counted[grade])}
            for document, counted in hour.documents.items()
            if any(counted[grade] for grade in GRADES[:-1])
        }
        by_use = sorted(held.items(), key=lambda use: (-sum(use[1].values()), use[0]))
        names = [(ledger.name_of(document), grades) for document, grades in by_use]
        known = [(name, grades) for name, grades in names if name is not None]
        self.named: Sequence[tuple[str, Mapping[str, int]]] = known[:most]
        self.erased = len(names) - len(known)
        self.in_prompts = len(names)


def _place(document: str, namespace: str) -> tuple[str, str]:
    """Namespace and name of a document: as others name it where its id is an address; secrets of that left out."""
    try:
        parts = urlsplit(document)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    else:
        if host and parts.path.strip("/"):
            return f"{parts.scheme}://{host}", parts.path.strip("/")
    return namespace, f"documents/{document}"


def _facet(told: Mapping[str, Any]) -> Any:
    from openlineage.client.facet_v2 import RunFacet

    return RunFacet(**_BY).with_additional_properties(**told)


def event_json(event: "RunEvent") -> str:
    """An event as it is sent, on one line."""
    from openlineage.client.serde import Serde

    return Serde.to_json(event)


def to_file(path: Path) -> "Transport":
    """Adds events to a file, one line each."""
    _require()
    from openlineage.client.transport.file import FileConfig, FileTransport

    return FileTransport(FileConfig(str(path), append=True))


def to_url(url: str, api_key: str | None = None) -> "Transport":
    """Sends events to a catalogue."""
    _require()
    from openlineage.client.transport.http import (
        ApiKeyTokenProvider,
        HttpConfig,
        HttpTransport,
        TokenProvider,
    )

    auth = ApiKeyTokenProvider({"apiKey": api_key}) if api_key else TokenProvider({})
    return HttpTransport(HttpConfig(url=url, auth=auth))


def deliver(events: "Iterable[RunEvent]", transport: "Transport") -> int:
    """Send events; returns how many. What was sent before a failure may be sent again.

    Raises:
        ExportError: One was not taken.
    """
    from openlineage.client import OpenLineageClient

    client = OpenLineageClient(transport=transport)
    if client.transport is not transport:
        raise ExportError("OPENLINEAGE_DISABLED is set, so nothing was sent")
    sent = 0
    try:
        for event in events:
            client.emit(event)
            sent += 1
    except Exception as error:
        raise ExportError(f"after {sent} events, one was not taken: {error}") from error
    finally:
        client.close()
    return sent


def _require() -> None:
    try:
        import openlineage.client  # noqa: F401  # pyright: ignore[reportUnusedImport]  # is it there?
    except ImportError as error:
        raise ExportError(
            f"OpenLineage needs its client: pip install 'doctrail-core[openlineage]' ({error})"
        ) from error
