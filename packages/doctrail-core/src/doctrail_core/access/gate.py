"""Where a policy is enforced: between what a search found and what its caller gets.

Invariant: a chunk passes only if the policy said so of this chunk, for this principal, now. Whatever goes wrong,
nothing passes. What was decided is told before anything is released.
"""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from doctrail_core.capture.events import AccessDecided, RetrievedChunk
from doctrail_core.capture.scope import current_principal
from doctrail_core.model.access import (
    AccessDecision,
    AccessPolicy,
    ChunkAccess,
    LabelledChunk,
    PolicyConfiguration,
    Principal,
    Ruling,
)
from doctrail_core.text.identity import canonical_id

__all__ = ["AccessError", "Gate", "GivenPrincipal", "Labels", "Told"]

GivenPrincipal = Principal | str | Callable[[], Principal | str | None] | None
"""A principal, its id, or what is called at each search to say it."""

Told = Callable[[AccessDecided], None]
"""Puts decisions on record; must not raise."""


class AccessError(Exception):
    """Nothing was released, since it could not be decided."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Where a chunk's metadata says how it is classified."""

    label: str = "label"
    version: str = "label_version"

    def of(self, found: RetrievedChunk) -> LabelledChunk:
        """What a policy is shown of a chunk."""
        from doctrail_core.capture.records import chunk_record

        chunk = chunk_record(found)
        return LabelledChunk(
            chunk_id=chunk.chunk_id,
            document_id=chunk.document_id,
            label=_word(found.metadata.get(self.label)),
            label_version=_word(found.metadata.get(self.version)),
            metadata=chunk.metadata,
        )


@dataclass(frozen=True, slots=True)
class Gate:
    """A policy at one point of enforcement.

    Attributes:
        policy: Who decides.
        point: What is guarded, such as the retriever's class.
        principal: For whom; None leaves it to `acting_for`, to the lineage scope, and to the request.
        labels: Where chunks say how they are classified.
    """

    policy: AccessPolicy
    point: str
    principal: GivenPrincipal = None
    labels: Labels = field(default_factory=Labels)

    def __post_init__(self) -> None:
        """See that there is a policy, before anything is searched.

        Raises:
            TypeError: There is none.
        """
        if not _decides(self.policy):
            raise TypeError(
                f"{self.policy!r} decides nothing: give an access policy, such as LabelPolicy(...)"
            )

    def admits(
        self, found: Sequence[RetrievedChunk], run_id: str, told: Told, *, user_id: str | None
    ) -> Sequence[bool]:
        """Which chunks may go on.

        Args:
            found: What the search found.
            run_id: The search.
            told: Puts the decisions on record.
            user_id: Who asked, as far as the request says it.

        Raises:
            AccessError: It could not be decided; nothing may go on.
        """
        attempt = _Attempt(self, found)
        try:
            asked = attempt.begun(user_id)
            rulings = self.policy.decide(*asked) if found else ()
            return attempt.decided(rulings, run_id, told)
        except Exception as error:
            raise attempt.failed(error, run_id, told) from error

    async def aadmits(
        self, found: Sequence[RetrievedChunk], run_id: str, told: Told, *, user_id: str | None
    ) -> Sequence[bool]:
        """Which chunks may go on, without blocking the event loop; see `admits`."""
        attempt = _Attempt(self, found)
        try:
            asked = await asyncio.to_thread(attempt.begun, user_id)
            rulings = await self._adecide(*asked) if found else ()
            return attempt.decided(rulings, run_id, told)
        except Exception as error:
            raise attempt.failed(error, run_id, told) from error

    async def _adecide(self, principal: Principal, chunks: Sequence[LabelledChunk]) -> object:
        own = getattr(self.policy, "adecide", None)
        if own is not None:
            return await own(principal, chunks)
        return await asyncio.to_thread(self.policy.decide, principal, chunks)

    def principal_for(self, user_id: str | None) -> Principal:
        """For whom a search is made now.

        Raises:
            AccessError: Nobody is named.
        """
        given = self.principal
        named = given() if callable(given) else given
        if named is None and given is None:
            named = current_principal() or user_id
        principal = Principal(named) if isinstance(named, str) else named
        if not isinstance(principal, Principal) or not principal.id:
            raise AccessError(
                "nobody is named for whom this is retrieved: give the retriever a `principal`, or retrieve"
                " inside `acting_for(...)` or `lineage(user_id=...)`"
            )
        return principal


