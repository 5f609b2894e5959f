"""Who may read what: policies on labelled chunks, enforced where a search hands on what it found.

A wrapped retriever asks its policy about every chunk. What is denied goes no further, and each decision is on
record before a model is called; a policy that fails releases nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctrail_core.access.gate import AccessError, Gate, Labels
    from doctrail_core.access.policies import EnginePolicy, LabelPolicy
    from doctrail_core.capture.scope import acting_for
    from doctrail_core.model.access import AccessPolicy, LabelledChunk, Principal, Ruling

__all__ = [
    "AccessError",
    "AccessPolicy",
    "EnginePolicy",
    "Gate",
    "LabelPolicy",
    "LabelledChunk",
    "Labels",
    "Principal",
    "Ruling",
    "acting_for",
]

_HOMES = {
    "AccessError": "access.gate",
    "AccessPolicy": "model.access",
    "EnginePolicy": "access.policies",
    "Gate": "access.gate",
    "LabelPolicy": "access.policies",
    "LabelledChunk": "model.access",
    "Labels": "access.gate",
    "Principal": "model.access",
    "Ruling": "model.access",
    "acting_for": "capture.scope",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"doctrail_core.{_HOMES[name]}"), name)
