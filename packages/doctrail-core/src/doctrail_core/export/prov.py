"""One answer as W3C PROV: what it was made of, by which steps, on whose account.

Entities are what was read or written, activities what happened, agents who did it. Ids, hashes, scores and
character spans are always in it; texts only where they are asked for. An id from outside is percent-encoded in a name,
so that no id can be taken for another one or for a name of PROV's own.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from doctrail_core.export import ExportError
from doctrail_core.model import Assessment, Chunk, Context, Generation, Trail, Verdict
from doctrail_core.model.involvement import answering

if TYPE_CHECKING:
    from prov.identifier import QualifiedName
    from prov.model import ProvDocument

    _Facts = list[tuple[QualifiedName, "_Fact | QualifiedName"]]

__all__ = ["TERMS", "prov_document", "prov_json"]

TERMS = "urn:doctrail:terms:"
"""The namespace of the attributes that PROV has no name for."""

_Fact = str | int | float | bool | None


def prov_json(trail: Trail, *, texts: bool = False, user: str | None = None) -> str:
    """The PROV-JSON of one answer; see `prov_document`."""
    written = prov_document(trail, texts=texts, user=user).serialize(format="json")
    assert written is not None  # noqa: S101 - no destination was given, so it is returned
    return written


def prov_document(trail: Trail, *, texts: bool = False, user: str | None = None) -> "ProvDocument":
    """The provenance of one answer.

    Args:
        trail: The answer's trail.
        texts: Whether questions, chunks, prompts, answers and claims are quoted.
        user: What to call whoever asked: a pseudonym. Left out, no user is named.

    Raises:
        ExportError: The library is not installed.
    """
    try:
        from prov.model import ProvDocument
    except ImportError as error:
        raise ExportError(
            f"PROV needs the prov library: pip install 'doctrail-core[prov]' ({error})"
        ) from error
    return _Writing(ProvDocument(), trail, texts=texts, user=user).document()


class _Writing:
    """Writes one trail into one document."""

    def __init__(
        self, document: "ProvDocument", trail: Trail, *, texts: bool, user: str | None
    ) -> None:
        self._document = document
        self._trail = trail
        self._texts = texts
        self._user = user
        self._known: set[QualifiedName] = set()
        self._terms = document.add_namespace("doctrail", TERMS)
        self._documents = document.add_namespace("document", "urn:doctrail:document:")
        self._chunks = document.add_namespace("chunk", "urn:doctrail:chunk:")
        self._agents = document.add_namespace("agent", "urn:doctrail:agent:")
        own = f"urn:doctrail:response:{_encoded(trail.response_id)}:"
        self._own = document.add_namespace("response", own)

    def document(self) -> "ProvDocument":
        self._response()
        for chunk in self._known_chunks.values():
            self._chunk(chunk)
        self._turns()
        self._searches()
        for generation in self._trail.generations:
            self._generation(generation)
        for call in self._trail.tool_calls:
            self._activity(
                "tool", call.tool_run_id, call, name=call.name, arguments_hash=call.arguments_hash
            )
        for number, assessment in enumerate(self._trail.assessments):
            self._check(number, assessment)
        return self._document

    @cached_property
    def _known_chunks(self) -> Mapping[str, Chunk]:
        """Every chunk; one of which only a prompt or a verdict knows has an id and no more."""
        known = dict(self._trail.chunks)
        for arrival in (a for context in self._trail.contexts for a in context.arrivals):
            known.setdefault(arrival.chunk_id, Chunk(arrival.chunk_id, arrival.document_id, None))
        return known

    def _response(self) -> None:
        """The question, the answer, and the run that made the one of the other."""
        trail = self._trail
        run = self._activity(
            "run", "", trail, status=trail.status, turn=trail.turn, trace_id=trail.trace_id
        )
        question = self._entity("question", "", query_hash=trail.query_hash, text=trail.question)
        answer = self._entity("answer", "", text=trail.answer)
        self._document.used(run, question)
        self._document.wasGeneratedBy(answer, run)
        self._document.wasDerivedFrom(answer, question)
        if self._user is not None:
            asker = self._agent("user", self._user)
            self._document.wasAttributedTo(question, asker)
        if trail.service:
            self._document.wasAssociatedWith(run, self._agent("service", trail.service))

    def _chunk(self, chunk: Chunk) -> None:
        document = self._declared(
            self._documents[_encoded(chunk.document_id)],
            self._document.entity,
            self._facts("document", source=chunk.source, id_origin=chunk.document_id_origin),
        )
        piece = self._name_of(chunk.chunk_id)
        facts = self._facts(
            "chunk",
            content_hash=chunk.content_hash,
            index=chunk.index,
            version=chunk.version,
            id_origin=chunk.chunk_id_origin,
            grade=self._trail.chunk_grades.get(chunk.chunk_id),
            involvement=self._trail.involvements.get(chunk.chunk_id),
            text=chunk.text,
        )
        self._document.entity(piece, facts)
        self._document.wasDerivedFrom(piece, document)

    def _turns(self) -> None:
        """The answers of earlier turns whose sources this one still builds on."""
        earlier = dict.fromkeys(c.response_id for c in self._trail.carried if c.response_id)
        for number, response_id in enumerate(earlier):
            own = f"urn:doctrail:response:{_encoded(response_id)}:"
            answer = self._document.add_namespace(f"turn{number}", own)["answer"]
            self._document.entity(answer, self._facts("answer"))
            self._document.wasDerivedFrom(self._own["answer"], answer)

    def _searches(self) -> None:
        """What each search was asked, and what it read, with rank and score."""
        for search in self._trail.retrievals:
            activity = self._activity(
                "retrieval",
                search.retrieval_id,
                search,
                retriever=search.retriever,
                query_hash=search.query_hash,
                text=search.query,
                k=search.k,
                search_type=search.search_type,
                store=search.store,
            )
            self._document.used(activity, self._own["question"])
            for hit in search.hits:
                facts = self._facts(None, rank=hit.rank, score=hit.score, score_kind=hit.score_kind)
                self._document.used(
                    activity, self._name_of(hit.chunk.chunk_id), other_attributes=facts
                )

    def _generation(self, call: Generation) -> None:
        """A prompt that was assembled, and what a model made of it."""
        usage = call.usage
        activity = self._activity(
            "generation",
            call.generation_id,
            call,
            provider=call.provider,
            auxiliary=call.auxiliary or None,
            input_tokens=usage and usage.input_tokens,
            output_tokens=usage and usage.output_tokens,
            finish_reasons=" ".join(call.finish_reasons) or None,
        )
        prompt = self._prompt(call)
        output = self._entity("output", call.generation_id, text=call.output)
        self._document.used(activity, prompt)
        self._document.wasGeneratedBy(output, activity)
        self._document.wasDerivedFrom(output, prompt)
        if call.generation_id in self._answering:
            self._document.wasDerivedFrom(self._own["answer"], output)
        if call.model:
            self._model(activity, call.model)

    @cached_property
    def _answering(self) -> set[str]:
        return {call.generation_id for call in answering(self._trail)}

    def _model(self, activity: "QualifiedName", model: str) -> None:
        agent = self._agent("model", model)
        self._document.wasAssociatedWith(activity, agent)
        if self._trail.service:
            service = self._agent("service", self._trail.service)
            self._document.actedOnBehalfOf(agent, service, activity)

    def _prompt(self, call: Generation) -> "QualifiedName":
        text = "\n".join(m.text for m in call.messages if m.text) or None
        context = self._contexts.get(call.generation_id)
        prompt = self._entity(
            "prompt",
            call.generation_id,
            length=context and context.prompt_length,
            unexplained_length=context and context.unexplained_length,
            text=text,
        )
        assembly = self._own[f"assembly/{_encoded(call.generation_id)}"]
        self._document.activity(assembly, None, call.started_at, self._facts("assembly"))
        self._document.wasGeneratedBy(prompt, assembly)
        self._document.used(assembly, self._own["question"])
        if context is not None:
            self._arrivals(context, prompt, assembly)
        return prompt

    @cached_property
    def _contexts(self) -> Mapping[str, Context]:
        return {context.generation_id: context for context in self._trail.contexts}

    def _arrivals(
        self, context: Context, prompt: "QualifiedName", assembly: "QualifiedName"
    ) -> None:
        """Which chunks went into the prompt, and how much of each; those that did not arrive are left out."""
        for arrival in (a for a in context.arrivals if a.state != "absent"):
            chunk = self._name_of(arrival.chunk_id)
            facts = self._facts(
                None,
                state=arrival.state,
                coverage=arrival.coverage,
                share=arrival.share,
                order=arrival.order,
            )
            self._document.used(assembly, chunk)
            self._document.wasDerivedFrom(prompt, chunk, assembly, other_attributes=facts)

    def _check(self, number: int, assessment: Assessment) -> None:
        """A verifier read the answer's claims and the chunks that speak to them."""
        activity = self._activity(
            "check",
            str(number),
            assessment,
            status=assessment.status,
            risk=assessment.risk,
            answer_hash=assessment.answer_hash,
        )
        self._document.used(activity, self._own["answer"])
        verifier = self._agent("verifier", f"{assessment.verifier} {assessment.version}")
        self._document.wasAssociatedWith(activity, verifier)
        for place, verdict in enumerate(assessment.verdicts):
            self._verdict(f"{number}/{place}", verdict, activity)

    def _verdict(self, local: str, verdict: Verdict, activity: "QualifiedName") -> None:
        claim = self._entity(
            "claim",
            local,
            start=verdict.claim.start,
            end=verdict.claim.end,
            text=verdict.claim.text,
        )
        finding = self._entity(
            "verdict", local, verdict=verdict.verdict, score=verdict.score, reason=verdict.reason
        )
        self._document.wasQuotedFrom(claim, self._own["answer"])
        self._document.wasGeneratedBy(finding, activity)
        self._document.wasDerivedFrom(finding, claim, activity)
        for evidence in verdict.evidence:
            facts = self._facts(None, start=evidence.start, end=evidence.end)
            chunk = self._name_of(evidence.chunk_id)
            self._document.wasDerivedFrom(finding, chunk, activity, other_attributes=facts)

    def _entity(self, kind: str, local: str, **facts: _Fact) -> "QualifiedName":
        name = self._local(kind, local)
        self._document.entity(name, self._facts(kind, **facts))
        return name

    def _activity(self, kind: str, local: str, run: "_Timed", **facts: _Fact) -> "QualifiedName":
        name = self._local(kind, local)
        failed = True if getattr(run, "error", None) is not None else None
        told = self._facts(kind, failed=failed, **facts)
        self._document.activity(name, run.started_at, run.ended_at, told)
        return name

    def _agent(self, kind: str, called: str) -> "QualifiedName":
        """Who did it: a person for a user, software for all else."""
        from prov.constants import PROV_TYPE
        from prov.model import PROV

        sort = PROV["Person"] if kind == "user" else PROV["SoftwareAgent"]
        name = self._agents[f"{kind}/{_encoded(called)}"]
        facts = [(PROV_TYPE, sort), *self._facts(kind, name=called)]
        return self._declared(name, self._document.agent, facts)

    def _declared(
        self,
        name: "QualifiedName",
        declare: "Callable[[QualifiedName, _Facts], object]",
        facts: "_Facts",
    ) -> "QualifiedName":
        """The name, after it was declared once however often it is met."""
        if name not in self._known:
            self._known.add(name)
            declare(name, facts)
        return name

    def _local(self, kind: str, local: str) -> "QualifiedName":
        return self._own[f"{kind}/{_encoded(local)}" if local else kind]

    def _name_of(self, chunk_id: str) -> "QualifiedName":
        return self._chunks[_encoded(chunk_id)]

    def _facts(self, kind: str | None, **facts: _Fact) -> "_Facts":
        """What is known, by our own terms; without texts unless they were asked for."""
        from prov.constants import PROV_TYPE

        sort: _Facts = [] if kind is None else [(PROV_TYPE, self._terms[kind])]
        return sort + [
            (self._terms[name], value)
            for name, value in facts.items()
            if _told(value) and (self._texts or name != "text")
        ]


class _Timed(Protocol):
    @property
    def started_at(self) -> datetime: ...
    @property
    def ended_at(self) -> datetime | None: ...


def _told(value: _Fact) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def _encoded(name: str) -> str:
    """One segment of a URN, whatever the name holds; another name is another segment."""
    return quote(name, safe="", errors="surrogatepass")
