"""What has to happen around a fork.

The child has one thread, but every lock of its parent as it was at that moment, and the parent's open
files. So owners of either put things in order before, and begin anew in the child.
"""

import os
from typing import Protocol, runtime_checkable
from weakref import WeakSet

__all__ = ["ForkAware", "ForkCareful", "remake_after_fork"]


class ForkAware(Protocol):
    """Something that a forked child must make anew before it is used."""

    def after_fork_in_child(self) -> None: ...


@runtime_checkable
class ForkCareful(ForkAware, Protocol):
    """Something that must be at rest while the process forks."""

    def before_fork(self) -> None: ...

    def after_fork_in_parent(self) -> None: ...


_aware: "WeakSet[ForkAware]" = WeakSet()


def remake_after_fork(owner: ForkAware) -> None:
    """Have `owner` told about every fork of this process, as long as it lives."""
    _aware.add(owner)


def _careful() -> list[ForkCareful]:
    return sorted((owner for owner in list(_aware) if isinstance(owner, ForkCareful)), key=id)


def _before() -> None:
    for owner in _careful():
        owner.before_fork()


def _after_in_parent() -> None:
    for owner in _careful():
        owner.after_fork_in_parent()


def _after_in_child() -> None:
    for owner in list(_aware):
        owner.after_fork_in_child()


os.register_at_fork(
    before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
)
