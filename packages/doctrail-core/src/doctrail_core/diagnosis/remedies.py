"""What to change, per fault: one sentence, as exact as what is on record allows."""

from collections.abc import Sequence

from doctrail_core.model import Fault, Finding

__all__ = ["remedy"]

_BY_CODE = {
    "search_failed": "Mend the search: it failed, and the answer was made without it.",
    "k_too_small": "Retrieve more chunks (k = {rank} or more), or rerank a deeper search.",
    "found_now": "See what changed since: {document} was added or indexed anew, the search is another one, or"
    " equal scores come in any order. Ask again, and check the answer.",
    "filtered_out": "Change the search's filter, or the metadata of {document}.",
    "not_found_by_question": "Make the index find it by the words that people use: hybrid search, another"
    " embedding, smaller chunks, or the missing words in {document}.",
    "truncated": "Give the context more room, fewer chunks, or the best chunk the first place.",
    "deduplicated": "Deduplicate by text, so that different passages of one document stay.",
    "filtered": "Loosen the step that dropped {chunk}, or have it see the whole chunk.",
    "rewritten": "Have the step that rewrites chunks keep what the question asks for, or give it more room.",
    "not_observed": "Look at what happens between the search and the prompt: {chunk} got lost there, and no"
    " step on record did it.",
    "contradicts": "The search and the prompt were right. Have the model quote before it answers, try"
    " another model, and keep this question as a test.",
    "ignores": "The search and the prompt were right. Put fewer chunks, or the best one first, before the"
    " model, and keep this question as a test.",
    "baseless": "Tell the model to say when the context does not have it, and block answers of such risk.",
    "citation": "Show the ids of the chunks in the prompt, and refuse answers that cite others.",
    "conflicts": "Decide which of {document} and {other} holds, and take the other out of the index.",
    "newer_version": "Take the older version ({other}) out of the index, or search only the newest.",
    "follows_source": "Correct {document}; `doctrail affected --document {document}` lists all answers that had it.",
    "not_in_corpus": "Add a document that says it, or have the assistant say that it does not know.",
}
_BY_FAULT: dict[Fault, str] = {
    "no_fault": "Nothing needs to change.",
    "undetermined": "Diagnose it again with what is missing.",
}


def remedy(fault: Fault, findings: Sequence[Finding]) -> str:
    """The fix that follows from the finding that decided."""
    if fault in _BY_FAULT:
        return _BY_FAULT[fault]
    known = [finding for finding in findings if _key(finding) in _BY_CODE]
    if not known:
        return _BY_FAULT["undetermined"]
    last = known[-1]
    others = (
        f.document_id for f in findings if f.document_id and f.document_id != last.document_id
    )
    return _BY_CODE[_key(last)].format(
        rank=(last.rank or 0) + 1,
        chunk=last.evidence.chunk_id if last.evidence else "a chunk",
        document=last.document_id or "the document",
        other=next(others, "the other document"),
    )


def _key(finding: Finding) -> str:
    return "citation" if finding.code.startswith("citation_") else finding.code
