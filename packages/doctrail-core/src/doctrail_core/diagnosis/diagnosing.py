"""From a trail to one verdict: whose fault the answer was, why, and what to change.

The verdict follows from where the right answer was last seen: in the prompt, among what was retrieved, in
the corpus, or nowhere. What cannot be told is `undetermined`, with what is missing to tell it.
"""

from dataclasses import replace

from doctrail_core.diagnosis.case import Case
from doctrail_core.diagnosis.probe import Probe
from doctrail_core.diagnosis.sayings import forget
from doctrail_core.diagnosis.told import told
from doctrail_core.diagnosis.untold import untold
from doctrail_core.grounding.verifier import Verifier
from doctrail_core.model import Diagnosis, Finding, Trail
from doctrail_core.text.identity import clean_text

__all__ = ["diagnose"]

_LONGEST = 4000
"""Characters of what was expected; it goes on record, and all that was found is compared with it."""


def diagnose(
    trail: Trail,
    *,
    expected: str | None = None,
    probe: Probe | None = None,
    verifier: Verifier | None = None,
    by: str | None = None,
) -> Diagnosis:
    """Say whose fault an answer was.

    Args:
        trail: The lineage of one response.
        expected: What the answer should have said: a value, a name, or a statement.
        probe: The live retriever, to look for what was not retrieved.
        verifier: Who checks the answer, where it was not checked yet; default the embedded one.
        by: Who asks, for the record.
    """
    wanted = clean_text(expected or "").strip()[:_LONGEST]
    case = Case(trail, wanted or None, probe, verifier)
    try:
        return replace(_diagnosed(case), by=by)
    finally:
        forget()


def _diagnosed(case: Case) -> Diagnosis:
    if found := _failed_search(case) or _unreadable(case):
        return found
    return told(case, case.expected) if case.expected else untold(case)


def _unreadable(case: Case) -> Diagnosis | None:
    chunks = case.evidence.retrieved.values()
    if chunks and all(chunk.text is None for chunk in chunks):
        return case.undetermined("the texts of the chunks: they were not kept")
    if case.trail.answer is None:
        error = f" ({case.trail.error})" if case.trail.error else ""
        return case.undetermined(f"the answer: none is on record{error}")
    return None


def _failed_search(case: Case) -> Diagnosis | None:
    failed = next((r for r in case.trail.retrievals if r.error), None)
    if failed is None or case.evidence.retrieved:
        return None
    text = f"The search by {failed.retriever} failed: {failed.error}"
    return case.conclude("retrieval", [Finding(code="search_failed", text=text)])
