"""What an application does to answer one request, written down without a framework.

A script is played by a host (`Host`) with its framework's real classes. Nothing in it says how: it
names what is searched, found, sent, said and used, so that the trail of it can be written down as well.
"""

from dataclasses import dataclass
from typing import Literal

from doctrail_core.model import Message, ScoreKind, ToolRequest

__all__ = [
    "MODEL",
    "Act",
    "Ask",
    "Fallback",
    "Hang",
    "Keep",
    "Meet",
    "Parallel",
    "Passage",
    "Request",
    "Retry",
    "ScriptedError",
    "Search",
    "Step",
    "UseTool",
    "stuffed",
]

MODEL = "scripted-1"
"""What every scripted model calls itself."""


class ScriptedError(Exception):
    """What a search, a model or a tool fails with where the script says so; it must reach the caller."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as the framework's retriever returns it; what is None, the framework does not have."""

    text: str
    chunk_id: str | None = None
    document_id: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """The framework's retriever is asked.

    `inside` is what its own search does, such as other searches and model calls; then it fails with
    `fails`, or returns `found`. `scores` says what the passages' scores mean.
    """

    query: str
    found: tuple[Passage, ...] = ()
    inside: "tuple[Act, ...]" = ()
    fails: str | None = None
    scores: ScoreKind = "similarity"


@dataclass(frozen=True, slots=True)
class Keep:
    """A step of the framework between search and prompt keeps only these chunks of the last search."""

    chunk_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """The framework's model is called; it fails with `fails`, or says `says`, or chooses tools.

    `prompt` is what it is to be sent. None leaves it to the host, which is to put all that was found
    and the question into it (as `stuffed` does, or in the framework's own way). Where a framework
    makes the prompt itself, as its agents do, what it makes must hold the same texts.
    """

    says: str = ""
    prompt: tuple[Message, ...] | None = None
    chooses: tuple[ToolRequest, ...] = ()
    fails: str | None = None
    inside: "tuple[Hang, ...]" = ()


@dataclass(frozen=True, slots=True)
class UseTool:
    """The framework's tool is called; it does what is `inside`, and then fails or returns."""

    name: str
    arguments: str
    tool_call_id: str | None = None
    inside: "tuple[Act, ...]" = ()
    returns: str = ""
    fails: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A part that a person would look for: an agent, a graph's node, an engine inside another one.

    It says what was said last inside of it.
    """

    name: str
    asked: str
    inside: "tuple[Act, ...]"


@dataclass(frozen=True, slots=True)
class Parallel:
    """Several things at once."""

    branches: "tuple[tuple[Act, ...], ...]"


@dataclass(frozen=True, slots=True)
class Fallback:
    """What is done `otherwise` when the first thing fails."""

    first: "tuple[Act, ...]"
    otherwise: "tuple[Act, ...]"


@dataclass(frozen=True, slots=True)
class Retry:
    """The same thing, tried again while it fails; each attempt goes as told."""

    attempts: "tuple[tuple[Act, ...], ...]"


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing more happens here until the caller stops it; in async code only."""


@dataclass(frozen=True, slots=True)
class Meet:
    """Go on when the other request of the scenario has come here as well."""


Act = Search | Keep | Ask | UseTool | Step | Parallel | Fallback | Retry | Hang | Meet


@dataclass(frozen=True, slots=True)
class Request:
    """One question of a user, and all that the application does about it.

    The answer is what was said last. `delivery` says how the caller takes it: at once, in pieces, or
    in pieces of which only the first is drawn; `stopped` how the caller ends a request that hangs.
    """

    question: str
    acts: tuple[Act, ...]
    session_id: str | None = None
    user_id: str | None = None
    delivery: Literal["whole", "streamed", "left"] = "whole"
    stopped: Literal["cancelled", "timed out"] | None = None

    @property
    def preparation(self) -> tuple[Act, ...]:
        """All that is done before the answer streams."""
        return self.acts[:-1]

    @property
    def answering(self) -> Ask:
        """The call whose answer streams."""
        last = self.acts[-1]
        assert isinstance(last, Ask), "a request that streams ends with the model's answer"
        return last


def stuffed(question: str, found: tuple[Passage, ...]) -> tuple[Message, ...]:
    """The prompt that everybody begins with: all passages, then the question."""
    context = "\n\n".join(passage.text for passage in found)
    return (Message("system", f"Answer from this:\n{context}"), Message("user", question))
