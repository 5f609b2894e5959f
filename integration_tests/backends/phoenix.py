"""A Phoenix server, and what its API tells of a project."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from backends.programs import Server, free_port, installed, until


class Phoenix(Server):
    """One that keeps everything in its own folder and asks nobody on the internet."""

    def __init__(self) -> None:
        port = free_port()
        super().__init__(
            [installed("phoenix") or "phoenix", "serve"],
            {
                "PHOENIX_HOST": "127.0.0.1",
                "PHOENIX_PORT": str(port),
                "PHOENIX_GRPC_PORT": str(free_port()),
                "PHOENIX_WORKING_DIR": ".",
                "PHOENIX_TELEMETRY_ENABLED": "false",
                "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
                "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
                "PHOENIX_ENABLE_MCP_SERVER": "false",
            },
            port,
            "/healthz",
        )

    @property
    def traces(self) -> str:
        """Where spans are sent to over HTTP."""
        return self.url + "/v1/traces"

    def project(self, name: str, number: int) -> "Project":
        """What has arrived, once all spans that were sent have."""
        found: list[Any] = []

        def arrived() -> bool:
            found[:] = self._spans(name)
            return len(found) >= number

        until(arrived)
        return Project([Seen(span) for span in found])

    def session(self, session_id: str) -> Any:
        """A session, wherever it is: a second project in which it goes on has none of its own."""
        return self.ask(f"/v1/sessions/{quote(session_id)}")["data"]

    def annotations(self, project: str, span_id: str) -> list[Any]:
        found = self.ask(f"/v1/projects/{quote(project)}/span_annotations?span_ids={span_id}")
        return found["data"]

    def _spans(self, project: str) -> list[Any]:
        if project not in {known["name"] for known in self.ask("/v1/projects")["data"]}:
            return []
        spans, cursor = [], ""
        while True:
            path = f"/v1/projects/{quote(project)}/spans?limit=100&cursor={quote(cursor)}"
            page = self.ask(path if cursor else path.removesuffix("&cursor="))
            spans += page["data"]
            cursor = page["next_cursor"]
            if not cursor:
                return spans


@dataclass(frozen=True)
class Seen:
    """A span as it tells of it."""

    raw: Any

    @property
    def id(self) -> str:
        return self.raw["context"]["span_id"]

    @property
    def trace_id(self) -> str:
        return self.raw["context"]["trace_id"]

    @property
    def parent_id(self) -> str | None:
        return self.raw["parent_id"]

    @property
    def name(self) -> str:
        return self.raw["name"]

    @property
    def kind(self) -> str:
        return self.raw["span_kind"]

    @property
    def attributes(self) -> dict[str, Any]:
        return self.raw["attributes"]

    def documents(self, prefix: str = "retrieval.documents") -> list[dict[str, Any]]:
        """The documents under this name, in order, each by what is said of it."""
        found: dict[int, dict[str, Any]] = {}
        for name, value in self.attributes.items():
            if name.startswith(prefix + "."):
                index, said = name.removeprefix(prefix + ".").split(".document.", 1)
                found.setdefault(int(index), {})[said] = value
        assert sorted(found) == list(range(len(found)))
        return [found[index] for index in sorted(found)]


@dataclass(frozen=True)
class Project:
    """All spans of a project."""

    spans: list[Seen]

    def of(self, trace_id: str | None) -> list[Seen]:
        """Those of one trace, in the order they began."""
        mine = [span for span in self.spans if span.trace_id == trace_id]
        return sorted(mine, key=lambda span: span.raw["start_time"])

    def one(self, trace_id: str | None, kind: str) -> Seen:
        """The only one of its kind in a trace."""
        (found,) = [span for span in self.of(trace_id) if span.kind == kind]
        return found

    def tree(self, trace_id: str | None) -> list[Any]:
        """`[kind, name, [children]]`."""
        spans = self.of(trace_id)
        known = {span.id for span in spans}

        def below(parent: str | None) -> list[Any]:
            return [[s.kind, s.name, below(s.id)] for s in spans if s.parent_id == parent]

        assert all(span.parent_id is None or span.parent_id in known for span in spans)
        return below(None)
