from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from doctrail_core.model import (
    Arrival,
    Chunk,
    Context,
    Generation,
    Hit,
    Message,
    PromptSpan,
    RankedChunk,
    Rerank,
    Retrieval,
    ToolCall,
    Trail,
    Usage,
)
from doctrail_core.model.printable import columns, one_line, paragraphs, printable
from doctrail_core.model.why import explain

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
QUESTION = "How long does the agreement with Euler Hermes last?"
ESCAPES = "\x1b[31mred\x1b[0m \u202eback\u2066 \x07 \udc80 \u2028 \U000e0041"


def at(milliseconds: int) -> datetime:
    return NOON + timedelta(milliseconds=milliseconds)


def chunk(document: str, index: int, text: str | None) -> Chunk:
    return Chunk(
        chunk_id=f"{document}/{index}",
        document_id=document,
        content_hash=f"sha256:{index:064x}",
        text=text,
        index=index,
        source=f"contracts/{document}.txt",
    )


EXPIRY = chunk("euler-hermes", 7, "10. This Agreement shall expire at the end of five (5) years.")
LAW = chunk(
    "euler-hermes", 6, "8. This Agreement shall be exclusively governed by the laws of Maryland."
)
PERIOD = chunk(
    "halo", 1, "2. PERIOD OF CONFIDENTIALITY. RECIPIENT agrees that for a period of five years"
)
TERM = chunk(
    "evelozcity", 9, "10. Term. The confidentiality obligations contained in this Agreement expire"
)

SEARCH = Retrieval(
    retrieval_id="r1",
    retriever="VectorStoreRetriever",
    query=QUESTION,
    query_hash="hmac-sha256:00",
    hits=(
        Hit(EXPIRY, 0, 0.8124, "similarity"),
        Hit(LAW, 1, 0.6441, "similarity"),
        Hit(PERIOD, 2, 0.00004, "similarity"),
        Hit(TERM, 3, None, "similarity"),
    ),
    started_at=at(0),
    ended_at=at(12),
    k=4,
    filters={"type": "nda"},
    search_type="similarity",
    store="InMemoryVectorStore",
)
CALL = Generation(
    generation_id="g1",
    messages=(
        Message("system", "Answer from the context."),
        Message("user", f"{EXPIRY.text}\n{QUESTION}"),
    ),
    output="It lasts five years.",
    started_at=at(20),
    ended_at=at(1400),
    model="reader-1",
    provider="acme",
    usage=Usage(512, 12),
    finish_reasons=("stop",),
)
CONTEXT = Context(
    generation_id="g1",
    arrivals=(
        Arrival("halo/1", "halo", "absent", 0.0, reason="truncated", reason_detail="ContextBudget"),
        Arrival(
            "euler-hermes/6", "euler-hermes", "partial", 0.43, 0.12, 1, (PromptSpan(1, 61, 92),)
        ),
        Arrival("euler-hermes/7", "euler-hermes", "full", 1.0, 0.3, 0, (PromptSpan(1, 0, 61),)),
        Arrival("evelozcity/9", "evelozcity", "absent", 0.0, reason="not observed"),
    ),
    prompt_length=1240,
    unexplained_length=285,
)
TRAIL = Trail(
    response_id="0197f3a0-0001",
    status="ok",
    started_at=at(0),
    ended_at=at(1410),
    query_hash="hmac-sha256:00",
    question=QUESTION,
    answer="It lasts five years.",
    session_id="s-1",
    user_id="anna",
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    service="support-bot",
    framework="langchain",
    retrievals=(SEARCH,),
    contexts=(CONTEXT,),
    generations=(CALL,),
)


