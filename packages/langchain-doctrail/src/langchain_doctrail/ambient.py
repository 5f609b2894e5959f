"""Lineage scopes reach LangChain calls that nobody gave callbacks to.

LangChain asks registered context variables for a handler whenever it sets up a run. Ours answers
while a `doctrail_core.lineage()` scope is open and is silent otherwise; a lineage handler that the
user passed takes precedence.
"""

from typing import TYPE_CHECKING, cast

from langchain_core.tracers.context import register_configure_hook

from doctrail_core.capture.scope import Scope, current_scope, when_looked_for
from langchain_doctrail.callbacks import LineageCallbackHandler

if TYPE_CHECKING:
    from contextvars import ContextVar

    from doctrail_core import Lineage

__all__ = ["follow_scopes"]


class _ScopeHandler:
    """The part of a context variable that LangChain uses: whoever is to listen now."""

    def get(self) -> LineageCallbackHandler | None:
        scope = current_scope()
        return LineageCallbackHandler(cast("Lineage", scope.lineage)) if scope else None


def _place() -> Scope | None:
    """The response that a running chain is part of."""
    from langchain_doctrail.listening import running

    if (found := running()) is None:
        return None
    lineage, run = found
    response = run.response
    return Scope(lineage, response.within or response.root_id, response.root_id)


def follow_scopes() -> None:
    """Have LangChain ask for the open scope's handler, and the core ask us where a chain is."""
    when_looked_for(_place)
    register_configure_hook(
        cast("ContextVar[LineageCallbackHandler | None]", _ScopeHandler()),
        inheritable=True,
        handle_class=LineageCallbackHandler,
    )
