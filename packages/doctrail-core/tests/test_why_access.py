"""What `why` says of decisions on access, of documents that were made from others, and of cached answers."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.model import (
    AccessDecision,
    Chunk,
    ChunkAccess,
    Derivation,
    Hit,
    Retrieval,
    Trail,
)
from doctrail_core.model.printable import printable

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DECISION = AccessDecision(
    engine="opa",
    principal="ada",
    point="VectorStoreRetriever",
    chunks=(
        ChunkAccess("h1", "handbook", allowed=True, label="internal", label_version="v3"),
        ChunkAccess("m1", "merger", allowed=False, label="secret", label_version="v1"),
        ChunkAccess("n1", "note", allowed=False),
    ),
    decision_id="4ca636c1",
    policy="authz@r7",
)
SEARCH = Retrieval(
    retrieval_id="r1",
    retriever="VectorStoreRetriever",
    query="When?",
    query_hash="h",
    hits=(Hit(Chunk("h1", "handbook", "sha256:00", "In March."), 0, 0.9, "similarity"),),
    started_at=NOON,
    ended_at=NOON,
    access=(DECISION,),
)
TRAIL = Trail("response-1", "ok", NOON, NOON, "h", question="When?", retrievals=(SEARCH,))


def lines(trail: Trail) -> list[str]:
    return [line.strip() for line in trail.why().splitlines()]


def test_it_says_to_whom_what_was_released_and_what_was_withheld():
    said = " ".join(lines(TRAIL))
    assert "1 of 3 chunks released to ada by opa, policy authz@r7, decision 4ca636c1" in said
    assert "withheld: merger m1 (secret v1), note n1 (no label)" in said


def test_a_search_of_which_nothing_was_released_found_something_all_the_same():
    nothing = replace(DECISION, chunks=DECISION.denied)
    said = lines(replace(TRAIL, retrievals=(replace(SEARCH, hits=(), access=(nothing,)),)))
    assert "released nothing" in said
    assert "found nothing" not in said


def test_it_says_why_there_was_no_decision():
    failed = replace(DECISION, error="TimeoutError: no answer", policy=None, decision_id=None)
    said = lines(replace(TRAIL, retrievals=(replace(SEARCH, hits=(), access=(failed,)),)))
    assert "access: nothing released to ada: TimeoutError: no answer" in said


def test_a_withheld_document_is_not_behind_the_answer():
    assert [document.document_id for document in TRAIL.documents] == ["handbook"]
    assert TRAIL.chunk_grades == {"h1": "retrieved"}


def test_it_says_what_a_document_was_made_from():
    made = replace(TRAIL, derivations=(Derivation("handbook", ("memo", "minutes")),))
    assert "handbook was made from memo, minutes" in lines(made)


def test_it_says_whose_answer_a_cache_gave():
    cached = replace(TRAIL, retrievals=(), reused=("response-0",), answer="In March.")
    said = " ".join(lines(cached))
    assert "whatever response response-0 came from, whose answer a cache gave again" in said
    assert "A cache gave the answer of an earlier response." in said
    assert "no search was recorded" not in said


hostile = st.text(max_size=300) | st.just("\x1b[31mred\x1b[0m \u202eback \x07\r\n")


@given(hostile, hostile, hostile, st.booleans())
def test_nothing_of_it_is_obeyed_by_a_terminal(first, second, third, failed):
    decision = AccessDecision(
        engine=first,
        principal=second,
        point=third,
        chunks=(ChunkAccess(first, second, allowed=False, label=third, label_version=first),),
        decision_id=second,
        policy=third,
        error=first if failed else None,
    )
    trail = replace(
        TRAIL,
        retrievals=(replace(SEARCH, access=(decision,)),),
        derivations=(Derivation(first, (second, third)),),
        reused=(third,),
    )
    said = trail.why()
    assert all(printable(line) == line for line in said.splitlines())