def test_an_answer_is_told_from_its_documents_to_what_could_not_be_seen():
    assert explain(TRAIL) == snapshot("""\
Response 0197f3a0-0001
  Question  How long does the agreement with Euler Hermes last?
  Answer    It lasts five years.
  Status    ok: answered
  When      2026-11-22 12:00:00 UTC, took 1.4 s
  Who       user anna, session s-1, service support-bot, recorded through langchain
  Model     reader-1
  Trace     4bf92f3577b34da6a3ce929d0e0e4736
  In short  4 chunks of 3 documents retrieved: 1 reached the model in full, 1 in part, 2 did not
            reach it.

Documents behind the answer
  in the prompt   euler-hermes  chunks 7, 6  contracts/euler-hermes.txt
  retrieved only  halo          chunk 1      contracts/halo.txt
  retrieved only  evelozcity    chunk 9      contracts/evelozcity.txt

What was retrieved (1 search)
  1. VectorStoreRetriever on InMemoryVectorStore, similarity search, k = 4, filter {'type': 'nda'},
     4 chunks, took 12 ms
     rank  score                document      chunk  text
     1     0.812 similarity     euler-hermes  7      10. This Agreement shall expire at the end of…
     2     0.644 similarity     euler-hermes  6      8. This Agreement shall be exclusively governe…
     3     4.00e-05 similarity  halo          1      2. PERIOD OF CONFIDENTIALITY. RECIPIENT agrees…
     4     no score             evelozcity    9      10. Term. The confidentiality obligations cont…

What the model read (1 call)
  1. reader-1 (acme), 2 messages, 512 tokens in, 12 tokens out, finished: stop, took 1.4 s
     place  arrived       of prompt  document      chunk  where
     1      full          30 %       euler-hermes  7      message 2, characters 0-61
     2      partial 43 %  12 %       euler-hermes  6      message 2, characters 61-92
     -      absent                   halo          1      truncated: ContextBudget
     -      absent                   evelozcity    9      not found in the prompt
     23 % of the prompt's 1,240 characters come from no retrieval.

What could not be seen
  - Why some chunks are absent: their words are not in the prompt. A summary or translation of them
    would not be recognised.
  - Where the rest of the prompt comes from: instructions, the question, earlier turns, or a search
    that is not being recorded.
  - Whether the answer says what these documents say: it was not checked. This shows what the model
    had before it, not whether it kept to it.
""")


def test_a_rerank_is_told_with_what_it_kept_and_how_it_scored_it():
    given = tuple(RankedChunk(hit.chunk.chunk_id, hit.score) for hit in SEARCH.hits)
    kept = (RankedChunk("halo/1", 0.98), RankedChunk("euler-hermes/7\x1b[31m"))
    rerank = Rerank("CrossEncoderReranker", given, kept, at(12), at(18), model="bge", top_k=2)
    assert (
        "  reranked by CrossEncoderReranker with bge: kept 2 of 4, best first: halo/1 (0.98),\n"
        in explain(replace(TRAIL, reranks=(rerank,)))
    )
    assert "\x1b" not in explain(replace(TRAIL, reranks=(rerank,)), full=True)
    nothing = replace(rerank, kept=())
    assert "kept 0 of 4\n" in explain(replace(TRAIL, reranks=(nothing,)))


def test_the_trail_tells_itself():
    assert TRAIL.why() == explain(TRAIL)


