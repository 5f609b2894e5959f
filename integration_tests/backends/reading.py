"""What a backend would make of a span, by its own documentation."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reading:
    """A span as a backend shows it; None where it shows nothing.

    Attributes:
        kind: What it takes it for, in its own words.
        tokens: Of the prompt, of the reply.
        documents: What it shows as documents found.
    """

    kind: str | None
    name: str
    input: Any = None
    output: Any = None
    model: str | None = None
    provider: str | None = None
    tokens: tuple[int | None, int | None] = (None, None)
    session: str | None = None
    user: str | None = None
    documents: list[dict[str, Any]] | None = None
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    error: str | None = None
    links: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def first(attributes: dict[str, Any], *names: str) -> Any:
    """The first of these that has a value."""
    return next((attributes[name] for name in names if attributes.get(name)), None)


def messages(attributes: dict[str, Any], prefix: str) -> list[dict[str, Any]] | None:
    """OpenInference's flattened messages by role and content."""
    found: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        if name.startswith(prefix + "."):
            index, said = name.removeprefix(prefix + ".").split(".message.", 1)
            found.setdefault(int(index), {})[said] = value
    return [found[index] for index in sorted(found)] or None
