"""What every store of the ledger has to do, as a pytest class. Needs pytest and hypothesis.

Whoever writes a store derives a test class from this one, with a fixture `new_home` that returns a function: it makes
a home whose ledger is in the store, and which has nothing in it yet.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctrail_core.durable.errors import NothingRecordedError, StoreError
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.gone import Gone
from doctrail_core.ledger.impact import ImpactHit, Query
from doctrail_core.ledger.place import LedgerPlace
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.record import ChunkFact, EventRecord, LedgerRecord, Record, encode
from doctrail_core.ledger.store import LATEST
from doctrail_core.ledger.tree import (
    TILE_WIDTH,
    Tile,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from doctrail_core.model import GRADES, EntryKind, Grade

__all__ = ["BEGIN", "HOUR", "LedgerStoreConformance", "answer", "event", "fact", "keep"]

BEGIN = datetime(2026, 1, 31, 23, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

NewHome = Callable[[], Home]


def fact(
    document: str,
    chunk: str = "0",
    *,
    text: str | None = None,
    grade: Grade = "in_prompt",
    **more: Any,
) -> ChunkFact:
    """That a response had a chunk of a document."""
    return ChunkFact(
        chunk_id=f"{document}#{chunk}",
        content_hash=f"sha256:{text or f'{document}#{chunk}'}",
        document_id=document,
        grade=grade,
        **more,
    )


def answer(
    response_id: str,
    *facts: ChunkFact,
    hour: float = 0,
    kind: EntryKind = "answered",
    **more: Any,
) -> LedgerRecord:
    """A response on record, `hour` hours after `BEGIN`."""
    said: dict[str, Any] = {"query_hash": "hmac-sha256:00", "status": "ok", "writer": "w"}
    return LedgerRecord(
        chunks=facts,
        counter=0,
        document_ids=tuple(dict.fromkeys(each.document_id for each in facts)),
        kind=kind,
        response_id=response_id,
        timestamp=(BEGIN + hour * HOUR).isoformat(timespec="microseconds"),
        **(said | more),
    )


def event(
    name: str, body: dict[str, Any], response_id: str | None = None, hour: float = 0
) -> EventRecord:
    """Something that happened, likewise."""
    when = (BEGIN + hour * HOUR).isoformat(timespec="microseconds")
    return EventRecord(
        body=body, counter=0, event=name, response_id=response_id, timestamp=when, writer="w"
    )


def keep(home: Home, *batches: Sequence[Record]) -> None:
    """Put records on the ledger of a home, as many at a time as are given together."""
    home.ensure("ledger")
    with closing(LedgerPlace(home).open()) as writer:
        for batch in batches:
            numbered = (replace(each, counter=number) for number, each in enumerate(batch))
            writer.commit([encode(each) for each in numbered], {}, ())


@dataclass(frozen=True)
class Kept:
    """A home's ledger under test."""

    home: Home

    def __call__(self, *batches: Sequence[Record]) -> None:
        """Put records on it."""
        keep(self.home, *batches)

    def reader(self) -> LedgerReader:
        return open_ledger(self.home, drain=False)

    def affected(self, document_id: str | None = None, **query: Any) -> list[ImpactHit]:
        with self.reader() as ledger:
            return list(ledger.affected(Query(document_id=document_id, **query)))

    def ids(self, document_id: str | None = None, **query: Any) -> list[str]:
        return [hit.response_id for hit in self.affected(document_id, closure=False, **query)]