def test_the_full_text_shows_every_text_and_id_uncut():
    assert explain(TRAIL, full=True) == snapshot("""\
Response 0197f3a0-0001
  Question  How long does the agreement with Euler Hermes last?
  Answer    It lasts five years.
  Status    ok: answered
  When      2026-11-22 12:00:00 UTC, took 1.4 s
  Who       user anna, session s-1, service support-bot, recorded through langchain
  Model     reader-1
  Trace     4bf92f3577b34da6a3ce929d0e0e4736
  In short  4 chunks of 3 documents retrieved: 1 reached the model in full, 1 in part, 2 did not
            reach it.

Documents behind the answer
  in the prompt   euler-hermes  chunks euler-hermes/7, euler-hermes/6  contracts/euler-hermes.txt
  retrieved only  halo          chunk halo/1                           contracts/halo.txt
  retrieved only  evelozcity    chunk evelozcity/9                     contracts/evelozcity.txt

What was retrieved (1 search)
  1. VectorStoreRetriever on InMemoryVectorStore, similarity search, k = 4, filter {'type': 'nda'},
     4 chunks, took 12 ms
     rank  score                document      chunk           text
     1     0.812 similarity     euler-hermes  euler-hermes/7  10. This Agreement shall expire at th…
     2     0.644 similarity     euler-hermes  euler-hermes/6  8. This Agreement shall be exclusivel…
     3     4.00e-05 similarity  halo          halo/1          2. PERIOD OF CONFIDENTIALITY. RECIPIE…
     4     no score             evelozcity    evelozcity/9    10. Term. The confidentiality obligat…

     1: euler-hermes/7
        hash sha256:0000000000000000000000000000000000000000000000000000000000000007
        10. This Agreement shall expire at the end of five (5) years.

     2: euler-hermes/6
        hash sha256:0000000000000000000000000000000000000000000000000000000000000006
        8. This Agreement shall be exclusively governed by the laws of Maryland.

     3: halo/1
        hash sha256:0000000000000000000000000000000000000000000000000000000000000001
        2. PERIOD OF CONFIDENTIALITY. RECIPIENT agrees that for a period of five years

     4: evelozcity/9
        hash sha256:0000000000000000000000000000000000000000000000000000000000000009
        10. Term. The confidentiality obligations contained in this Agreement expire

What the model read (1 call)
  1. reader-1 (acme), 2 messages, 512 tokens in, 12 tokens out, finished: stop, took 1.4 s
     place  arrived       of prompt  document      chunk           where
     1      full          30 %       euler-hermes  euler-hermes/7  message 2, characters 0-61
     2      partial 43 %  12 %       euler-hermes  euler-hermes/6  message 2, characters 61-92
     -      absent                   halo          halo/1          truncated: ContextBudget
     -      absent                   evelozcity    evelozcity/9    not found in the prompt
     23 % of the prompt's 1,240 characters come from no retrieval.

     message 1 (system):
        Answer from the context.

     message 2 (user):
        10. This Agreement shall expire at the end of five (5) years.
        How long does the agreement with Euler Hermes last?

     said: It lasts five years.

What could not be seen
  - Why some chunks are absent: their words are not in the prompt. A summary or translation of them
    would not be recognised.
  - Where the rest of the prompt comes from: instructions, the question, earlier turns, or a search
    that is not being recorded.
  - Whether the answer says what these documents say: it was not checked. This shows what the model
    had before it, not whether it kept to it.
""")


def test_an_answer_without_any_search_says_that_its_sources_are_not_known():
    bare = replace(CALL, messages=(), usage=None, finish_reasons=(), provider=None, model=None)
    assert explain(replace(TRAIL, retrievals=(), contexts=(), generations=(bare,))) == snapshot("""\
Response 0197f3a0-0001
  Question  How long does the agreement with Euler Hermes last?
  Answer    It lasts five years.
  Status    ok: answered
  When      2026-11-22 12:00:00 UTC, took 1.4 s
  Who       user anna, session s-1, service support-bot, recorded through langchain
  Model     not known
  Trace     4bf92f3577b34da6a3ce929d0e0e4736
  In short  Nothing was retrieved for this answer.

Documents behind the answer
  none

What was retrieved (0 searches)
  nothing: no search was seen

What the model read (1 call)
  1. model not known, 0 messages, took 1.4 s

What could not be seen
  - Where its facts come from: no search was recorded. The model answered from what it learned in
    training, or the documents came by a way that is not being recorded.
  - Whether the answer says what these documents say: it was not checked. This shows what the model
    had before it, not whether it kept to it.
""")


def test_a_failed_answer_says_what_failed_and_how_far_it_came():
    call = replace(CALL, output=None, ended_at=None, error="TimeoutError: no reply in 30 s")
    failed = replace(
        TRAIL, status="error", answer=None, error="TimeoutError", contexts=(), generations=(call,)
    )
    assert explain(failed) == snapshot("""\
Response 0197f3a0-0001
  Question  How long does the agreement with Euler Hermes last?
  Answer    (none)
  Status    error: failed (TimeoutError)
  When      2026-11-22 12:00:00 UTC, took 1.4 s
  Who       user anna, session s-1, service support-bot, recorded through langchain
  Model     reader-1
  Trace     4bf92f3577b34da6a3ce929d0e0e4736
  In short  4 chunks of 3 documents retrieved; it was not seen whether a model read them.

Documents behind the answer
  retrieved only  euler-hermes  chunks 7, 6  contracts/euler-hermes.txt
  retrieved only  halo          chunk 1      contracts/halo.txt
  retrieved only  evelozcity    chunk 9      contracts/evelozcity.txt

What was retrieved (1 search)
  1. VectorStoreRetriever on InMemoryVectorStore, similarity search, k = 4, filter {'type': 'nda'},
     4 chunks, took 12 ms
     rank  score                document      chunk  text
     1     0.812 similarity     euler-hermes  7      10. This Agreement shall expire at the end of…
     2     0.644 similarity     euler-hermes  6      8. This Agreement shall be exclusively governe…
     3     4.00e-05 similarity  halo          1      2. PERIOD OF CONFIDENTIALITY. RECIPIENT agrees…
     4     no score             evelozcity    9      10. Term. The confidentiality obligations cont…

What the model read (1 call)
  1. reader-1 (acme), 2 messages, 512 tokens in, 12 tokens out, finished: stop
     failed: TimeoutError: no reply in 30 s

What could not be seen
  - What reached the model: its prompt was not compared with the chunks.
""")


