"""What holds for the current request: the response it belongs to, for whom it is, or that nothing be recorded.

All live in context variables, so they follow async tasks and copied contexts, and they are set and
reset in the same place: nothing leaks into whoever consumes a generator.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, TypeVar

from doctrail_core.capture.events import Event
from doctrail_core.model import Principal, SpanReference
from doctrail_core.text.identity import as_name


class Records(Protocol):
    """Whoever takes events; in practice a `Lineage`."""

    def record(self, event: Event) -> None:
        """Take note of an event. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """The response that separate calls are grouped into, and who records it.

    `run_id` names the run of it that what happens now is part of.
    """

    lineage: Records
    response_id: str
    run_id: str


_Value = TypeVar("_Value")

_SCOPE: ContextVar[Scope | None] = ContextVar("doctrail_scope", default=None)
_PRINCIPAL: ContextVar[Principal | None] = ContextVar("doctrail_principal", default=None)
_SUPPRESSED: ContextVar[bool] = ContextVar("doctrail_suppressed", default=False)
_prepare: list[Callable[[], None]] = []
_finders: list[Callable[[], Scope | None]] = []
_traced: list[Callable[[str], SpanReference | None]] = []


def when_entered(prepare: Callable[[], None]) -> None:
    """Have this called before any scope opens, for adapters that listen to their host on demand."""
    _prepare.append(prepare)


def when_looked_for(find: Callable[[], Scope | None]) -> None:
    """Have this asked where the running code is, for adapters whose host has chains of its own."""
    _finders.append(find)


def located() -> Scope | None:
    """The response that the running code is part of, and the run: as a host tells it, else the scope."""
    return next(filter(None, (find() for find in _finders)), None) or current_scope()


def when_traced_elsewhere(find: Callable[[str], SpanReference | None]) -> None:
    """Have this asked which span another instrumentation has open for a run, by the host's id of it.

    It is asked often, and has to be quick where there is no other instrumentation.
    """
    _traced.append(find)


def traced_elsewhere(run_id: str) -> SpanReference | None:
    """The span that another instrumentation of the host has open for this run."""
    return next(filter(None, (find(run_id) for find in _traced)), None)


def current_scope() -> Scope | None:
    """The scope that the running code is in, if any."""
    return _SCOPE.get()


@contextmanager
def entered(scope: Scope) -> Generator[Scope]:
    """Be in this scope."""
    for prepare in _prepare:
        prepare()
    with _holding(_SCOPE, scope):
        yield scope


@contextmanager
def _holding(variable: ContextVar[_Value], value: _Value) -> Generator[None]:
    """Have the variable hold this.

    A token could not be reset where a generator goes on, or is closed, in another context, as that of a thread
    pool; there it is left alone unless it still holds this.
    """
    before = variable.get()
    variable.set(value)
    try:
        yield
    finally:
        if variable.get() is value:
            variable.set(before)


def current_principal() -> Principal | None:
    """For whom the running code works, if that was said."""
    return _PRINCIPAL.get()


def _named(given: object, around: Principal | None) -> Principal | None:
    name = as_name(given)
    return around if name is None or (around and around.id == name) else Principal(name)


@contextmanager
def acting_for(principal: Principal | str | None) -> Generator[None]:
    """Work for this principal: guarded retrievers in here release what it may read.

    Args:
        principal: Who it is. An id alone keeps the roles that the same principal has around this; None
            changes nothing.
    """
    around = _PRINCIPAL.get()
    named = principal if isinstance(principal, Principal) else _named(principal, around)
    with _holding(_PRINCIPAL, named):
        yield


@contextmanager
def suppress() -> Generator[None]:
    """Record nothing of what starts in here: checks and evaluations leave no lineage of their own."""
    token = _SUPPRESSED.set(True)
    try:
        yield
    finally:
        _SUPPRESSED.reset(token)


def suppressed() -> bool:
    """Whether the running code is inside `suppress()`."""
    return _SUPPRESSED.get()
