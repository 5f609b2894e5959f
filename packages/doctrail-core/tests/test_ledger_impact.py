"""Which answers may hold something of a document: also by a detour, a page at a time, and as brute force finds it."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.record import ChunkFact, EventRecord, LedgerRecord, encode
from doctrail_core.ledger.sqlite import LedgerWriter

BEGIN = datetime(2026, 1, 31, 23, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def fact(document, chunk="0", *, text=None, grade="in_prompt", **more):
    digest = f"sha256:{text or f'{document}#{chunk}'}"
    return ChunkFact(
        chunk_id=f"{document}#{chunk}",
        content_hash=digest,
        document_id=document,
        grade=grade,
        **more,
    )


def answer(response_id, *facts, hour=0, kind="answered", **more):
    return LedgerRecord(
        chunks=facts,
        counter=0,
        document_ids=tuple(dict.fromkeys(each.document_id for each in facts)),
        kind=kind,
        query_hash="hmac-sha256:00",
        response_id=response_id,
        status="ok",
        timestamp=(BEGIN + hour * HOUR).isoformat(timespec="microseconds"),
        writer="w",
        **more,
    )


def event(name, body, response_id=None, hour=0):
    when = (BEGIN + hour * HOUR).isoformat(timespec="microseconds")
    return EventRecord(
        body=body, counter=0, event=name, response_id=response_id, timestamp=when, writer="w"
    )


@pytest.fixture
def kept(home):
    """Put records on the ledger, as many at a time as are given together."""
    home.ensure("ledger")

    def keep(*batches):
        with closing(LedgerWriter(home)) as writer:
            for batch in batches:
                records = batch if isinstance(batch, list) else [batch]
                numbered = [replace(each, counter=n) for n, each in enumerate(records)]
                writer.commit([encode(each) for each in numbered], {}, ())

    return keep


@pytest.fixture
def affected(home):
    def ask(**query):
        with open_ledger(home, drain=False) as ledger:
            return list(ledger.affected(Query(**query)))

    return ask


# --- detours


def test_what_was_made_from_a_document_counts_by_whatever_many_steps(kept, affected):
    kept(
        [event("derived", {"document": "summary", "from": ["policy", "annex"]})],
        [event("derived", {"document": "digest", "from": ["summary"]})],
        [answer("r1", fact("policy")), answer("r2", fact("summary")), answer("r3", fact("digest"))],
    )
    found = [
        (hit.response_id, hit.document_id, hit.derived_from)
        for hit in affected(document_id="policy")
    ]
    assert found == [
        ("r1", "policy", None),
        ("r2", "summary", "policy"),
        ("r3", "digest", "summary"),
    ]
    assert [hit.response_id for hit in affected(document_id="annex")] == ["r2", "r3"]
    assert [hit.response_id for hit in affected(document_id="policy", closure=False)] == ["r1"]


def test_documents_made_from_each_other_end_nowhere_and_yet_end(kept, affected):
    kept(
        [
            event("derived", {"document": "a", "from": ["b"]}),
            event("derived", {"document": "b", "from": ["a"]}),
            event("derived", {"document": "a", "from": ["a"]}),
            answer("r1", fact("a")),
        ]
    )
    assert [(h.response_id, h.derived_from) for h in affected(document_id="b")] == [("r1", "b")]


def test_an_answer_that_was_given_again_counts_at_the_time_when_it_was(kept, affected):
    kept(
        [answer("r1", fact("policy"))],
        [answer("r2", hour=100), event("reused", {"of": "r1"}, "r2", hour=100)],
        [answer("r3", hour=2000), event("reused", {"of": "r2"}, "r3", hour=2000)],
    )
    found = [(h.response_id, h.how, h.through) for h in affected(document_id="policy")]
    assert found == [
        ("r1", "in_prompt", None),
        ("r2", "via_cache", "r1"),
        ("r3", "via_cache", "r2"),
    ]
    late = affected(document_id="policy", since=BEGIN + 1999 * HOUR)
    assert [(h.response_id, h.involvement, h.document_id) for h in late] == [
        ("r3", "indirect", "policy")
    ]
    assert [h.response_id for h in affected(document_id="policy", closure=False)] == ["r1"]


def test_how_a_document_came_into_a_response_is_told(kept, affected):
    kept(
        [
            answer("read", fact("d")),
            answer("found", fact("d", grade="retrieved")),
            answer("earlier turn", fact("d", involvement="indirect", carried=True)),
            answer("sub-agent", fact("d", involvement="indirect")),
            answer("both", fact("d", involvement="indirect", carried=True), fact("d", "1")),
        ]
    )
    assert {hit.response_id: hit.how for hit in affected(document_id="d")} == {
        "read": "in_prompt",
        "found": "retrieved_only",
        "earlier turn": "via_history",
        "sub-agent": "via_agent",
        "both": "in_prompt",
    }


def test_a_corpus_that_came_again_under_other_ids_is_found_by_its_texts(kept, affected):
    kept(
        [answer("before", fact("old", "0", text="same"), fact("old", "1", text="gone"))],
        [answer("after", fact("new", "7", text="same"))],
        [answer("other", fact("new", "8", text="another"))],
        [
            answer(
                "both",
                fact("new", "7", text="same", grade="retrieved"),
                fact("new", "8", text="another"),
            )
        ],
    )
    found = [(h.response_id, h.same_text_as, h.grade) for h in affected(document_id="old")]
    assert found == [
        ("before", None, "in_prompt"),
        ("after", "old", "in_prompt"),
        ("both", "old", "retrieved"),  # what else it had of the new document does not count
    ]
    strong = affected(document_id="old", grade="in_prompt")
    assert [h.response_id for h in strong] == ["before", "after"]


# --- by what is known of a document


def test_a_chunk_a_source_and_a_version_can_be_asked_for(kept, affected):
    kept(
        [
            answer("r1", fact("d", "0", version="v1", source="s3://x/d.pdf")),
            answer("r2", fact("d", "0", version="v2", source="s3://x/d.pdf"), fact("d", "1")),
            answer("r3", fact("e", "0", version="v1")),
            answer("r4", fact("s3://x/d.pdf")),
        ]
    )

    def ids(**query):
        return [hit.response_id for hit in affected(closure=False, **query)]

    assert ids(chunk_id="d#1") == ["r2"]
    assert ids(version="v1") == ["r1", "r3"]
    assert ids(document_id="d", version="v1") == ["r1"]
    assert ids(source="s3://x/d.pdf") == ["r4", "r1", "r2"]
    assert ids(chunk_id="d") == ids(version="v") == ids(source="s3://x/") == []


# --- pages


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),  # document
            st.integers(0, 3),  # text
            st.integers(-1, 6),  # the answer that it gives again
            st.integers(0, 3000),  # hour
        ),
        max_size=14,
    ),
    st.integers(1, 4),
    st.integers(0, 1500),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_put_together_are_the_whole_list(tmp_path_factory, answers, size, since):
    home = Home(tmp_path_factory.mktemp("home"))
    home.ensure("ledger")
    records = [event("derived", {"document": "d1", "from": ["d0"]})]
    for number, (document, text, again, hour) in enumerate(answers):
        records.append(answer(f"r{number}", fact(f"d{document}", text=f"t{text}"), hour=hour))
        if 0 <= again < number:
            records.append(event("reused", {"of": f"r{again}"}, f"r{number}", hour))
    with closing(LedgerWriter(home)) as writer:
        for record in records:
            writer.commit([encode(record)], {}, ())
    asked = Query(document_id="d0", since=BEGIN + since * HOUR)
    with open_ledger(home, drain=False) as ledger:
        whole = list(ledger.affected(asked))
        paged = []
        query = asked
        while page := list(islice(ledger.affected(query), size)):
            paged += page
            query = replace(asked, after=page[-1].cursor)
    assert paged == whole
    assert {hit.response_id for hit in whole} == _brute_force(answers, since)


def _brute_force(answers, since):
    """Those that had d0, what was made from it, or a text of either, and those that gave such an answer again."""
    ever = {text for document, text, _, _ in answers if document in (0, 1)}
    if not any(document in (0, 1) for document, *_ in answers):
        ever = set()
    had = {
        number
        for number, (document, text, _, _) in enumerate(answers)
        if document in (0, 1) or text in ever
    }
    for number, (_, _, again, _) in enumerate(answers):
        if 0 <= again < number and again in had:
            had.add(number)
    return {f"r{number}" for number in had if answers[number][3] >= since}


def test_a_cursor_that_is_none_is_refused(kept, affected):
    kept(answer("r1", fact("d")))
    with pytest.raises(ValueError, match="'nonsense' is not where a list of answers left off"):
        affected(document_id="d", after="nonsense")


# --- months and order


def test_links_of_every_month_are_found(kept, affected):
    hours = [0, 2, 24 * 40, 24 * 300]
    kept([answer(f"r{hour}", fact("d"), hour=hour) for hour in hours])
    assert [hit.response_id for hit in affected(document_id="d")] == [f"r{h}" for h in hours]
    ends = BEGIN + 3 * HOUR
    assert [hit.response_id for hit in affected(document_id="d", until=ends)] == ["r0", "r2"]
    assert [hit.response_id for hit in affected(document_id="d", since=ends)] == ["r960", "r7200"]


def test_a_clock_that_went_back_hides_nothing(kept, affected):
    kept(answer("late", fact("d"), hour=2000), answer("early", fact("d"), hour=1))
    ends = BEGIN + 5 * HOUR
    assert [hit.response_id for hit in affected(document_id="d", until=ends)] == ["early"]
    assert [hit.response_id for hit in affected(document_id="d", since=ends)] == ["late"]


# --- names


def test_no_name_from_outside_lies_open_in_the_ledger(home, kept, affected):
    kept(
        [
            answer(
                "planted-response",
                fact("planted-document", source="planted-source"),
                session_id="planted-session",
                user_id="planted-user",
            ),
            event("derived", {"document": "planted-summary", "from": ["planted-document"]}),
        ]
    )
    for file in home.path.glob("*.db*"):
        assert b"planted" not in file.read_bytes(), file
    (hit,) = affected(document_id="planted-document")
    assert (hit.response_id, hit.session_id, hit.user_id) == (
        *("planted-response", "planted-session", "planted-user"),
    )


def test_without_the_key_store_the_log_can_be_read_and_names_nobody(home, kept):
    response_id = "0198a6b2-93ac-7cc1-a0fc-3ad9f8ba8a7e"
    kept(answer(response_id, fact("d"), user_id="anna"))
    for file in home.path.glob("keys.db*"):
        file.unlink()
    with open_ledger(home, drain=False) as ledger:
        (hit,) = ledger.responses_with("d")
        (entry,) = ledger.entries_of(response_id)
        assert ledger.documents_of(entry) == [hit.document_id]
    assert (hit.response_id, hit.user_id) == (response_id, None)
    assert hit.document_id.startswith("erased:")
