"""A trail as bytes: all of it comes back, each text once, whatever hosts put into it."""

import json
import string
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.model import (
    Arrival,
    CarriedChunk,
    Chunk,
    Context,
    Generation,
    Hit,
    Message,
    PromptSpan,
    Retrieval,
    ToolCall,
    Trail,
    Usage,
)
from doctrail_core.text.identity import content_hash
from doctrail_core.trails.codec import decode, encode, joined, taken_apart
from doctrail_core.trails.prompts import ERASED

words = st.text(max_size=20)
names = st.text(string.ascii_letters, min_size=1, max_size=6)
times = st.datetimes(timezones=st.just(UTC))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)


@st.composite
def trails(draw):
    texts = draw(st.lists(words.filter(bool), max_size=3))
    chunks = [
        Chunk(f"c{n}", f"d{n % 2}", content_hash(text), text, n, metadata=draw(json_metadata))
        for n, text in enumerate(texts)
    ]
    hits = tuple(Hit(chunk, n, draw(scores)) for n, chunk in enumerate(chunks))
    prompt, arrivals = draw(words), []
    for chunk in chunks:
        span = PromptSpan(0, len(prompt), len(prompt) + len(chunk.text))
        prompt += chunk.text + draw(words)
        right = draw(st.booleans())
        spans = (span if right else PromptSpan(0, draw(small), draw(small)),)
        arrivals.append(Arrival(chunk.chunk_id, chunk.document_id, "full", 1.0, spans=spans))
    messages = (Message("user", prompt), Message("assistant", None), Message("tool", draw(words)))
    earlier = [
        CarriedChunk(
            Chunk(f"e{n}", "d", content_hash(text), text), way, *draw(st.sampled_from(_ORIGINS))
        )
        for n, (text, way) in enumerate(draw(carried))
    ]
    at = draw(times)
    return Trail(
        response_id=draw(names),
        status=draw(st.sampled_from(["ok", "error", "aborted", "interrupted"])),
        started_at=at,
        ended_at=at,
        query_hash="h",
        question=draw(st.none() | words),
        answer=draw(st.none() | words),
        retrievals=(
            Retrieval("r", "bm25", draw(words), "h", hits, at, at, filters=draw(json_values)),
        ),
        contexts=(Context("g1", tuple(arrivals), len(prompt), 0),),
        generations=(
            Generation("g1", messages, draw(words), at, None, usage=Usage(1, None, 2)),
            Generation("g2", messages, None, at, at, parameters=draw(json_metadata)),
        ),
        tool_calls=(ToolCall("t", "search", draw(words), None, at, at),),
        carried=tuple(earlier),
        turn=draw(st.none() | st.integers(1, 300)),
    )


_ORIGINS = [(None, None, None), ("r1", 1, None), ("r1", 1, "r6")]
carried = st.lists(
    st.tuples(words, st.sampled_from(["artifact", "text", "answer", "tool"])), max_size=2
)
scores = st.none() | st.floats(allow_nan=False, allow_infinity=False)
small = st.integers(0, 40)
json_metadata = st.dictionaries(names, json_values, max_size=2)


@given(trails())
def test_a_trail_comes_back_from_its_bytes(trail):
    assert decode(encode(trail)) == trail


@given(trails())
def test_the_bytes_can_lie_in_a_spool(trail):
    assert b"\xff" not in encode(trail)
    encode(trail).decode()


def test_a_text_is_in_the_bytes_once(make_trail):
    text = "A clause that is long enough to matter."
    trail = make_trail(texts={"doc_4": text})
    assert text in trail.generations[0].messages[0].text
    assert encode(trail).count(text.encode()) == 1


def test_question_and_answer_are_not_in_the_body(make_trail):
    trail = make_trail(
        question="Only asked once?", answer="Yes, once.", retrievals=(), generations=()
    )
    body = taken_apart(encode(replace(trail, contexts=()))).body
    assert b"Only asked once?" not in body
    assert b"Yes, once." not in body


def test_a_chunk_that_arrived_with_other_blanks_leaves_the_prompt_as_it_was(make_trail):
    trail = make_trail(texts={"doc_4": "two  blanks"})
    (generation,) = trail.generations
    (message,) = generation.messages
    sent = replace(message, text=message.text.replace("two  blanks", "two\n blanks"))
    trail = replace(trail, generations=(replace(generation, messages=(sent,)),))
    assert decode(encode(trail)) == trail


def test_two_chunks_that_claim_the_same_place_leave_the_prompt_as_it_was(make_trail):
    trail = make_trail(texts={"doc_4": "the same text", "doc_5": "the same text"})
    (context,) = trail.contexts
    spans = context.arrivals[0].spans
    arrivals = tuple(replace(arrival, spans=spans) for arrival in context.arrivals)
    trail = replace(trail, contexts=(replace(context, arrivals=arrivals),))
    assert decode(encode(trail)) == trail


def test_an_erased_text_has_gone_from_the_prompt_as_well(make_trail):
    parts = taken_apart(encode(make_trail(texts={"doc_4": "to be erased", "doc_5": "to be kept"})))
    kept = {key: text for key, text in parts.texts.items() if text == "to be kept"}
    trail = joined(parts.body, parts.question, parts.answer, kept)
    assert [chunk.text for chunk in trail.chunks.values()] == [None, "to be kept"]
    prompt = trail.generations[0].messages[0].text
    assert prompt == f"When is the renewal deadline?\n{ERASED}\nto be kept\n"


def test_lone_surrogates_become_replacement_characters(make_trail):
    trail = make_trail("r\ud800", question="q\udfff", texts={"d\ud800": "text \udcff"})
    back = decode(encode(trail))
    assert back.question == "q\ufffd"
    assert [chunk.text for chunk in back.chunks.values()] == ["text \ufffd"]


def test_numbers_that_are_none_become_none(make_trail):
    trail = make_trail()
    (retrieval,) = trail.retrievals
    hits = tuple(replace(hit, score=float("nan")) for hit in retrieval.hits)
    back = decode(encode(replace(trail, retrievals=(replace(retrieval, hits=hits),))))
    assert back.retrievals[0].hits[0].score is None


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"{}\n[]\n{}", b"[]\n[]\n{}", b"nonsense", b"1\n2\n3"]
)
def test_bytes_that_are_no_trail_are_refused(data):
    with pytest.raises(ValueError, match=r".+"):
        decode(data)


def test_a_megabyte_of_text_is_nothing_special(make_trail):
    text = json.dumps("x" * (1 << 20))
    trail = make_trail(texts={"doc_4": text})
    assert decode(encode(trail)) == trail


def test_times_keep_their_microseconds(make_trail):
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    trail = make_trail(started_at=at, ended_at=at)
    assert decode(encode(trail)).started_at == at
    assert taken_apart(encode(trail)).started_us == 1767323045678901