class _Attempt:
    """One search's way through a gate."""

    def __init__(self, gate: Gate, found: Sequence[RetrievedChunk]) -> None:
        self._gate = gate
        self._found = found
        self._principal: Principal | None = None
        self._chunks: Sequence[LabelledChunk] | None = None

    def begun(self, user_id: str | None) -> tuple[Principal, Sequence[LabelledChunk]]:
        self._principal = self._gate.principal_for(user_id)
        self._chunks = [self._gate.labels.of(chunk) for chunk in self._found]
        return self._principal, self._chunks

    def decided(self, rulings: object, run_id: str, told: Told) -> Sequence[bool]:
        """Put a policy's word on record, and read from it who passes."""
        chunks = self._chunks or ()
        settled = _settled(rulings, len(chunks))
        groups: dict[tuple[str, str], list[ChunkAccess]] = {}
        for chunk, ruling in zip(chunks, settled, strict=True):
            decision = (canonical_id(ruling.decision_id), canonical_id(ruling.policy))
            groups.setdefault(decision, []).append(_access(chunk, allowed=ruling.allowed))
        decisions = [
            self._decision(tuple(group), decision_id=decision_id, policy=policy)
            for (decision_id, policy), group in groups.items()
        ]
        policies = dict.fromkeys(policy for _, policy in groups)
        configured = tuple(self._configuration(policy) for policy in policies)
        told(AccessDecided(run_id, decisions or [self._decision(())], configured))
        return [ruling.allowed for ruling in settled]

    def failed(self, error: Exception, run_id: str, told: Told) -> AccessError:
        """Put on record that nothing is released."""
        from doctrail_core.capture.records import describe

        withheld = tuple(_access(chunk, allowed=False) for chunk in self._labelled(error))
        told(AccessDecided(run_id, [self._decision(withheld, error=describe(error))]))
        if isinstance(error, AccessError):
            return error
        return AccessError(
            f"nothing of what {self._gate.point} found is released: {self._engine()} gave no decision"
            f" ({describe(error)})"
        )

    def _labelled(self, error: Exception) -> Sequence[LabelledChunk]:
        """The chunks, also where it failed before they were looked at; unless that is how it failed."""
        if self._chunks is None and isinstance(error, AccessError):
            self._chunks = [self._gate.labels.of(chunk) for chunk in self._found]
        return self._chunks or ()

    def _engine(self) -> str:
        return canonical_id(str(self._gate.policy.engine))

    def _decision(
        self,
        chunks: tuple[ChunkAccess, ...],
        *,
        decision_id: str | None = None,
        policy: str | None = None,
        error: str | None = None,
    ) -> AccessDecision:
        return AccessDecision(
            engine=self._engine(),
            principal=canonical_id(self._principal.id) if self._principal else None,
            point=self._gate.point,
            chunks=chunks,
            decision_id=decision_id,
            policy=policy,
            error=error,
        )

    def _configuration(self, policy: str) -> PolicyConfiguration:
        own = getattr(self._gate.policy, "configuration", None)
        if isinstance(own, PolicyConfiguration) and own.policy == policy:
            return own
        return PolicyConfiguration(self._engine(), policy)


def _decides(given: object) -> bool:
    """Whether it is a policy, and not what a policy is made with."""
    return isinstance(given, AccessPolicy) and not isinstance(given, type)


def _settled(rulings: object, expected: int) -> Sequence[Ruling]:
    """The policy's rulings, if that is what it returned.

    Raises:
        TypeError: It is not.
    """
    if inspect.iscoroutine(rulings):
        rulings.close()
    listed = cast("Sequence[Any]", rulings) if isinstance(rulings, list | tuple) else None
    if (
        listed is None
        or len(listed) != expected
        or not all(isinstance(ruling, Ruling) and _is_whole(ruling) for ruling in listed)
    ):
        raise TypeError(
            f"a policy returns one Ruling (allowed, decision_id, policy) for each of {expected} chunks"
        )
    return cast("Sequence[Ruling]", listed)


def _is_whole(ruling: Any) -> bool:
    words = (ruling.decision_id, ruling.policy)
    return isinstance(ruling.allowed, bool) and all(isinstance(w, str) and w for w in words)


def _access(chunk: LabelledChunk, *, allowed: bool) -> ChunkAccess:
    return ChunkAccess(chunk.chunk_id, chunk.document_id, allowed, chunk.label, chunk.label_version)


def _word(value: object) -> str | None:
    """A label or a version; None for what is neither a text nor a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return canonical_id(str(value)) if str(value).strip() else None
