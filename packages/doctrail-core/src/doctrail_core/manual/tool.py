"""A tool call, told by hand."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from doctrail_core.capture.events import Event, ToolCalled, ToolReturned
from doctrail_core.manual.arguments import as_json
from doctrail_core.manual.block import FRAMEWORK, Block

if TYPE_CHECKING:
    from doctrail_core.composition import Lineage

__all__ = ["ToolUse", "tool"]


class ToolUse(Block):
    """A tool call while it happens: tell it what the tool `returned`."""

    def __init__(
        self,
        name: str | None,
        arguments: Mapping[str, Any] | str | None,
        tool_call_id: str | None,
        lineage: "Lineage | None",
    ) -> None:
        """See `tool`."""
        super().__init__(lineage)
        self._name = name
        self._arguments = arguments
        self._tool_call_id = tool_call_id
        self._result: str | None = None

    def returned(self, result: object) -> None:
        """Say what the tool returned: a text, or something that becomes JSON."""
        self._learn(self._returned, result)

    def _called(self, name: str, arguments: Mapping[str, Any]) -> None:
        self._name = self._name or name
        self._arguments = arguments if self._arguments is None else self._arguments

    def _returned(self, result: Any) -> None:
        self._result = result if isinstance(result, str) else as_json(result)

    def _yielded(self, piece: Any) -> None:
        self._result = (self._result or "") + (piece if isinstance(piece, str) else str(piece))

    def _started(self, run_id: str) -> Iterable[Event]:
        self._result = None
        name, call_id = self._name or "tool", self._tool_call_id
        yield ToolCalled(run_id, None, name, FRAMEWORK, as_json(self._arguments), call_id)

    def _ended(self, run_id: str) -> Iterable[Event]:
        yield ToolReturned(run_id, self._result)


def tool(
    name: str | None = None,
    *,
    arguments: Mapping[str, Any] | str | None = None,
    tool_call_id: str | None = None,
    lineage: "Lineage | None" = None,
) -> ToolUse:
    """Record a tool call.

    As a block: `with tool(name) as call: call.returned(result)`. Or decorate the tool.

    Searches and model calls inside are part of it.

    Args:
        name: Default the name of the decorated function.
        arguments: What the tool is given. Of a decorated function: its arguments.
        tool_call_id: The model's id for this call, by which its result is found in the next prompt.
        lineage: Where to record; default the enclosing scope's, else the process's own.
    """
    return ToolUse(name, arguments, tool_call_id, lineage)
