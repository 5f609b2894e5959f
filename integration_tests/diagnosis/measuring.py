"""All cases run and diagnosed, and what came of it in tables for the documentation."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from diagnosis.cases import Case, cases
from diagnosis.hosts import Asked

from doctrail_core import Trail
from doctrail_core.diagnosis import diagnose
from doctrail_core.model import Diagnosis, Fault
from doctrail_core.testing import capture_trails

FAULTS: tuple[Fault, ...] = (
    "retrieval",
    "assembly",
    "generation",
    "corpus_gap",
    "stale_sources",
    "conflicting_sources",
    "wrong_source",
    "no_fault",
    "undetermined",
)


@dataclass(frozen=True)
class Outcome:
    """A case, the trail of its answer, and the diagnosis."""

    case: Case
    trail: Trail
    diagnosis: Diagnosis

    @property
    def right(self) -> bool:
        return self.diagnosis.fault == self.case.label


def outcomes() -> list[Outcome]:
    """Run every case in its framework, and diagnose the answer."""
    with capture_trails() as lineage:
        found = [_outcome(case, case.ask(lineage)) for case in cases()]
        assert lineage.errors == []
    return found


def _outcome(case: Case, asked: Asked) -> Outcome:
    probe = asked.probe if case.probed else None
    return Outcome(case, asked.trail, diagnose(asked.trail, expected=case.expected, probe=probe))


def as_made(found: Outcome) -> bool:
    """Whether the run went as its label says, by the contract's own words in what was found and read."""
    fact, trail = found.case.fact, found.trail
    prompt = _plain(m.text for g in trail.generations for m in g.messages)
    retrieved = _plain(chunk.text for chunk in trail.finds)
    right, other = _plain([fact.clause]), _plain([fact.altered])
    match found.case.label:
        case "retrieval" | "corpus_gap" | "undetermined":
            return right not in retrieved
        case "assembly":
            return right in retrieved and right not in prompt
        case "generation" | "no_fault":
            return right in prompt
        case "conflicting_sources":
            return right in prompt and other in prompt
        case "stale_sources" | "wrong_source":
            return other in prompt


def _plain(texts: Iterable[str | None]) -> str:
    return " ".join(" ".join(filter(None, texts)).split())


# -- tables ----------------------------------------------------------------------------------------


def tables(found: Sequence[Outcome]) -> str:
    """The confusion matrices of both halves, and what was missed."""
    halves = {
        "Contracts that the rules were developed on": [
            o for o in found if not o.case.fact.held_out
        ],
        "Contracts that were held out": [o for o in found if o.case.fact.held_out],
    }
    parts = [f"### {title}: {_share(half)}\n\n{_matrix(half)}" for title, half in halves.items()]
    told = [o for o in found if o.case.expected is not None]
    untold = [o for o in found if o.case.expected is None]
    parts.append(
        f"With `--expected` {_share(told)} are right, without {_share(untold)}; in LangChain"
        f" {_share(_of(found, 'langchain'))}, in LlamaIndex {_share(_of(found, 'llama_index'))}."
    )
    parts.append(f"### Way by way\n\n{_ways(found)}")
    return "\n\n".join(parts) + "\n"


def _of(found: Sequence[Outcome], host: str) -> list[Outcome]:
    return [outcome for outcome in found if outcome.case.host.name == host]


def _share(found: Sequence[Outcome]) -> str:
    return f"{sum(o.right for o in found)} of {len(found)}"


def _matrix(found: Sequence[Outcome]) -> str:
    counts = Counter((o.case.label, o.diagnosis.fault) for o in found)
    rows = [
        [f"**{label}**", *(str(counts[label, fault] or "") for fault in FAULTS)] for label in FAULTS
    ]
    return _table(["really", *FAULTS], rows)


def _ways(found: Sequence[Outcome]) -> str:
    by_way: dict[str, list[Outcome]] = {}
    for outcome in found:
        by_way.setdefault(outcome.case.way, []).append(outcome)
    return _table(
        ["way to go wrong", "really", "right", "taken for"],
        [[way, some[0].case.label, _share(some), _taken_for(some)] for way, some in by_way.items()],
    )


def _taken_for(found: Sequence[Outcome]) -> str:
    wrong = Counter(o.diagnosis.fault for o in found if not o.right)
    return ", ".join(f"{fault} ({number})" for fault, number in sorted(wrong.items()))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