def test_a_search_without_a_model_is_not_called_answered():
    told = explain(replace(TRAIL, answer=None, contexts=(), generations=()))
    assert "  Answer    (none)\n" in told
    assert "  Status    ok: searched; no answer was seen\n" in told


def test_a_call_of_which_nothing_came_back_is_not_taken_for_a_text_that_was_left_out():
    call = replace(CALL, output=None, ended_at=None, error="never ended")
    cut = replace(TRAIL, status="aborted", answer=None, generations=(call,))
    assert "said: (nothing was seen)" in explain(cut, full=True)
    assert "(text not kept)" not in explain(cut, full=True)


def test_where_the_question_is_not_known_that_is_said():
    assert "  Question  not known\n" in explain(replace(TRAIL, question=""))


def test_a_text_of_nothing_but_space_is_called_empty():
    for full in (False, True):
        assert "  Answer    (empty)\n" in explain(replace(TRAIL, answer=" \n"), full=full)


def test_what_a_call_said_is_shown_where_the_answer_is_another():
    other = replace(CALL, generation_id="g2", output="It lasts for a different time.")
    told = explain(replace(TRAIL, generations=(other, CALL)))
    assert told.count("said: ") == 1
    assert "     said: It lasts for a different time.\n" in told


def test_a_source_that_is_the_documents_id_is_not_said_twice():
    hit = Hit(replace(EXPIRY, source="euler-hermes"), 0)
    told = explain(replace(TRAIL, retrievals=(replace(SEARCH, hits=(hit,)),), contexts=()))
    assert "  retrieved only  euler-hermes  chunk 7\n" in told


def test_where_texts_are_not_kept_ids_scores_and_positions_still_tell_the_story():
    hits = tuple(replace(h, chunk=replace(h.chunk, text=None)) for h in SEARCH.hits)
    messages = tuple(replace(m, text=None) for m in CALL.messages)
    silent = replace(
        TRAIL,
        question=None,
        answer=None,
        retrievals=(replace(SEARCH, query=None, hits=hits),),
        generations=(replace(CALL, messages=messages, output=None),),
    )
    assert explain(silent) == snapshot("""\
Response 0197f3a0-0001
  Question  (text not kept)
  Answer    (text not kept)
  Status    ok: answered
  When      2026-11-22 12:00:00 UTC, took 1.4 s
  Who       user anna, session s-1, service support-bot, recorded through langchain
  Model     reader-1
  Trace     4bf92f3577b34da6a3ce929d0e0e4736
  In short  4 chunks of 3 documents retrieved: 1 reached the model in full, 1 in part, 2 did not
            reach it.

Documents behind the answer
  in the prompt   euler-hermes  chunks 7, 6  contracts/euler-hermes.txt
  retrieved only  halo          chunk 1      contracts/halo.txt
  retrieved only  evelozcity    chunk 9      contracts/evelozcity.txt

What was retrieved (1 search)
  1. VectorStoreRetriever on InMemoryVectorStore, similarity search, k = 4, filter {'type': 'nda'},
     4 chunks, took 12 ms
     rank  score                document      chunk  text
     1     0.812 similarity     euler-hermes  7      (text not kept)
     2     0.644 similarity     euler-hermes  6      (text not kept)
     3     4.00e-05 similarity  halo          1      (text not kept)
     4     no score             evelozcity    9      (text not kept)

What the model read (1 call)
  1. reader-1 (acme), 2 messages, 512 tokens in, 12 tokens out, finished: stop, took 1.4 s
     place  arrived       of prompt  document      chunk  where
     1      full          30 %       euler-hermes  7      message 2, characters 0-61
     2      partial 43 %  12 %       euler-hermes  6      message 2, characters 61-92
     -      absent                   halo          1      truncated: ContextBudget
     -      absent                   evelozcity    9      not found in the prompt
     23 % of the prompt's 1,240 characters come from no retrieval.

What could not be seen
  - Why some chunks are absent: their words are not in the prompt. A summary or translation of them
    would not be recognised.
  - Where the rest of the prompt comes from: instructions, the question, earlier turns, or a search
    that is not being recorded.
  - Whether the answer says what these documents say: it was not checked. This shows what the model
    had before it, not whether it kept to it.
""")


