"""Random requests, for hypothesis: trees of whatever an application may do, with failures anywhere."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from hypothesis import strategies as st

from doctrail_core.testing.conformance.script import (
    Act,
    Ask,
    Fallback,
    Keep,
    Parallel,
    Passage,
    Request,
    Retry,
    Search,
    Step,
    UseTool,
)

__all__ = ["requests"]

_NAMES = ("alder", "beech", "cedar", "elder", "hazel", "larch")
_PASSAGES = tuple(
    Passage(
        f"Of {name} it is known that each one of its leaves fell to the ground in October.",
        f"{name}-1",
        f"doc_{name}",
        0.125 * (number + 1),
    )
    for number, name in enumerate(_NAMES)
)
_FAILURES = st.sampled_from(
    (None, None, None, "gone")
)  # one: hosts differ in which of two they raise
_found = st.sets(st.sampled_from(_PASSAGES), max_size=3).map(
    lambda found: tuple(sorted(found, key=lambda passage: -(passage.score or 0.0)))
)


def requests(without: Collection[type[Act]] = ()) -> st.SearchStrategy[Request]:
    """Requests whose scripts are free of these acts; what does not fail ends with an answer."""
    return st.builds(
        Request,
        question=st.sampled_from(("When do leaves fall?", "Which trees are known?")),
        acts=_acts(without, depth=2).map(lambda acts: (*acts, Ask("That is all."))),
        session_id=st.none() | st.just("session-1"),
    )


def _acts(without: Collection[type[Act]], depth: int) -> st.SearchStrategy[tuple[Act, ...]]:
    known: list[tuple[type[Act], st.SearchStrategy[Act]]] = [
        (Search, st.builds(_search, st.sampled_from(_NAMES), _found, _FAILURES)),
        (Ask, st.builds(Ask, st.sampled_from(("In October.", "All of them.")), fails=_FAILURES)),
        (Keep, st.builds(Keep, st.lists(st.sampled_from(_NAMES), max_size=3).map(_first_chunks))),
    ]
    if depth:
        inner = st.deferred(lambda: _acts(without, depth - 1))
        branches = st.lists(_branch(without), min_size=1, max_size=3).map(tuple)
        attempts = st.lists(inner, min_size=1, max_size=3).map(tuple)
        known += [
            (Search, st.builds(_made_of, st.sampled_from(_NAMES), _found, inner)),
            (UseTool, st.builds(_use, st.sampled_from(_NAMES), inner, _FAILURES)),
            (Step, st.builds(Step, st.sampled_from(("research", "writing")), st.just("do"), inner)),
            (Fallback, st.builds(Fallback, inner, inner)),
            (Retry, st.builds(Retry, attempts)),
            (Parallel, st.builds(Parallel, branches)),
        ]
    usable = [strategy for kind, strategy in known if kind not in without]
    return st.lists(st.one_of(usable), max_size=4).map(tuple)


def _branch(without: Collection[type[Act]]) -> st.SearchStrategy[tuple[Act, ...]]:
    """What can happen beside others and is the same whoever comes first: no failures, no prompts."""
    search = st.builds(_search, st.sampled_from(_NAMES), _found, st.none())
    searches = st.lists(search, max_size=2).map(tuple)
    use = st.builds(_use, st.sampled_from(_NAMES), searches, st.none())
    return searches if UseTool in without else searches | st.tuples(use)


def _search(query: str, found: tuple[Passage, ...], fails: str | None) -> Search:
    return Search(query, () if fails else found, fails=fails)


def _made_of(query: str, found: tuple[Passage, ...], inside: tuple[Act, ...]) -> Search:
    return Search(query, tuple(replace(passage, score=None) for passage in found), inside)


def _use(about: str, inside: tuple[Act, ...], fails: str | None) -> UseTool:
    return UseTool(f"tell_{about}", f'{{"about": "{about}"}}', None, inside, f"{about}.", fails)


def _first_chunks(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}-1" for name in names)
