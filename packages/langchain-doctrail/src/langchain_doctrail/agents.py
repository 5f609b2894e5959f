"""Middleware for LangChain's agents: DOC-ID tags on what tools found, and whose response it is.

Needs the `agents` extra. The tags are for one prompt: the agent's state keeps its messages as they are,
and only the last one learns, in its metadata, the id of the response that it is the answer of.

Invariant: a failure in here leaves the request or the state as it was; it is noted, and the agent goes on.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from typing_extensions import override

from langchain_doctrail.artifacts import of_message
from langchain_doctrail.listening import note, open_response
from langchain_doctrail.open_runs import OpenResponse
from langchain_doctrail.tool_results import tagged

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
except ImportError as missing:
    raise ImportError(
        "langchain_doctrail.agents needs LangChain's agents: pip install 'langchain-doctrail[agents]'"
    ) from missing

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
    """

    def __init__(self, *, tag: bool = True) -> None:
        """Tag, unless told otherwise."""
        super().__init__()
        self._tag = tag

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
        return _marked(state)

    @override
    async def aafter_agent(self, state: "AgentState[Any]", runtime: Any) -> dict[str, Any] | None:
        return _marked(state)

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