def test_an_agents_searches_tools_and_calls_are_told_in_order_with_what_belongs_together():
    rewrite = Generation("g0", (Message("user", "rewrite"),), "?", at(0), at(5), auxiliary=True)
    nested = replace(
        SEARCH,
        retrieval_id="r2",
        retriever="BM25Retriever",
        query="Euler Hermes term",
        enclosing_id="r1",
        hits=(Hit(EXPIRY, 0, 11.2, "unknown"),),
        tool_call_id="call-1",
        k=None,
        filters=None,
        store=None,
        search_type=None,
    )
    empty = replace(nested, retrieval_id="r3", enclosing_id=None, hits=())
    failed = replace(empty, retrieval_id="r4", error="ConnectionError: refused")
    tools = (
        ToolCall("t1", "search_contracts", '{"q": "term"}', "five years", at(30), at(60), "call-1"),
        ToolCall("t2", "broken", None, None, at(60), at(61), error="ValueError: no"),
    )
    agent = replace(
        TRAIL,
        retrievals=(SEARCH, nested, empty, failed),
        generations=(rewrite, CALL),
        tool_calls=tools,
    )
    assert explain(agent) == snapshot("""\
Response 0197f3a0-0001
  Question  How long does the agreement with Euler Hermes last?
  Answer    It lasts five years.
  Status    ok: answered
  When      2026-11-22 12:00:00 UTC, took 1.4 s
  Who       user anna, session s-1, service support-bot, recorded through langchain
  Model     reader-1
  Trace     4bf92f3577b34da6a3ce929d0e0e4736
  In short  4 chunks of 3 documents retrieved: 1 reached the model in full, 1 in part, 2 did not
            reach it.

Documents behind the answer
  in the prompt   euler-hermes  chunks 7, 6  contracts/euler-hermes.txt
  retrieved only  halo          chunk 1      contracts/halo.txt
  retrieved only  evelozcity    chunk 9      contracts/evelozcity.txt

What was retrieved (4 searches)
  1. VectorStoreRetriever on InMemoryVectorStore, similarity search, k = 4, filter {'type': 'nda'},
     4 chunks, took 12 ms
     rank  score                document      chunk  text
     1     0.812 similarity     euler-hermes  7      10. This Agreement shall expire at the end of…
     2     0.644 similarity     euler-hermes  6      8. This Agreement shall be exclusively governe…
     3     4.00e-05 similarity  halo          1      2. PERIOD OF CONFIDENTIALITY. RECIPIENT agrees…
     4     no score             evelozcity    9      10. Term. The confidentiality obligations cont…
  2. BM25Retriever, as part of search 1, for tool call call-1, 1 chunk, took 12 ms
     asked for: Euler Hermes term
     rank  score                  document      chunk  text
     1     11.200 (kind unknown)  euler-hermes  7      10. This Agreement shall expire at the end o…
  3. BM25Retriever, for tool call call-1, 0 chunks, took 12 ms
     asked for: Euler Hermes term
     found nothing
  4. BM25Retriever, for tool call call-1, 0 chunks, took 12 ms
     asked for: Euler Hermes term
     failed: ConnectionError: refused

What the model read (2 calls)
  1. model not known, in preparation, its output is not the answer, 1 message, took 5 ms
     said: ?
  2. reader-1 (acme), 2 messages, 512 tokens in, 12 tokens out, finished: stop, took 1.4 s
     place  arrived       of prompt  document      chunk  where
     1      full          30 %       euler-hermes  7      message 2, characters 0-61
     2      partial 43 %  12 %       euler-hermes  6      message 2, characters 61-92
     -      absent                   halo          1      truncated: ContextBudget
     -      absent                   evelozcity    9      not found in the prompt
     23 % of the prompt's 1,240 characters come from no retrieval.

Tools called (2 calls)
  1. search_contracts, took 30 ms
     given:    {"q": "term"}
     returned: five years
  2. broken, took 1 ms
     given:    (text not kept)
     failed:   ValueError: no

What could not be seen
  - What the scores mean: it is not known whether larger is better; the rank is what counts.
  - Why some chunks are absent: their words are not in the prompt. A summary or translation of them
    would not be recognised.
  - Where the rest of the prompt comes from: instructions, the question, earlier turns, or a search
    that is not being recorded.
  - Whether the answer says what these documents say: it was not checked. This shows what the model
    had before it, not whether it kept to it.
""")


