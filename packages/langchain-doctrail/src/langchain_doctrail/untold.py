"""Steps that the recorder has not heard of: graphs inside other runs, and the nodes of graphs.

Most nodes only pass a state on. One is worth telling of as soon as something happens inside it, and
then with all that it is inside of, outermost first: an event whose parent nobody knows would become a
response of its own.
"""

from dataclasses import dataclass, replace

__all__ = ["InnerStep", "UntoldSteps"]


@dataclass(frozen=True, slots=True)
class InnerStep:
    """What is to be told of a step, and when it began."""

    run_id: str
    parent_id: str
    name: str
    inputs: object
    at: int | None
    agent: bool = False


class UntoldSteps:
    """The steps that were not told of, by run."""

    def __init__(self) -> None:
        """Know of none."""
        self._steps: dict[str, InnerStep] = {}

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step: InnerStep) -> None:
        """A step began."""
        self._steps[step.run_id] = step

    def is_agent(self, run_id: str) -> None:
        """A step turned out to be an agent."""
        if step := self._steps.get(run_id):
            self._steps[run_id] = replace(step, agent=True)

    def around(self, run_id: str | None) -> list[InnerStep]:
        """What is to be told before anything inside this run, outermost first."""
        steps: list[InnerStep] = []
        while self._steps and run_id and (step := self._steps.get(run_id)):
            steps.insert(0, step)
            run_id = step.parent_id
        return steps

    def discard(self, run_id: str) -> bool:
        """Take the step of this run out, since it was told of or is over; whether it was in here."""
        return self._steps.pop(run_id, None) is not None