class LedgerStoreConformance:
    """Derive a test class from this one and give it a fixture `new_home`."""

    @pytest.fixture
    def kept(self, new_home: NewHome) -> Kept:
        """Puts records on a ledger and asks it."""
        return Kept(new_home())

    # --- what was said, and of what

    def test_a_response_is_found_by_its_document_as_soon_as_it_is_committed(
        self, kept: Kept
    ) -> None:
        """With all that is known of it."""
        trace = "0af7651916cd43dd8448eb211c80319c"
        kept([answer("r1", fact("d"), user_id="u", session_id="s", trace_id=trace)])
        (hit,) = kept.affected("d")
        assert (hit.response_id, hit.document_id, hit.grade, hit.status, hit.complete) == (
            *("r1", "d", "in_prompt", "ok", True),
        )
        assert (hit.session_id, hit.user_id, hit.trace_id, hit.time) == ("s", "u", trace, BEGIN)

    def test_ids_are_matched_as_wholes(self, kept: Kept) -> None:
        """No beginning, no pattern, no other case of letters."""
        documents = ["doc_4", "doc_42", "doc_4 ", "DOC_4", "doc_", "doc%", "ドキュメント", "'; --"]
        kept([answer(f"of {document}", fact(document)) for document in documents])
        for document in documents:
            assert kept.ids(document) == [f"of {document}"]
        assert kept.ids("doc") == []

    def test_a_range_has_its_beginning_and_not_its_end(self, kept: Kept) -> None:
        """A time without a zone means UTC."""
        kept([answer(f"r{hour}", fact("d"), hour=hour) for hour in range(5)])
        assert kept.ids("d", since=BEGIN + HOUR, until=BEGIN + 3 * HOUR) == ["r1", "r2"]
        assert kept.ids("d", since=BEGIN + 4 * HOUR) == ["r4"]
        assert kept.ids("d", until=BEGIN) == []
        assert kept.ids("d", since=(BEGIN + 4 * HOUR).replace(tzinfo=None)) == ["r4"]

    def test_links_of_every_month_are_found(self, kept: Kept) -> None:
        """Also of years that no clock should show."""
        hours = [0, 2, 24 * 40, 24 * 300, 24 * 365 * 900, 24 * 3]
        kept([answer(f"r{hour}", fact("d"), hour=hour) for hour in hours])
        ends = BEGIN + 3 * HOUR
        assert kept.ids("d", until=ends) == ["r0", "r2"]
        assert sorted(kept.ids("d", since=ends)) == sorted(f"r{hour}" for hour in hours[2:])

    def test_a_clock_that_went_back_hides_nothing(self, kept: Kept) -> None:
        """What was said first may say that it was later."""
        kept([answer("late", fact("d"), hour=2000)], [answer("early", fact("d"), hour=1)])
        ends = BEGIN + 5 * HOUR
        assert kept.ids("d", until=ends) == ["early"]
        assert kept.ids("d", since=ends) == ["late"]

    def test_a_response_that_never_ended_is_reported_as_such(self, kept: Kept) -> None:
        """It was retrieved, and nothing more is known."""
        early = fact("d", grade="retrieved")
        kept([answer("r1", early, kind="retrieved", status="interrupted")])
        (hit,) = kept.affected("d")
        assert (hit.grade, hit.status, hit.complete) == ("retrieved", "interrupted", False)

    @pytest.mark.parametrize("apart", [True, False], ids=["apart", "together"])
    def test_the_answered_entry_supersedes_what_the_retrieved_entry_knew(
        self, kept: Kept, *, apart: bool
    ) -> None:
        """Whether they come in one batch or not; the time stays that of the first."""
        early = answer("r1", fact("d", grade="retrieved"), kind="retrieved", status="interrupted")
        late = answer("r1", fact("d"), fact("e"), hour=1, session_id="s")
        kept(*([early], [late]) if apart else ([early, late],))
        (hit,) = kept.affected("d")
        assert (hit.grade, hit.status, hit.complete) == ("in_prompt", "ok", True)
        assert (hit.session_id, hit.time) == ("s", BEGIN)
        assert kept.ids("e") == ["r1"]
        with kept.reader() as ledger:
            kinds = [entry.kind for entry in ledger.entries_of("r1")]
        assert kinds == (["retrieved", "answered"] if apart else ["answered"])

    def test_a_retrieved_entry_that_comes_late_changes_no_grade(self, kept: Kept) -> None:
        """The answered one knew more."""
        kept(
            [answer("r1", fact("d"))],
            [answer("r1", fact("d", grade="retrieved"), kind="retrieved")],
        )
        (hit,) = kept.affected("d")
        assert (hit.grade, hit.status, hit.complete) == ("in_prompt", "ok", True)

    def test_only_grades_as_strong_as_asked_for_are_reported(self, kept: Kept) -> None:
        """Each grade finds itself and those above."""
        kept([answer(grade, fact("d", grade=grade)) for grade in GRADES])
        for rank, grade in enumerate(GRADES):
            assert kept.ids("d", grade=grade) == list(GRADES[: rank + 1])

    def test_hits_are_read_as_they_are_asked_for(self, kept: Kept) -> None:
        """Two lists at once, ended in any order, with other questions between."""
        kept([answer(f"r{number:02d}", fact("d"), hour=number) for number in range(50)])
        with kept.reader() as ledger:
            one, other = ledger.responses_with("d"), ledger.responses_with("d")
            assert [next(one).response_id, next(other).response_id] == ["r00", "r00"]
            assert len(ledger.entries_of("r07")) == 1
            assert [next(one).response_id, next(other).response_id] == ["r01", "r01"]
            one.close()
            assert next(other).response_id == "r02"
            other.close()
            assert ledger.head() == ledger.entries_of("r49")[0]

    # --- detours

    def test_what_was_made_from_a_document_counts_by_whatever_many_steps(self, kept: Kept) -> None:
        """Also from several."""
        kept(
            [event("derived", {"document": "summary", "from": ["policy", "annex"]})],
            [event("derived", {"document": "digest", "from": ["summary"]})],
            [answer("r1", fact("policy")), answer("r2", fact("summary"))],
            [answer("r3", fact("digest"))],
        )
        found = [(h.response_id, h.document_id, h.derived_from) for h in kept.affected("policy")]
        assert found == [
            ("r1", "policy", None),
            ("r2", "summary", "policy"),
            ("r3", "digest", "summary"),
        ]
        assert [hit.response_id for hit in kept.affected("annex")] == ["r2", "r3"]
        assert kept.ids("policy") == ["r1"]

    def test_documents_made_from_each_other_end_nowhere_and_yet_end(self, kept: Kept) -> None:
        """Nor is a document made from itself."""
        pairs = [("a", "b"), ("b", "a"), ("a", "a")]
        made = [event("derived", {"document": one, "from": [other]}) for one, other in pairs]
        kept([*made, answer("r1", fact("a"))])
        assert [(h.response_id, h.derived_from) for h in kept.affected("b")] == [("r1", "b")]

    def test_an_answer_that_was_given_again_counts_at_the_time_when_it_was(
        self, kept: Kept
    ) -> None:
        """However long after."""
        kept(
            [answer("r1", fact("policy"))],
            [answer("r2", hour=100), event("reused", {"of": "r1"}, "r2", hour=100)],
            [answer("r3", hour=2000), event("reused", {"of": "r2"}, "r3", hour=2000)],
        )
        found = [(hit.response_id, hit.how, hit.through) for hit in kept.affected("policy")]
        assert found == [
            ("r1", "in_prompt", None),
            ("r2", "via_cache", "r1"),
            ("r3", "via_cache", "r2"),
        ]
        late = kept.affected("policy", since=BEGIN + 1999 * HOUR)
        assert [(h.response_id, h.involvement, h.document_id) for h in late] == [
            ("r3", "indirect", "policy")
        ]
        assert kept.ids("policy") == ["r1"]

    def test_how_a_document_came_into_a_response_is_told(self, kept: Kept) -> None:
        """By the ways that there are."""
        kept(
            [
                answer("read", fact("d")),
                answer("found", fact("d", grade="retrieved")),
                answer("earlier turn", fact("d", involvement="indirect", carried=True)),
                answer("sub-agent", fact("d", involvement="indirect")),
                answer("both", fact("d", involvement="indirect", carried=True), fact("d", "1")),
            ]
        )
        assert {hit.response_id: hit.how for hit in kept.affected("d")} == {
            "read": "in_prompt",
            "found": "retrieved_only",
            "earlier turn": "via_history",
            "sub-agent": "via_agent",
            "both": "in_prompt",
        }

    def test_a_corpus_that_came_again_under_other_ids_is_found_by_its_texts(
        self, kept: Kept
    ) -> None:
        """What else a response had of the new document does not count."""
        again = fact("new", "7", text="same", grade="retrieved")
        kept(
            [answer("before", fact("old", "0", text="same"), fact("old", "1", text="gone"))],
            [answer("after", fact("new", "7", text="same"))],
            [answer("other", fact("new", "8", text="another"))],
            [answer("both", again, fact("new", "8", text="another"))],
        )
        found = [(h.response_id, h.same_text_as, h.grade) for h in kept.affected("old")]
        assert found == [
            ("before", None, "in_prompt"),
            ("after", "old", "in_prompt"),
            ("both", "old", "retrieved"),
        ]
        strong = kept.affected("old", grade="in_prompt")
        assert [hit.response_id for hit in strong] == ["before", "after"]

    def test_a_chunk_a_source_and_a_version_can_be_asked_for(self, kept: Kept) -> None:
        """Each as a whole."""
        kept(
            [
                answer("r1", fact("d", "0", version="v1", source="s3://x/d.pdf")),
                answer("r2", fact("d", "0", version="v2", source="s3://x/d.pdf"), fact("d", "1")),
                answer("r3", fact("e", "0", version="v1")),
                answer("r4", fact("s3://x/d.pdf")),
            ]
        )
        assert kept.ids(chunk_id="d#1") == ["r2"]
        assert kept.ids(version="v1") == ["r1", "r3"]
        assert kept.ids("d", version="v1") == ["r1"]
        assert kept.ids(source="s3://x/d.pdf") == ["r4", "r1", "r2"]
        assert kept.ids(chunk_id="d") == kept.ids(version="v") == kept.ids(source="s3://x/") == []

    def test_the_impact_answer_is_that_of_brute_force(self, new_home: NewHome) -> None:
        """Also a page at a time, through all detours, whatever was committed together."""
        answers = st.lists(
            st.tuples(
                st.integers(0, 4),  # document
                st.integers(0, 3),  # text
                st.integers(-1, 6),  # the answer that it gives again
                st.integers(0, 3000),  # hour
                st.booleans(),  # whether it was on record before the model was called
            ),
            max_size=10,
        )

        @settings(max_examples=25, deadline=None)
        @given(answers, st.integers(1, 4), st.integers(0, 1500), st.integers(1, 5))
        def check(answers: "list[_Answer]", size: int, since: int, together: int) -> None:
            records = list(_records(answers))
            home = new_home()
            keep(home, *_batches(records, together))
            asked = Query(document_id="d0", since=BEGIN + since * HOUR)
            with open_ledger(home, drain=False) as ledger:
                whole = list(ledger.affected(asked))
                paged: list[ImpactHit] = []
                query = asked
                while page := list(islice(ledger.affected(query), size)):
                    paged += page
                    query = replace(asked, after=page[-1].cursor)
            assert paged == whole
            assert {hit.response_id for hit in whole} == _affected(answers, since)

        check()

    def test_a_cursor_that_is_none_is_refused(self, kept: Kept) -> None:
        """And repeated in the message."""
        kept([answer("r1", fact("d"))])
        with pytest.raises(ValueError, match="'nonsense' is not where a list of answers left off"):
            kept.affected("d", after="nonsense")

    # --- exact bytes, and proofs

    def test_the_exact_bytes_are_kept_in_a_gap_free_order(self, kept: Kept) -> None:
        """What was there stays as it was."""
        records = [answer(f"r{number}", fact("d")) for number in range(5)]
        kept(records[:2])
        before = self._bodies(kept)
        kept(records[2:])
        after = self._bodies(kept)
        assert [seq for seq, _ in after] == list(range(len(after)))
        assert after[: len(before)] == before
        assert len(after) > len(before)

    def test_every_inclusion_and_growth_can_be_proven(self, kept: Kept) -> None:
        """Over more entries than a group has."""
        kept(
            *(
                [answer(f"r{n}", fact(f"d{n % 3}")) for n in range(s, s + 150)]
                for s in (0, 150, 300)
            )
        )
        with kept.reader() as ledger:
            size = ledger.size()
            assert size > TILE_WIDTH
            root = ledger.root()
            for seq, body in islice(ledger.bodies(), 0, None, 37):
                proof = ledger.inclusion(seq, size)
                assert verify_inclusion(seq, size, leaf_hash(body), proof, root)
            for old in (1, 100, TILE_WIDTH, size - 1):
                proof = ledger.consistency(old, size)
                assert verify_consistency(old, size, ledger.root(old), root, proof)

    def test_a_commit_that_fails_leaves_no_trace(self, kept: Kept) -> None:
        """Neither entries nor cursors; the next one goes on as if it had not been."""
        home = kept.home
        home.ensure("ledger")
        good = encode(answer("r1", fact("d"), user_id="u"))
        with closing(LedgerPlace(home).open()) as writer:
            with pytest.raises(ValueError, match=r".+"):
                writer.commit([good, b"nonsense"], {"file": 9}, ())
            assert writer.cursors() == {}
            writer.commit([good], {"file": 5}, ())
            assert writer.cursors() == {"file": 5}
        with kept.reader() as ledger:
            assert len(ledger.entries_of("r1")) == 1
        (hit,) = kept.affected("d")
        assert (hit.response_id, hit.user_id) == ("r1", "u")

    def test_cursors_move_with_the_records_and_are_forgotten(self, kept: Kept) -> None:
        """Any process may read them."""
        kept.home.ensure("ledger")
        place = LedgerPlace(kept.home)
        assert place.cursors() == {}
        with closing(place.open()) as writer:
            writer.commit([encode(answer("r1"))], {"a": 1, "b": 2}, ())
            writer.commit([], {"a": 7}, {"b", "c"})
            assert writer.cursors() == {"a": 7}
        assert place.cursors() == {"a": 7}

    def test_a_record_that_cannot_be_an_entry_is_not_taken_for_a_broken_store(
        self, kept: Kept
    ) -> None:
        """It is set aside, and others pass: only what a store does wrong is a `StoreError`."""
        kept.home.ensure("ledger")
        with closing(LedgerPlace(kept.home).open()) as writer:
            with pytest.raises(ValueError, match="no kind of entry") as caught:
                writer.commit([encode(event("unheard-of", {}))], {}, ())
            assert not isinstance(caught.value, StoreError)

    def test_an_empty_ledger_has_no_head(self, kept: Kept) -> None:
        """Nor anything else."""
        kept.home.ensure("ledger")
        LedgerPlace(kept.home).open().close()
        with kept.reader() as ledger:
            found = (ledger.head(), ledger.size(), ledger.entries_of("x"), ledger.minimum())
            assert found == (None, 0, [], 0)
            assert list(ledger.affected(Query(document_id="d"))) == []

    def test_the_head_is_the_last_entry(self, kept: Kept) -> None:
        """Of whichever batch."""
        kept([answer("r0"), answer("r1")], [answer("r2")])
        with kept.reader() as ledger:
            assert ledger.head() == ledger.entries_of("r2")[0]

    def test_where_nothing_was_recorded_that_is_said(self, kept: Kept) -> None:
        """And nothing is made."""
        with pytest.raises(NothingRecordedError, match="nothing is recorded yet"):
            open_ledger(kept.home)
        assert not kept.home.path.exists()

    # --- what finds entries

    def test_the_responses_of_a_user_and_a_session_are_found(self, kept: Kept) -> None:
        """Also where only a later entry names them."""
        kept(
            [answer("r1", user_id="u", session_id="s"), answer("r2", user_id="v", session_id="s")],
            [answer("r3", kind="retrieved")],
            [answer("r3", user_id="u"), answer("r4")],
        )
        with kept.reader() as ledger:
            firsts = {name: ledger.first_of(name) for name in ("r1", "r2", "r3")}
            assert list(ledger.responses_of("user", "u")) == [firsts["r1"], firsts["r3"]]
            assert list(ledger.responses_of("session", "s")) == [firsts["r1"], firsts["r2"]]
            assert list(ledger.responses_of("user", "nobody")) == []

    def test_flags_and_their_decisions_are_found(self, kept: Kept) -> None:
        """By whether they are decided."""
        kept([answer("r1"), event("flagged", {"because": 3}, "r1"), event("flagged", {}, "r1")])
        with kept.reader() as ledger:
            first = ledger.first_of("r1")
            one, other = (flag for flag, *_ in ledger.store.flags())
        kept([event("reviewed", {"flag": one, "decision": "kept"}, "r1")])
        with kept.reader() as ledger:
            (decided,) = ledger.store.flags(decided=True)
            (undecided,) = ledger.store.flags(decided=False)
            assert [seq for seq, *_ in ledger.store.flags()] == [one, other]
            assert tuple(decided) == (one, first, 3, ledger.size() - 1)
            assert tuple(undecided) == (other, first, -1, None)

    def test_events_are_found_by_their_kind(self, kept: Kept) -> None:
        """In order, from a place on."""
        kept(
            [event("held", {"n": 1}), event("retained", {}), event("held", {"n": 2}), answer("r1")]
        )
        with kept.reader() as ledger:
            one, other = ledger.events("held")
            assert (one.body["n"], other.body["n"]) == (1, 2)
            assert list(ledger.events("held", after=one.seq)) == [other]
            assert list(ledger.events("erased")) == []

    def test_entries_are_told_with_the_response_that_they_are_of(self, kept: Kept) -> None:
        """And the state of that by its first one."""
        kept([answer("r1", fact("d"), kind="retrieved", status="interrupted")], [answer("r1")])
        with kept.reader() as ledger:
            first = ledger.first_of("r1")
            assert first is not None
            rows = {row.seq: row for row in ledger.store.entry_rows(0, ledger.size())}
            assert [row.body for row in rows.values()] == [body for _, body in ledger.bodies()]
            assert (rows[first].about, rows[first].state) == (None, ledger.store.state(first))
            (later,) = (row for row in rows.values() if row.about == first)
            assert later.state is None
            assert [seq for seq, _ in ledger.store.history(first)] == [first, later.seq]
            assert rows[0].state is None

    def test_documents_and_chunks_are_found_by_their_tags(self, kept: Kept) -> None:
        """And by each other."""
        kept([answer("r1", fact("d", "0", text="a"), fact("d", "1", text="b"), fact("e"))])
        with kept.reader() as ledger:
            store, (document,) = ledger.store, ledger.document("d")
            chunks = store.chunks(by="document", key=document)
            assert [found for _, found in chunks] == [document, document]
            places = [seq for seq, _ in chunks]
            assert store.documents_of(places) == dict.fromkeys(places, document)
            assert store.documents_of([]) == {}
            a, b = (ledger.tag("content", f"sha256:{text}") for text in "ab")
            assert set(store.content_tags(document, None)) == {a, b}
            assert set(store.content_tags(document, places[:1])) == {a}
            tag = ledger.tag("document", "d")
            assert (document, tag) in [tuple(each) for each in store.document_tags(0, LATEST)]
            assert list(store.document_tags(document + 1, document + 1)) == []
            assert ledger.name_of(document) == "d"
            assert store.name(0) is None

    def test_what_is_pruned_is_gone_and_proofs_stay(self, kept: Kept) -> None:
        """Hashes of single entries stand in for those that went from among others."""
        kept([answer("old", fact("d"), session_id="s"), answer("young", fact("d"))])
        with kept.reader() as ledger:
            root, size, first = ledger.root(), ledger.size(), ledger.first_of("old")
            assert first is not None
            proof = ledger.inclusion(first, size)
            leaves = [Tile(0, seq, leaf_hash(body)) for seq, body in ledger.bodies()]
            (session,) = ledger.names("session", "s")
            (document,) = ledger.document("d")
        gone = Gone(
            minimum=0,
            entries=[first],
            leaves=leaves,
            responses=[],
            links=[(202601, document, first)],
            mentions=[(session, first)],
        )
        with kept.reader() as ledger:
            reference = ledger.reference_of("old")
        assert reference is not None
        gone.responses.append(reference)
        with closing(LedgerPlace(kept.home).open()) as writer:
            writer.take_out(gone, [encode(event("pruned", {"entries": 1}))])
        with kept.reader() as ledger:
            assert ledger.body(first) is None
            assert ledger.first_of("old") is None
            assert list(ledger.store.mentioning(session)) == []
            assert (ledger.size(), ledger.root(size)) == (size + 1, root)
            assert ledger.inclusion(first, size) == proof
            grown = ledger.consistency(size, size + 1)
            assert verify_consistency(size, size + 1, root, ledger.root(), grown)
            assert [entry.kind for entry in ledger.entries(size)] == ["pruned"]
        assert kept.ids("d") == ["young"]

    def test_writers_keep_their_numbers(self, kept: Kept) -> None:
        """From one process to the next."""
        for name in ("one", "two", "one"):
            kept([answer(f"{name}-{BEGIN}", writer=name)])
        with kept.reader() as ledger:
            named = [e.body for e in ledger.entries() if e.body.get("kind") == "writer"]
            assert [(body["name"], body["number"]) for body in named] == [("one", 1), ("two", 2)]

    def _bodies(self, kept: Kept) -> list[tuple[int, bytes]]:
        with kept.reader() as ledger:
            return [(seq, body) for seq, body in ledger.bodies()]


