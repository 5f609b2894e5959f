"""What the author of an adapter provides: a way to have scripts played with the framework's classes."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from typing import ClassVar

from doctrail_core import Lineage
from doctrail_core.testing.conformance.script import Request

__all__ = ["Host"]


class Host(ABC):
    """Plays requests with a framework's real classes, recorded by its adapter into `lineage`.

    Exceptions of a script must come out as they went in. Class variables tell what is known not to
    hold; keys are names of scenarios, or `"<name>, sync"` and `"<name>, async"` for one of the two.

    Attributes:
        gaps: What the adapter does not get right, and why. Such a scenario has to fail: when the gap
            closes, the entry has to go.
        absent: What the framework has nothing of, and why. Such a scenario is skipped.
    """

    gaps: ClassVar[Mapping[str, str]] = {}
    absent: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def ask(self, request: Request, lineage: Lineage) -> str:
        """Play the request in sync code and return the answer."""

    @abstractmethod
    async def aask(self, request: Request, lineage: Lineage) -> str:
        """Play the request in async code and return the answer."""

    @abstractmethod
    def stream(self, request: Request, lineage: Lineage) -> Generator[str]:
        """Play the request in sync code; hand the answer on piece by piece, as the model says it.

        `pieces` of the last `Ask` is what the model says one after the other.
        """

    @abstractmethod
    def astream(self, request: Request, lineage: Lineage) -> AsyncGenerator[str]:
        """Play the request in async code; hand the answer on piece by piece, as the model says it."""

    def batch(self, requests: Sequence[Request], lineage: Lineage) -> list[str]:
        """Play the requests as the framework's own batch call; where it has none, one by one."""
        return [self.ask(request, lineage) for request in requests]

    async def abatch(self, requests: Sequence[Request], lineage: Lineage) -> list[str]:
        """Play the requests as the framework's own async batch call; where it has none, one by one."""
        return [await self.aask(request, lineage) for request in requests]

    def open_count(self) -> int:
        """How much the adapter itself keeps of what is running; 0 when nothing is."""
        return 0
