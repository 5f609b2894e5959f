"""Two policies: one that compares labels with clearances, and one that asks an engine such as OPA."""

import hashlib
import inspect
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from doctrail_core.model.access import LabelledChunk, PolicyConfiguration, Principal, Ruling
from doctrail_core.text.identity import canonical_id

__all__ = ["EnginePolicy", "LabelPolicy"]


@dataclass(frozen=True, slots=True)
class LabelPolicy:
    """Releases a chunk to whoever is cleared for its label.

    A principal has the highest of the clearances that it has by its id, by its roles and as anybody. A chunk
    without a label, or with one that is not among `labels`, is released to nobody.

    Attributes:
        labels: The least confidential first.
        principals: Clearances by the principal's id.
        roles: Clearances by role.
        anybody: The clearance of everybody; None for none.
    """

    labels: tuple[str, ...]
    principals: Mapping[str, str] = field(default_factory=dict[str, str])
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    anybody: str | None = None

    def __post_init__(self) -> None:
        """See that it cannot mean anything else.

        Raises:
            ValueError: Labels are named twice, or a clearance is none of them.
        """
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "principals", dict(self.principals))
        object.__setattr__(self, "roles", dict(self.roles))
        given = [*self.principals.values(), *self.roles.values()]
        given += [] if self.anybody is None else [self.anybody]
        unknown = sorted(set(given) - set(self.labels))
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("a LabelPolicy has a label twice: name each once, in order")
        if unknown:
            raise ValueError(
                f"a clearance of a LabelPolicy is none of its labels: {', '.join(unknown)};"
                f" the labels are {', '.join(self.labels)}"
            )

    @property
    def engine(self) -> str:
        """What decides."""
        return "doctrail.labels"

    @property
    def document(self) -> bytes:
        """The policy as canonical JSON: what an auditor needs to decide anew."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @property
    def policy(self) -> str:
        """The hash of `document`."""
        return f"sha256:{hashlib.sha256(self.document).hexdigest()}"

    @property
    def configuration(self) -> PolicyConfiguration:
        """The policy as it goes on record."""
        return PolicyConfiguration(self.engine, self.policy, self.labels)

    def decide(self, principal: Principal, chunks: Sequence[LabelledChunk]) -> Sequence[Ruling]:
        """Rule on all chunks in one decision."""
        cleared = self._cleared_for(principal)
        decision_id, policy = str(uuid.uuid4()), self.policy
        return [Ruling(chunk.label in cleared, decision_id, policy) for chunk in chunks]

    def _cleared_for(self, principal: Principal) -> frozenset[str]:
        by_role = (self.roles.get(role) for role in principal.roles)
        clearances = (self.anybody, self.principals.get(principal.id), *by_role)
        ranks = [self.labels.index(clearance) for clearance in clearances if clearance is not None]
        return frozenset(self.labels[: max(ranks, default=-1) + 1])


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """Asks a policy engine, once for all chunks of a search.

    `ask` gets the input of the decision:

        {"principal": {"id", "roles", "attributes"},
         "chunks": [{"id", "document_id", "label", "label_version", "metadata"}, ...]}

    and returns the decision as OPA's data API and its decision log word it: `result`, a list of the ids of the
    chunks that are allowed, or true or false for all of them; `decision_id`; and the revision of what decided, in
    `provenance.bundles` (OPA's answer to `?provenance=true`), in `bundles` (its decision log) or as `revision`.

    Attributes:
        ask: A function; for asynchronous searches it may be a coroutine function.
        engine: What it asks.
    """

    ask: Callable[[dict[str, Any]], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]
    engine: str = "opa"

    def decide(self, principal: Principal, chunks: Sequence[LabelledChunk]) -> Sequence[Ruling]:
        """Ask, and wait.

        Raises:
            TypeError: `ask` is a coroutine function.
            ValueError: What it returned is no decision.
        """
        asked, ids = _input(principal, chunks)
        answer = self.ask(asked)
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            raise TypeError(
                "the policy's `ask` is a coroutine function, which only asynchronous searches can call:"
                " give an EnginePolicy a plain function"
            )
        return _rulings(answer, ids)

    async def adecide(
        self, principal: Principal, chunks: Sequence[LabelledChunk]
    ) -> Sequence[Ruling]:
        """Ask without blocking the event loop; see `decide`."""
        import asyncio

        asked, ids = _input(principal, chunks)
        if inspect.iscoroutinefunction(self.ask):
            return _rulings(await self.ask(asked), ids)
        answer = await asyncio.to_thread(self.ask, asked)
        return _rulings(await answer if inspect.isawaitable(answer) else answer, ids)


def _input(
    principal: Principal, chunks: Sequence[LabelledChunk]
) -> tuple[dict[str, Any], Sequence[str]]:
    ids = list(_ids(chunks))
    described = [
        {
            "id": name,
            "document_id": chunk.document_id,
            "label": chunk.label,
            "label_version": chunk.label_version,
            "metadata": dict(chunk.metadata),
        }
        for name, chunk in zip(ids, chunks, strict=True)
    ]
    who = {
        "id": principal.id,
        "roles": list(principal.roles),
        "attributes": dict(principal.attributes),
    }
    return {"principal": who, "chunks": described}, ids


def _ids(chunks: Sequence[LabelledChunk]) -> Iterator[str]:
    """The chunks' ids, made unique: what is decided of one chunk must not count for another."""
    taken: dict[str, LabelledChunk] = {}
    for place, chunk in enumerate(chunks):
        name = chunk.chunk_id
        while taken.setdefault(name, chunk) != chunk:
            name = f"{name}#{place}"
        yield name


def _rulings(answer: object, ids: Sequence[str]) -> Sequence[Ruling]:
    if not isinstance(answer, Mapping):
        raise TypeError(f"a policy engine's decision is a mapping, not a {type(answer).__name__}")
    told = cast("Mapping[str, Any]", answer)
    decision_id, policy = told.get("decision_id"), _revision(told)
    if not isinstance(decision_id, str) or not decision_id:
        raise ValueError(
            "a policy engine's decision has no `decision_id`; OPA gives one when its decision log is on"
        )
    if policy is None:
        raise ValueError(
            "a policy engine's decision does not say which revision decided: ask OPA with"
            " ?provenance=true, or add `revision`"
        )
    allowed = _allowed(told.get("result"), ids)
    return [Ruling(name in allowed, decision_id, policy) for name in ids]


def _allowed(result: object, ids: Sequence[str]) -> frozenset[str]:
    if isinstance(result, bool):
        return frozenset(ids if result else ())
    if isinstance(result, list | tuple | set | frozenset):
        named = cast("Sequence[object]", result)
        return frozenset(name for name in named if isinstance(name, str))
    raise ValueError(
        "a policy engine's `result` is neither true, false nor a list of the chunks that are allowed"
        + (": it is not there, so the policy is undefined for this input" if result is None else "")
    )


def _revision(told: Mapping[str, Any]) -> str | None:
    """The revision of what decided; of several bundles, all."""
    given = told.get("revision")
    if isinstance(given, str) and given:
        return canonical_id(given)
    provenance: object = told.get("provenance")
    bundles: object = told.get("bundles")
    if bundles is None and isinstance(provenance, Mapping):
        bundles = cast("Mapping[str, object]", provenance).get("bundles")
    if not isinstance(bundles, Mapping):
        return None
    revisions = {
        str(name): cast("Mapping[str, object]", bundle).get("revision")
        for name, bundle in sorted(cast("Mapping[str, object]", bundles).items())
        if isinstance(bundle, Mapping)
    }
    known = [f"{name}@{revision}" for name, revision in revisions.items() if revision]
    return canonical_id(",".join(known)) if known and len(known) == len(revisions) else None
