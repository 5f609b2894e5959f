"""Middleware for LangChain's agents: DOC-ID tags on what tools found, whose response it is, a check of it.

Needs the `agents` extra. The tags are for one prompt: the agent's state keeps its messages as they are,
and only the last one learns, in its metadata, the id of the response that it is the answer of, and what
a check of it found.

Invariant: a failure in here leaves the request or the state as it was; it is noted, and the agent goes on.
What an agent's answer may become beyond that, whoever asks for its enforcement has chosen.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from typing_extensions import override

from langchain_doctrail.artifacts import of_message
from langchain_doctrail.grounding import GroundingCheck, check_grounding
from langchain_doctrail.listening import note, open_response
from langchain_doctrail.open_runs import OpenResponse
from langchain_doctrail.tool_results import tagged

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
except ImportError as missing:
    raise ImportError(
        "langchain_doctrail.agents needs LangChain's agents: pip install 'langchain-doctrail[agents]'"
    ) from missing

if TYPE_CHECKING:
    from doctrail_core import Grounding
    from doctrail_core.grounding.verifier import Verifier

__all__ = ["LineageMiddleware"]

# Quoted: not every supported version takes the same number of parameters.
_Request: TypeAlias = "ModelRequest[Any]"
_Response: TypeAlias = "ModelResponse[Any]"


class LineageMiddleware(AgentMiddleware):
    """Tags what an agent's tools found, and marks its answer with the id of the response.

    Put it last among the agent's middleware, so that it tags what the others leave in the prompt. The
    id stands in the last message's `response_metadata["doctrail"]["response_id"]`, if a lineage handler
    listens or a lineage scope is open.

    Args:
        tag: Whether to put DOC-ID tags around retrieved text in tool messages.
        grounding: Who checks the agent's answer against what arrived, before the agent is done: a
            verifier, settings that name one, or `check_grounding(...)`, which can also refuse an answer.
            Its result stands beside the id. Default: the answer is not checked here.
    """

    def __init__(
        self,
        *,
        tag: bool = True,
        grounding: "Grounding | Verifier | GroundingCheck | None" = None,
    ) -> None:
        """Tag, unless told otherwise, and do not check, unless told so."""
        super().__init__()
        self._tag = tag
        if grounding is not None and not isinstance(grounding, GroundingCheck):
            grounding = check_grounding(grounding)
        self._check = grounding

    @override
    def wrap_model_call(
        self, request: _Request, handler: Callable[[_Request], _Response]
    ) -> _Response:
        return handler(self._tagged(request))

    @override
    async def awrap_model_call(
        self, request: _Request, handler: Callable[[_Request], Awaitable[_Response]]
    ) -> _Response:
        return await handler(self._tagged(request))

    @override
    def after_agent(self, state: "AgentState[Any]", runtime: Any) -> dict[str, Any] | None:
        checked = self._check.checked(_conversation(state)) if self._check else None
        return _replaced(state, checked) or _marked(state)

    @override
    async def aafter_agent(self, state: "AgentState[Any]", runtime: Any) -> dict[str, Any] | None:
        checked = await self._check.achecked(_conversation(state)) if self._check else None
        return _replaced(state, checked) or _marked(state)

    def _tagged(self, request: _Request) -> _Request:
        if not self._tag:
            return request
        try:
            response = open_response()
            messages = [_tagged(message, response) for message in request.messages]
            changed = any(
                new is not old for new, old in zip(messages, request.messages, strict=True)
            )
            return request.override(messages=messages) if changed else request
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's agent
            note("agents.wrap_model_call", error)
            return request


def _tagged(message: Any, response: OpenResponse | None) -> Any:
    if not isinstance(message, ToolMessage):
        return message
    try:
        found = response.found_by.get(message.tool_call_id, ()) if response else ()
        return tagged(message, of_message(message) or found)
    except Exception as error:  # noqa: BLE001  # an artifact may be anything
        note("agents.tool message", error)
        return message


def _conversation(state: "AgentState[Any]") -> dict[str, list[Any]]:
    return {"messages": list(state["messages"])}


def _replaced(
    state: "AgentState[Any]", checked: dict[str, list[Any]] | None
) -> dict[str, Any] | None:
    """The last message as the check left it, in place of itself; None where it was not checked."""
    last = checked["messages"][-1] if checked and checked["messages"] else None
    if last is None or last is state["messages"][-1] or last.id is None:
        return None
    return {"messages": [last]}


def _marked(state: "AgentState[Any]") -> dict[str, Any] | None:
    """The last message with the id of the response, in place of itself."""
    try:
        response, last = open_response(), state["messages"][-1]
        if response is None or last.id is None or not isinstance(last, (AIMessage, ToolMessage)):
            return None
        return {"messages": [_with_id(last, response.response_id)]}
    except Exception as error:  # noqa: BLE001  # lineage never breaks the user's agent
        note("agents.after_agent", error)
        return None


def _with_id(message: BaseMessage, response_id: str) -> BaseMessage:
    metadata = {**message.response_metadata, "doctrail": {"response_id": response_id}}
    return message.model_copy(update={"response_metadata": metadata})