_Answer = tuple[int, int, int, int, bool]


def _records(answers: Sequence[_Answer]) -> Iterator[Record]:
    yield event("derived", {"document": "d1", "from": ["d0"]})
    for number, (document, text, again, hour, early) in enumerate(answers):
        had = fact(f"d{document}", text=f"t{text}")
        if early:
            yield answer(f"r{number}", had, hour=hour, kind="retrieved", status="interrupted")
        yield answer(f"r{number}", had, hour=hour)
        if 0 <= again < number:
            yield event("reused", {"of": f"r{again}"}, f"r{number}", hour)


def _batches(records: Sequence[Record], together: int) -> Iterator[Sequence[Record]]:
    return (records[at : at + together] for at in range(0, len(records), together))


def _affected(answers: Iterable[_Answer], since: int) -> set[str]:
    """Those that had d0, what was made from it, or a text of either, and those that gave such an answer again."""
    numbered = list(enumerate(answers))
    ever = {text for _, (document, text, *_) in numbered if document in (0, 1)}
    had = {n for n, (document, text, *_) in numbered if document in (0, 1) or text in ever}
    for number, (_, _, again, *_) in numbered:
        if 0 <= again < number and again in had:
            had.add(number)
    return {f"r{number}" for number, (*_, hour, _) in numbered if number in had and hour >= since}
