"""The trail store in a file: the whole trail back, found by whatever somebody remembers of it."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doctrail_core.durable.errors import NothingRecordedError, StoreError
from doctrail_core.durable.home import Home
from doctrail_core.model import Chunk, Hit
from doctrail_core.text.identity import content_hash
from doctrail_core.trails import open_trails
from doctrail_core.trails.codec import encode
from doctrail_core.trails.journal import TrailJournal
from doctrail_core.trails.sqlite import TrailReader, TrailWriter

MINUTE = timedelta(minutes=1)


@pytest.fixture
def journal(home, faults):
    journal = TrailJournal(home, faults)
    yield journal
    journal.close()


@pytest.fixture
def find(home):
    """Ask for the responses that somebody may mean."""

    def ask(reference, **options):
        with open_trails(home) as trails:
            return [found.response_id for found in trails.find(reference, **options)]

    return ask


@pytest.fixture
def listed(home):
    """List responses."""

    def ask(**filters):
        with open_trails(home) as trails:
            return [found.response_id for found in trails.responses(**filters)]

    return ask


def rows(home, query):
    with closing(sqlite3.connect(home.database("trails"))) as connection:
        return connection.execute(query).fetchall()


# --- there and back


def test_a_trail_comes_back_whole(home, journal, make_trail):
    trail = make_trail()
    journal.append(trail)
    with open_trails(home) as trails:
        assert trails.get("response-1") == trail
        assert trails.get("response-2") is None


def test_a_text_is_kept_once_whatever_number_of_trails_has_it(home, journal, make_trail):
    text = "A clause that is retrieved for nearly every question. " * 20
    for number in range(10):
        journal.append(make_trail(f"r{number}", texts={"doc_4": text}))
    journal.flush()
    assert rows(home, "SELECT count(*) FROM content") == [(1,)]
    assert home.database("trails").read_bytes().count(text.encode()) == 1
    with open_trails(home) as trails:
        assert trails.get("r7") == make_trail("r7", texts={"doc_4": text})


def test_texts_leave_the_spool_when_they_are_in(home, journal, make_trail):
    journal.append(make_trail())
    journal.flush()
    assert list(home.spool("trails").glob("*.spool")) == []


def test_a_trail_delivered_twice_is_replaced(home, journal, make_trail, find):
    journal.append(make_trail(answer="The first answer, on papayas."))
    journal.flush()
    later = make_trail(texts={"doc_5": "other"}, answer="The second answer, on mangoes.")
    journal.append(later)
    with open_trails(home) as trails:
        assert trails.count() == 1
        assert trails.get("response-1") == later
        assert list(trails.chunks_of("doc_4")) == []
    assert find("papayas") == []
    assert find("mangoes") == ["response-1"]
    assert rows(home, "SELECT count(*) FROM message") == [(1,)]


def test_nothing_of_a_replaced_trail_stays_in_the_file(home, journal, make_trail):
    journal.append(make_trail(answer="An answer that was planted here. " * 1_000))
    journal.flush()
    journal.append(make_trail())
    journal.flush()
    files = list(home.path.glob("trails.db*"))
    assert files
    assert not [file for file in files if b"planted here" in file.read_bytes()]


def test_the_index_agrees_with_the_trails_after_one_was_replaced(home, journal, make_trail):
    for answer in ("first", "second"):
        journal.append(make_trail(answer=answer))
        journal.flush()
    with closing(sqlite3.connect(home.database("trails"))) as connection:
        connection.execute("INSERT INTO phrase (phrase, rank) VALUES ('integrity-check', 1)")


def test_a_commit_that_fails_leaves_no_trace(home, make_trail):
    home.ensure("trails")
    with closing(TrailWriter(home.database("trails"))) as writer:
        with pytest.raises(ValueError, match=r".+"):
            writer.commit([encode(make_trail()), b"nonsense"], {"file": 9}, ())
        assert writer.cursors() == {}
        writer.commit([encode(make_trail())], {"file": 5}, ())
    with closing(TrailReader(home.database("trails"))) as trails:
        assert trails.get("response-1") == make_trail()
        assert [use.text for use in trails.chunks_of("doc_4")] == [
            "The renewal deadline is February 28th."
        ]


def test_twice_in_one_group_also_means_the_later_one(home, journal, make_trail):
    journal.append(make_trail(status="interrupted"))
    journal.append(make_trail())
    with open_trails(home) as trails:
        assert [found.status for found in trails.responses()] == ["ok"]


def test_a_trail_without_texts_is_kept_without_texts(home, journal, make_trail):
    trail = make_trail(question=None, answer=None)
    bare = Chunk("doc_4#0", "doc_4", None)
    (retrieval,) = trail.retrievals
    trail = replace(
        trail, retrievals=(replace(retrieval, query=None, hits=(Hit(bare, 0),)),), generations=()
    )
    journal.append(trail)
    with open_trails(home) as trails:
        assert trails.get("response-1") == trail
        (use,) = trails.chunks_of("doc_4")
        assert (use.content_hash, use.text) == (None, None)


def test_texts_first_kept_as_hashes_are_there_once_they_are_kept(home, journal, make_trail):
    trail = make_trail("r1")
    (retrieval,) = trail.retrievals
    hashed = tuple(replace(h, chunk=replace(h.chunk, text=None)) for h in retrieval.hits)
    journal.append(replace(trail, retrievals=(replace(retrieval, hits=hashed),)))
    journal.append(make_trail("r2"))
    with open_trails(home) as trails:
        assert {use.text for use in trails.chunks_of("doc_4")} == {
            "The renewal deadline is February 28th."
        }


def test_a_trail_that_cannot_be_read_is_an_error_without_its_content(home, journal, make_trail):
    journal.append(make_trail(question="a secret"))
    journal.flush()
    with closing(sqlite3.connect(home.database("trails"))) as connection, connection:
        connection.execute("UPDATE trail SET body = CAST('[]' || char(10) || '{}' AS BLOB)")
    with open_trails(home) as trails, pytest.raises(StoreError, match="another version") as caught:
        trails.get("response-1")
    assert "secret" not in str(caught.value)


# --- found again


def test_a_response_is_found_by_any_of_its_ids(journal, make_trail, find):
    journal.append(make_trail("0f8fad5b-d9cb-469f-a165-70867728950e"))
    journal.append(make_trail("another", trace_id=None))
    for reference in (
        "0f8fad5b-d9cb-469f-a165-70867728950e",
        "0f8fad5b",
        "0af7651916cd43dd8448eb211c80319c",
        "message-of-0f8fad5b-d9cb-469f-a165-70867728950e",
    ):
        assert find(reference) == ["0f8fad5b-d9cb-469f-a165-70867728950e"], reference


def test_a_beginning_of_less_than_eight_characters_is_not_taken_for_an_id(
    journal, make_trail, find
):
    journal.append(make_trail("abcdefgh"))
    assert find("abcdefg") == []
    assert find("abcdefgh") == ["abcdefgh"]


def test_a_beginning_shared_by_several_finds_all_of_them_newest_first(journal, make_trail, find):
    for minute in range(3):
        journal.append(make_trail(f"response-{minute}", minute=minute))
    assert find("response") == ["response-2", "response-1", "response-0"]
    assert find("response", limit=2) == ["response-2", "response-1"]


def test_an_id_counts_before_a_phrase(journal, make_trail, find):
    journal.append(make_trail("deadline"))
    journal.append(make_trail("r2", minute=1))
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
def test_any_part_of_question_or_answer_finds_a_response(journal, make_trail, find, phrase):
    journal.append(make_trail())
    journal.append(make_trail("other", question="What else?", answer="Nothing.", minute=1))
    assert find(phrase) == ["response-1"]


@pytest.mark.parametrize("phrase", ["更新", "契約更新の期限", "期", "é", "ÜBER"])
def test_phrases_of_any_script_and_any_length_are_found(journal, make_trail, find, phrase):
    journal.append(make_trail(question="契約更新の期限はいつですか", answer="Über den Café"))
    journal.append(make_trail("other", question="no", answer="no"))
    assert find(phrase) == ["response-1"]


def test_a_null_character_hides_nothing_behind_it(journal, make_trail, find):
    journal.append(make_trail(question="before\0behind it"))
    assert find("behind") == ["response-1"]
    assert find("before\0behind") == ["response-1"]
    journal.append(make_trail(question="replaced"))
    assert find("behind") == []


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


@pytest.mark.parametrize("phrase", HOSTILE)
def test_a_phrase_is_only_ever_text(journal, make_trail, listed, phrase):
    journal.append(make_trail("has it", question=f"before {phrase} after"))
    journal.append(make_trail("has not", question="before x after", answer="none"))
    assert listed(phrase=phrase) == ["has it"]


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_stands_in_a_question_is_found_in_it(
    tmp_path_factory, make_trail, before, phrase, after
):
    home = Home(tmp_path_factory.mktemp("home"))
    with closing(TrailWriter(home.database("trails"))) as writer:
        writer.commit([encode(make_trail(question=before + phrase + after))], {}, ())
    with closing(TrailReader(home.database("trails"))) as trails:
        assert [found.response_id for found in trails.responses(phrase=phrase)] == ["response-1"]


def test_responses_are_listed_by_all_that_is_asked_for(journal, make_trail, listed):
    journal.append(make_trail("a", session_id="s1", user_id="u1"))
    journal.append(make_trail("b", session_id="s1", user_id="u2", status="error", minute=1))
    journal.append(make_trail("c", session_id="s2", texts={"doc_42": "x"}, minute=2))
    start = make_trail().started_at
    assert listed() == ["c", "b", "a"]
    assert listed(limit=1) == ["c"]
    assert listed(session_id="s1") == ["b", "a"]
    assert listed(user_id="u2") == ["b"]
    assert listed(status="error") == ["b"]
    assert listed(document_id="doc_4") == ["b", "a"]
    assert listed(document_id="doc_42") == ["c"]
    assert listed(since=start + MINUTE) == ["c", "b"]
    assert listed(until=start + MINUTE) == ["a"]
    assert listed(session_id="s1", status="ok", phrase="renewal", document_id="doc_4") == ["a"]
    assert listed(session_id="s1", document_id="doc_42") == []


def test_a_line_of_the_list_says_what_is_needed(home, journal, make_trail):
    trail = make_trail(texts={"weak": "a", "strong": "b"})
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
    journal, make_trail, listed, raw
):
    journal.append(make_trail(raw, session_id=raw, user_id=raw, texts={raw: "text"}))
    (kept,) = listed(session_id=raw, user_id=raw, document_id=raw)
    assert kept.isprintable()
    assert len(kept) < 1_000


# --- a document's chunks


def test_a_document_shows_its_chunks_in_order_and_who_got_them(home, journal, make_trail):
    def hit(index):
        text = f"Clause {index} of the contract."
        chunk = Chunk(f"doc_4#{index}", "doc_4", content_hash(text), text, index)
        return Hit(chunk, index)

    for minute, indexes in enumerate([(10, 2), (2,)]):
        trail = make_trail(f"r{minute}", minute=minute, contexts=())
        hits = tuple(hit(index) for index in indexes)
        journal.append(replace(trail, retrievals=(replace(trail.retrievals[0], hits=hits),)))
    with open_trails(home) as trails:
        uses = [
            (use.index, use.response_id, use.grade, use.text) for use in trails.chunks_of("doc_4")
        ]
    assert uses == [
        (2, "r1", "retrieved", "Clause 2 of the contract."),
        (2, "r0", "retrieved", "Clause 2 of the contract."),
        (10, "r0", "retrieved", "Clause 10 of the contract."),
    ]


def test_a_chunk_whose_text_changed_is_shown_with_each_text(home, journal, make_trail):
    journal.append(make_trail("r1", texts={"doc_4": "old wording"}))
    journal.append(make_trail("r2", texts={"doc_4": "new wording"}))
    with open_trails(home) as trails:
        assert [(use.response_id, use.text) for use in trails.chunks_of("doc_4")] == [
            ("r1", "old wording"),
            ("r2", "new wording"),
        ]


def test_where_nothing_was_recorded_that_is_said(home):
    with pytest.raises(NothingRecordedError, match=r"nothing is recorded yet at .*trails\.db"):
        open_trails(home)


@pytest.mark.parametrize("column", ["response_id", "session_id", "user_id", "trace_id"])
def test_lists_are_searches_of_an_index(home, journal, make_trail, column):
    journal.append(make_trail())
    journal.flush()
    query = f"SELECT * FROM trail WHERE {column} = 'x'"  # noqa: S608  # a column's name
    assert "USING INDEX" in rows(home, f"EXPLAIN QUERY PLAN {query}")[0][3]


def test_newest_first_needs_no_sorting(home, journal, make_trail):
    journal.append(make_trail())
    journal.flush()
    query = "SELECT * FROM trail ORDER BY started_us DESC, ref DESC"
    plan = rows(home, f"EXPLAIN QUERY PLAN {query}")
    assert [step[3] for step in plan] == ["SCAN trail USING INDEX trail_time"]
