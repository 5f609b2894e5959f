"""One run that is told by hand, as a `with` block or around a function.

Invariant: a run that was begun is ended once, however its block or function is left. While a generator
is suspended its consumer is not inside the run: the scope is entered anew for every step.
"""

# ruff: noqa: SLF001  # a decorated function drives a copy of its block
import copy
import functools
import inspect
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, Self, TypeVar, cast

from doctrail_core.capture.events import Event, RunFailed
from doctrail_core.capture.receipts import NotRecordedError
from doctrail_core.capture.scope import Scope, current_scope, entered
from doctrail_core.composition import default_lineage, swallow

if TYPE_CHECKING:
    from doctrail_core.composition import Lineage

FRAMEWORK = "python"

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Block(ABC):
    """A run of one kind: what to say when it begins and ends.

    Attributes:
        encloses: Whether what happens inside is part of this run.
    """

    encloses: ClassVar[bool] = True

    def __init__(self, lineage: "Lineage | None") -> None:
        """Record into `lineage`, or into the one of the enclosing scope, or into the default one."""
        self._given = lineage
        self._lineage: Lineage | None = None
        self._run_id = self._response_id = ""
        self._within: AbstractContextManager[Any] | None = None
        self._open = False

    # --- what each kind says

    @abstractmethod
    def _started(self, run_id: str) -> Iterable[Event]:
        """That it begins."""

    @abstractmethod
    def _ended(self, run_id: str) -> Iterable[Event]:
        """That it is over."""

    def _failed(self, run_id: str, error: BaseException) -> Iterable[Event]:
        """That an exception left it."""
        return (RunFailed(run_id, error),)

    @abstractmethod
    def _called(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Learn from the call of a decorated function."""

    @abstractmethod
    def _returned(self, result: Any) -> None:
        """Learn from what a decorated function returned."""

    @abstractmethod
    def _yielded(self, piece: Any) -> None:
        """Learn from a piece that a decorated generator yielded."""

    # --- as a block

    def __enter__(self) -> Self:
        """Begin."""
        self._begin()
        self._within = self._inside()
        self._within.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, or fail with the exception that left the block."""
        if self._within is not None:
            # ValueError: left in another context than entered, as a generator that was dropped does it.
            with suppress(ValueError):
                self._within.__exit__(None, None, None)
        self._end(error)

    async def __aenter__(self) -> Self:
        """Begin."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, or fail with the exception that left the block."""
        self.__exit__(kind, error, trace)

    # --- around a function

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Make every call of this function such a run."""
        decorate: Callable[[Callable[..., Any]], Callable[..., Any]]
        if inspect.isasyncgenfunction(function):
            decorate = self._around_async_generator
        elif inspect.isgeneratorfunction(function):
            decorate = self._around_generator
        elif inspect.iscoroutinefunction(function):
            decorate = self._around_coroutine
        else:
            decorate = self._around_function
        return functools.wraps(function)(cast("Callable[_P, _R]", decorate(function)))

    def _around_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._for_call(function, args, kwargs) as block:
                result = function(*args, **kwargs)
                block._learn(block._returned, result)
                return result

        return call

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            with self._for_call(function, args, kwargs) as block:
                result = await function(*args, **kwargs)
                block._learn(block._returned, result)
                return result

        return call

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            block = self._for_call(function, args, kwargs)
            drawn = function(*args, **kwargs)
            draw = partial(next, drawn)
            block._begin()
            try:
                while True:
                    try:
                        with block._inside():
                            piece = draw()
                    except StopIteration as stop:
                        block._end(None)
                        return stop.value
                    block._learn(block._yielded, piece)
                    try:
                        draw = partial(drawn.send, (yield piece))
                    except GeneratorExit:
                        drawn.close()
                        raise
                    except BaseException as error:  # noqa: BLE001  # whatever the consumer throws in
                        draw = partial(drawn.throw, error)
            except BaseException as error:
                block._end(error)
                raise

        return call

    def _around_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            block = self._for_call(function, args, kwargs)
            drawn = function(*args, **kwargs)
            draw = partial(drawn.asend, None)
            block._begin()
            try:
                while True:
                    try:
                        with block._inside():
                            piece = await draw()
                    except StopAsyncIteration:
                        block._end(None)
                        return
                    block._learn(block._yielded, piece)
                    try:
                        draw = partial(drawn.asend, (yield piece))
                    except GeneratorExit:
                        await drawn.aclose()
                        raise
                    except BaseException as error:  # noqa: BLE001  # whatever the consumer throws in
                        draw = partial(drawn.athrow, error)
            except BaseException as error:
                block._end(error)
                raise

        return call

    def _for_call(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Self:
        block = copy.copy(self)

        def learn(called: Callable[..., Any]) -> None:
            bound = inspect.signature(called).bind(*args, **kwargs)
            bound.apply_defaults()
            block._called(called.__name__, dict(bound.arguments))

        block._learn(learn, function)
        return block

    # --- telling

    def _begin(self) -> None:
        self._run_id = self._response_id = str(uuid.uuid4())
        self._open = True
        try:
            self._learn(self._record_start, self._run_id)
        except NotRecordedError as error:
            self._end(error)
            raise

    def _record_start(self, run_id: str) -> None:
        lineage, outer = self._recording(), current_scope()
        if outer is not None and outer.lineage is lineage:
            self._response_id = outer.response_id
        for event in self._started(run_id):
            lineage.record(event)

    def _inside(self) -> AbstractContextManager[Any]:
        if self._lineage is None:
            return nullcontext()
        within = ExitStack()
        within.enter_context(self._lineage.within(self._run_id))
        if self.encloses:
            within.enter_context(entered(Scope(self._lineage, self._response_id, self._run_id)))
        return within

    def _end(self, error: BaseException | None) -> None:
        if self._open:
            self._open = False
            self._learn(self._record_end, error)

    def _record_end(self, error: BaseException | None) -> None:
        run_id = self._run_id
        for event in self._ended(run_id) if error is None else self._failed(run_id, error):
            self._recording().record(event)

    def _recording(self) -> "Lineage":
        if self._lineage is None:
            scope = current_scope()
            inherited = cast("Lineage | None", scope.lineage if scope else None)
            self._lineage = self._given or inherited or default_lineage()
        return self._lineage

    def _learn(self, learn: Callable[[Any], None], told: Any) -> None:
        """Take note of something; what cannot be understood costs the application nothing."""
        try:
            learn(told)
        except NotRecordedError:
            raise
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's code
            swallow(f"manual.{type(self).__name__}", error, self._recording)
