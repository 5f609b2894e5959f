"""Lineage scopes reach LangChain calls that nobody gave callbacks to.

LangChain asks registered context variables for a handler whenever it sets up a run. Ours answers
while a `doctrail_core.lineage()` scope is open and is silent otherwise; a lineage handler that the
user passed takes precedence.
"""

from typing import TYPE_CHECKING, cast

from langchain_core.tracers.context import register_configure_hook

from doctrail_core.capture.scope import current_scope
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


def follow_scopes() -> None:
    """Have LangChain ask for the open scope's handler."""
    register_configure_hook(
        cast("ContextVar[LineageCallbackHandler | None]", _ScopeHandler()),
        inheritable=True,
        handle_class=LineageCallbackHandler,
    )