def test_derived_ids_and_chunks_that_cannot_be_told_apart_are_admitted():
    nameless = replace(
        EXPIRY, document_id="sha256:" + "a" * 64, document_id_origin="derived", index=None
    )
    twin = Arrival(
        "euler-hermes/7", nameless.document_id, "ambiguous", 1.0, 0.3, 0, (PromptSpan(1, 0, 61),)
    )
    told = explain(
        replace(
            TRAIL,
            retrievals=(replace(SEARCH, hits=(Hit(nameless, 0),)),),
            contexts=(replace(CONTEXT, arrivals=(twin,)),),
        )
    )
    assert "The real names of 1 document" in told
    assert "Which of several chunks with the same text was read" in told
    assert "no scores were given by VectorStoreRetriever" in told


def test_long_tables_are_cut_with_a_count_and_whole_in_the_full_text():
    hits = tuple(Hit(chunk("doc", n, f"text {n}"), n, 1.0, "distance") for n in range(40))
    many = replace(TRAIL, retrievals=(replace(SEARCH, hits=hits),))
    assert "... and 28 more, see the full text (--full)" in explain(many)
    assert "text 39" in explain(many, full=True)


def test_nothing_hostile_reaches_the_terminal():
    evil = replace(
        EXPIRY,
        chunk_id=f"c{ESCAPES}",
        document_id=f"d{ESCAPES}",
        text=ESCAPES * 3,
        source=ESCAPES,
        index=None,
    )
    told = explain(
        replace(
            TRAIL,
            response_id=ESCAPES,
            question=ESCAPES,
            answer=f"line\n{ESCAPES}",
            error=ESCAPES,
            session_id=ESCAPES,
            retrievals=(replace(SEARCH, retriever=ESCAPES, filters=ESCAPES, hits=(Hit(evil, 0),)),),
            generations=(replace(CALL, model=ESCAPES, messages=(Message(ESCAPES, ESCAPES),)),),
        ),
        full=True,
    )
    assert all(line.isprintable() for line in told.splitlines())
    assert "\\x1b[31mred" in told


def test_a_text_of_a_megabyte_is_shown_as_an_excerpt():
    huge = replace(
        EXPIRY, text="five years " * 100_000, chunk_id="c" * 100_000, document_id="d" * 100_000
    )
    told = explain(replace(TRAIL, retrievals=(replace(SEARCH, hits=(Hit(huge, 0, 1.0),)),)))
    assert len(told) < 5_000


@given(st.text())
def test_printable_text_holds_only_visible_characters_and_spaces(text: str):
    shown = printable(text)
    assert all(c.isprintable() or c in "\u200c\u200d" or c.isspace() for c in shown)
    assert "\x1b" not in shown
    shown.encode()


@given(st.text(), st.integers(min_value=2, max_value=60))
def test_one_line_is_one_line_and_never_wider_than_asked(text: str, width: int):
    line = one_line(text, width)
    assert len(line.splitlines()) <= 1
    assert len(line) <= width or not line.isascii()


def test_wide_characters_count_twice_and_columns_stay_aligned():
    assert one_line("契約の期間は五年間です", 9) == "契約の期…"
    assert list(columns([["契約", "a"], ["nda1", "b"], ["x", "c"]])) == [
        "契約  a",
        "nda1  b",
        "x     c",
    ]


def test_what_people_write_stays_as_it_is():
    for text in ("naïve café", "emoji 👩\u200d💻", "שלום", "契約", "non\u00a0breaking"):
        assert printable(text) == text


def test_paragraphs_keep_line_breaks_and_spell_out_the_rest():
    assert list(paragraphs("a\n\tb\x1b[2J\r\nc ")) == ["a", "    b\\x1b[2J", "c"]
