"""What every trail store has to do, as a pytest class. Needs pytest and hypothesis.

Whoever writes a store derives a test class from this one, with a fixture `home`: a home whose trails are in the store,
and which has nothing in it yet.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctrail_core.durable.errors import NothingRecordedError, StoreError
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.model import (
    Arrival,
    Assessment,
    Chunk,
    Claim,
    Context,
    Diagnosis,
    Evidence,
    Generation,
    Hit,
    Message,
    PromptSpan,
    Retrieval,
    Trail,
    Verdict,
)
from doctrail_core.text.identity import content_hash
from doctrail_core.trails import open_trails
from doctrail_core.trails.codec import decode, encode
from doctrail_core.trails.journal import TrailJournal
from doctrail_core.trails.place import TrailPlace
from doctrail_core.trails.store import TrailWriting

__all__ = ["START", "TrailStoreConformance", "build_trail", "chunk"]

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def build_trail(
    response_id: str = "response-1",
    *,
    texts: dict[str, str] | None = None,
    question: str | None = "When is the renewal deadline?",
    answer: str | None = "On February 28th.",
    minute: int = 0,
    **changes: Any,
) -> Trail:
    """A response that had these texts, by document id, all in its prompt."""
    known = {"doc_4": "The renewal deadline is February 28th."} if texts is None else texts
    chunks = [chunk(document_id, text) for document_id, text in known.items()]
    start = START + timedelta(minutes=minute)
    prompt, arrivals = f"{question}\n", list[Arrival]()
    for order, each in enumerate(chunks):
        span = PromptSpan(0, len(prompt), len(prompt) + len(each.text or ""))
        prompt += f"{each.text}\n"
        arrivals.append(Arrival(each.chunk_id, each.document_id, "full", 1.0, 0.2, order, (span,)))
    retrieval = Retrieval(
        retrieval_id=f"{response_id}/retrieval",
        retriever="bm25",
        query=question,
        query_hash="hmac-sha256:00",
        hits=tuple(Hit(each, rank, 0.5, "similarity") for rank, each in enumerate(chunks)),
        started_at=start,
        ended_at=start,
    )
    generation = Generation(
        generation_id=f"{response_id}/generation",
        messages=(Message("user", prompt),),
        output=answer,
        started_at=start,
        ended_at=start,
        model="model-1",
        message_id=f"message-of-{response_id}",
    )
    trail = Trail(
        response_id=response_id,
        status="ok",
        started_at=start,
        ended_at=start + timedelta(seconds=2),
        query_hash="hmac-sha256:00",
        question=question,
        answer=answer,
        session_id="session-1",
        user_id="user-1",
        trace_id="0af7651916cd43dd8448eb211c80319c",
        retrievals=(retrieval,),
        contexts=(Context(generation.generation_id, tuple(arrivals), len(prompt), 30),),
        generations=(generation,),
    )
    return replace(trail, **changes)


def chunk(document_id: str, text: str) -> Chunk:
    return Chunk(f"{document_id}#0", document_id, content_hash(text), text, 0, source="a.pdf")


HOSTILE = [
    *(
        '"',
        '""',
        "'",
        "a AND b",
        "NOT x",
        "NEAR(a b)",
        "col:x",
        "*",
        "^x",
        "a OR",
        "-a",
        "(((",
        '"x',
    ),
    *(
        "%",
        "_",
        "100%",
        "\\",
        "'; DROP TABLE trail; --",
        "{x y}: z",
        "a\0b",
        "\n\t",
        "+ + +",
        "a" * 9_000,
    ),
]


class Find(Protocol):
    def __call__(self, reference: str, *, limit: int = 20) -> list[str]: ...


class Listed(Protocol):
    def __call__(self, **filters: Any) -> list[str]: ...


class TrailStoreConformance:
    """Derive a test class from this one and give it a fixture `home`."""

    @pytest.fixture
    def journal(self, home: Home) -> Iterator[TrailJournal]:
        """Where trails are put."""
        with closing(TrailJournal(home, Faults(home))) as journal:
            yield journal

    @pytest.fixture
    def find(self, home: Home) -> Find:
        """Ask for the responses that somebody may mean."""

        def ask(reference: str, *, limit: int = 20) -> list[str]:
            with open_trails(home) as trails:
                return [found.response_id for found in trails.find(reference, limit=limit)]

        return ask

    @pytest.fixture
    def listed(self, home: Home) -> Listed:
        """List responses."""

        def ask(**filters: Any) -> list[str]:
            with open_trails(home) as trails:
                return [found.response_id for found in trails.responses(**filters)]

        return ask

    def test_a_trail_comes_back_whole(self, home: Home, journal: TrailJournal) -> None:
        trail = build_trail()
        journal.append(trail)
        with open_trails(home) as trails:
            assert trails.get("response-1") == trail
            assert trails.get("response-2") is None

    def test_a_trail_delivered_twice_is_replaced(
        self, home: Home, journal: TrailJournal, find: Find
    ) -> None:
        journal.append(build_trail(answer="The first answer, on papayas."))
        journal.flush()
        later = build_trail(texts={"doc_5": "other"}, answer="The second answer, on mangoes.")
        journal.append(later)
        with open_trails(home) as trails:
            assert trails.count() == 1
            assert trails.get("response-1") == later
            assert list(trails.chunks_of("doc_4")) == []
        assert find("papayas") == []
        assert find("mangoes") == ["response-1"]
        assert find("message-of-response-1") == ["response-1"]

    def test_a_commit_that_fails_leaves_no_trace(self, home: Home) -> None:
        home.ensure("trails")
        with closing(TrailPlace(home).open()) as writer:
            with pytest.raises(ValueError, match=r".+"):
                writer.commit([encode(build_trail()), b"nonsense"], {"file": 9}, ())
            assert writer.cursors() == {}
            writer.commit([encode(build_trail())], {"file": 5}, ())
        with open_trails(home, drain=False) as trails:
            assert trails.get("response-1") == build_trail()
            assert [use.text for use in trails.chunks_of("doc_4")] == [
                "The renewal deadline is February 28th."
            ]

    def test_twice_in_one_group_also_means_the_later_one(
        self, home: Home, journal: TrailJournal
    ) -> None:
        journal.append(build_trail(status="interrupted"))
        journal.append(build_trail())
        with open_trails(home) as trails:
            assert [found.status for found in trails.responses()] == ["ok"]

    def test_a_trail_without_texts_is_kept_without_texts(
        self, home: Home, journal: TrailJournal
    ) -> None:
        trail = build_trail(question=None, answer=None)
        bare = Chunk("doc_4#0", "doc_4", None)
        (retrieval,) = trail.retrievals
        trail = replace(
            trail,
            retrievals=(replace(retrieval, query=None, hits=(Hit(bare, 0),)),),
            generations=(),
        )
        journal.append(trail)
        with open_trails(home) as trails:
            assert trails.get("response-1") == trail
            (use,) = trails.chunks_of("doc_4")
            assert (use.content_hash, use.text) == (None, None)

    def test_texts_first_kept_as_hashes_are_there_once_they_are_kept(
        self, home: Home, journal: TrailJournal
    ) -> None:
        trail = build_trail("r1")
        (retrieval,) = trail.retrievals
        hashed = tuple(replace(h, chunk=replace(h.chunk, text=None)) for h in retrieval.hits)
        journal.append(replace(trail, retrievals=(replace(retrieval, hits=hashed),)))
        journal.append(build_trail("r2"))
        with open_trails(home) as trails:
            assert {use.text for use in trails.chunks_of("doc_4")} == {
                "The renewal deadline is February 28th."
            }

    def test_a_response_is_found_by_any_of_its_ids(self, journal: TrailJournal, find: Find) -> None:
        journal.append(build_trail("0f8fad5b-d9cb-469f-a165-70867728950e"))
        journal.append(build_trail("another", trace_id=None))
        for reference in (
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "0f8fad5b",
            "0af7651916cd43dd8448eb211c80319c",
            "message-of-0f8fad5b-d9cb-469f-a165-70867728950e",
        ):
            assert find(reference) == ["0f8fad5b-d9cb-469f-a165-70867728950e"], reference

    def test_a_beginning_of_less_than_eight_characters_is_not_taken_for_an_id(
        self, journal: TrailJournal, find: Find
    ) -> None:
        journal.append(build_trail("abcdefgh"))
        assert find("abcdefg") == []
        assert find("abcdefgh") == ["abcdefgh"]

    def test_a_beginning_shared_by_several_finds_all_of_them_newest_first(
        self, journal: TrailJournal, find: Find
    ) -> None:
        for minute in range(3):
            journal.append(build_trail(f"response-{minute}", minute=minute))
        assert find("response") == ["response-2", "response-1", "response-0"]
        assert find("response", limit=2) == ["response-2", "response-1"]

    def test_an_id_counts_before_a_phrase(self, journal: TrailJournal, find: Find) -> None:
        journal.append(build_trail("deadline"))
        journal.append(build_trail("r2", minute=1))
        assert find("deadline") == ["deadline"]

    @pytest.mark.parametrize(
        "phrase",
        [
            "renewal deadline",
            "RENEWAL DEAD",
            "wal dead",
            "When is the renewal deadline?",
            "Feb",
            "28th.",
        ],
    )
    def test_any_part_of_question_or_answer_finds_a_response(
        self, journal: TrailJournal, find: Find, phrase: str
    ) -> None:
        journal.append(build_trail())
        journal.append(build_trail("other", question="What else?", answer="Nothing.", minute=1))
        assert find(phrase) == ["response-1"]

    @pytest.mark.parametrize("phrase", ["更新", "契約更新の期限", "期", "é", "ÜBER"])
    def test_phrases_of_any_script_and_any_length_are_found(
        self, journal: TrailJournal, find: Find, phrase: str
    ) -> None:
        journal.append(build_trail(question="契約更新の期限はいつですか", answer="Über den Café"))
        journal.append(build_trail("other", question="no", answer="no"))
        assert find(phrase) == ["response-1"]

    def test_a_null_character_hides_nothing_behind_it(
        self, journal: TrailJournal, find: Find
    ) -> None:
        journal.append(build_trail(question="before\0behind it"))
        assert find("behind") == ["response-1"]
        assert find("before\0behind") == ["response-1"]
        journal.append(build_trail(question="replaced"))
        assert find("behind") == []

    @pytest.mark.parametrize("phrase", HOSTILE)
    def test_a_phrase_is_only_ever_text(
        self, journal: TrailJournal, listed: Listed, phrase: str
    ) -> None:
        journal.append(build_trail("has it", question=f"before {phrase} after"))
        journal.append(build_trail("has not", question="before x after", answer="none"))
        assert listed(phrase=phrase) == ["has it"]

    def test_what_stands_in_a_question_is_found_in_it(self, home: Home) -> None:
        home.ensure("trails")
        numbers = count()

        @settings(max_examples=100, deadline=None)
        @given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
        def check(before: str, phrase: str, after: str) -> None:
            response_id = f"r{next(numbers)}"
            asked = build_trail(response_id, question=before + phrase + after)
            writer.commit([encode(asked)], {}, ())
            with open_trails(home, drain=False) as trails:
                assert response_id in {each.response_id for each in trails.responses(phrase=phrase)}
                assert trails.get(response_id) == decode(encode(asked))

        with closing(TrailPlace(home).open()) as writer:
            check()

    def test_responses_are_listed_by_all_that_is_asked_for(
        self, journal: TrailJournal, listed: Listed
    ) -> None:
        journal.append(build_trail("a", session_id="s1", user_id="u1"))
        journal.append(build_trail("b", session_id="s1", user_id="u2", status="error", minute=1))
        other = {"session_id": "s2", "trace_id": "f" * 32}
        journal.append(build_trail("c", texts={"doc_42": "x"}, minute=2, **other))
        start = build_trail().started_at
        assert listed() == ["c", "b", "a"]
        assert listed(limit=1) == ["c"]
        assert listed(session_id="s1") == ["b", "a"]
        assert listed(user_id="u2") == ["b"]
        assert listed(status="error") == ["b"]
        assert listed(document_id="doc_4") == ["b", "a"]
        assert listed(document_id="doc_42") == ["c"]
        assert listed(trace_id="f" * 32) == ["c"]
        assert listed(since=start + MINUTE) == ["c", "b"]
        assert listed(until=start + MINUTE) == ["a"]
        assert listed(session_id="s1", status="ok", phrase="renewal", document_id="doc_4") == ["a"]
        assert listed(session_id="s1", document_id="doc_42") == []

    def test_a_line_of_the_list_says_what_is_needed(
        self, home: Home, journal: TrailJournal
    ) -> None:
        trail = build_trail(texts={"weak": "a", "strong": "b"})
        (context,) = trail.contexts
        journal.append(replace(trail, contexts=(replace(context, arrivals=context.arrivals[1:]),)))
        with open_trails(home) as trails:
            (line,) = trails.responses()
        assert line.document_ids == ("strong", "weak")
        assert (line.question, line.answer) == (trail.question, trail.answer)
        assert (line.started_at, line.ended_at) == (trail.started_at, trail.ended_at)
        assert (line.session_id, line.user_id, line.trace_id) == (
            *(trail.session_id, trail.user_id, trail.trace_id),
        )

    @pytest.mark.parametrize("raw", ["s\x1b[31m", "s" * 10_000, "\ud800", "s\n"])
    def test_ids_with_control_characters_find_what_was_kept_under_them(
        self, journal: TrailJournal, listed: Listed, raw: str
    ) -> None:
        journal.append(build_trail(raw, session_id=raw, user_id=raw, texts={raw: "text"}))
        (kept,) = listed(session_id=raw, user_id=raw, document_id=raw)
        assert kept.isprintable()
        assert len(kept) < len(raw) + 100

    def test_a_document_shows_its_chunks_in_order_and_who_got_them(
        self, home: Home, journal: TrailJournal
    ) -> None:
        def hit(index: int) -> Hit:
            text = f"Clause {index} of the contract."
            chunk = Chunk(f"doc_4#{index}", "doc_4", content_hash(text), text, index)
            return Hit(chunk, index)

        for minute, indexes in enumerate([(10, 2), (2,)]):
            trail = build_trail(f"r{minute}", minute=minute, contexts=())
            hits = tuple(hit(index) for index in indexes)
            journal.append(replace(trail, retrievals=(replace(trail.retrievals[0], hits=hits),)))
        with open_trails(home) as trails:
            uses = [
                (use.index, use.response_id, use.grade, use.text)
                for use in trails.chunks_of("doc_4")
            ]
        assert uses == [
            (2, "r1", "retrieved", "Clause 2 of the contract."),
            (2, "r0", "retrieved", "Clause 2 of the contract."),
            (10, "r0", "retrieved", "Clause 10 of the contract."),
        ]

    def test_a_chunk_whose_text_changed_is_shown_with_each_text(
        self, home: Home, journal: TrailJournal
    ) -> None:
        journal.append(build_trail("r1", texts={"doc_4": "old wording"}))
        journal.append(build_trail("r2", texts={"doc_4": "new wording"}))
        with open_trails(home) as trails:
            assert [(use.response_id, use.text) for use in trails.chunks_of("doc_4")] == [
                ("r1", "old wording"),
                ("r2", "new wording"),
            ]

    def test_texts_leave_the_spool_when_they_are_in(
        self, home: Home, journal: TrailJournal
    ) -> None:
        journal.append(build_trail())
        journal.flush()
        assert list(home.spool("trails").glob("*.spool")) == []

    def test_where_nothing_was_recorded_that_is_said(self, home: Home) -> None:
        with pytest.raises(NothingRecordedError, match="nothing is recorded yet"):
            open_trails(home)
        assert not home.path.exists()

    def test_what_was_found_about_a_response_comes_with_it(
        self, home: Home, journal: TrailJournal, listed: Listed
    ) -> None:
        trail = build_trail()
        journal.append(trail)
        said = _assessment(trail)
        blamed = Diagnosis(
            response_id="response-1", fault="retrieval", findings=(), fix="", at=trail.ended_at
        )
        journal.append_assessment(said)
        journal.append_diagnosis(blamed)
        with open_trails(home) as trails:
            found = trails.get("response-1")
            assert found is not None
            assert (found.assessments, found.diagnoses) == ((said,), (blamed,))
            (use,) = trails.chunks_of("doc_4")
            assert use.grade == "supports"
        assert listed(status="ok") == ["response-1"]

    def test_a_session_comes_oldest_first_but_for_the_known(
        self, home: Home, journal: TrailJournal
    ) -> None:
        for minute in range(4):
            journal.append(build_trail(f"r{minute}", minute=minute))
        journal.append(build_trail("other", session_id="another", minute=9))
        with open_trails(home) as trails:
            found = trails.session("session-1", limit=3, known={"r2"})
            assert [each.response_id for each in found] == ["r1", "r3"]
            assert list(trails.session("nobody's", limit=3)) == []

    def test_the_first_response_with_a_message_is_found(
        self, home: Home, journal: TrailJournal
    ) -> None:
        long = "\0m" * 5_000
        for minute, response in enumerate(("late", "early")):
            trail = build_trail(response, minute=9 - minute)
            (call,) = trail.generations
            journal.append(replace(trail, generations=(replace(call, message_id=long),)))
        with open_trails(home) as trails:
            assert trails.heard_in(long) == "early"
            assert trails.heard_in("m") is None
            assert trails.count() == 2  # noqa: PLR2004  # as many as were put

    def test_documents_with_the_same_texts_are_told(
        self, home: Home, journal: TrailJournal
    ) -> None:
        journal.append(build_trail("r1", texts={"a": "same", "b": "same", "c": "other"}))
        with open_trails(home) as trails:
            assert list(trails.sharing_texts("a")) == ["b"]
            assert set(trails.texts_of("c")) == {"other"}

    def test_what_is_removed_is_gone_and_what_others_have_stays(
        self, home: Home, journal: TrailJournal, find: Find
    ) -> None:
        journal.append(build_trail("r1", texts={"a": "shared", "b": "own"}, answer="planted"))
        journal.append_assessment(_assessment(build_trail("r1")))
        journal.append(build_trail("r2", texts={"a": "shared"}))
        journal.flush()
        with closing(TrailPlace(home).open()) as editor:
            with editor.changing():
                editor.remove("r1")
                assert editor.drop_unused() == 1
                editor.remove("was never there")
            editor.scrub()
        with open_trails(home) as trails:
            assert trails.get("r1") is None
            assert trails.get("r2") == build_trail("r2", texts={"a": "shared"})
            assert (list(trails.chunks_of("b")), set(trails.texts_of("b"))) == ([], set())
        assert find("planted") == []

    def test_a_record_that_cannot_be_kept_is_set_aside_and_others_pass(
        self, home: Home, journal: TrailJournal, listed: Listed
    ) -> None:
        for number in range(9):
            trail = build_trail(f"r{number}", minute=number)
            journal.append(replace(trail, turn=1 << 70) if number == 4 else trail)  # noqa: PLR2004  # one of them
        journal.flush()
        assert listed() == [f"r{number}" for number in (8, 7, 6, 5, 3, 2, 1, 0)]
        assert len(list(home.spool("trails").glob("*.refused"))) == 1

    def test_a_change_that_fails_leaves_all_as_it_was(
        self, home: Home, journal: TrailJournal
    ) -> None:
        journal.append(build_trail())
        journal.flush()
        with closing(TrailPlace(home).open()) as editor:
            with pytest.raises(StoreError, match="not today"):
                _change_and_fail(editor)
            with editor.changing():
                editor.replace(build_trail(answer="reduced"))
        with open_trails(home) as trails:
            assert trails.get("response-1") == build_trail(answer="reduced")


def _change_and_fail(editor: TrailWriting) -> None:
    with editor.changing():
        editor.remove("response-1")
        raise StoreError("not today")


def _assessment(trail: Trail) -> Assessment:
    """Somebody found the answer supported."""
    answer = trail.answer or ""
    verdict = Verdict(
        claim=Claim(0, len(answer), answer),
        verdict="supported",
        score=0.1,
        reason="judged",
        evidence=(Evidence("doc_4#0", 4, 20),),
    )
    return Assessment(
        response_id=trail.response_id,
        verifier="scripted",
        version="1",
        status="checked",
        started_at=trail.ended_at,
        ended_at=trail.ended_at + timedelta(seconds=1),
        verdicts=(verdict,),
    )
