"""What an answer is checked against is what arrived, character for character."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.grounding.passages import arrived, other_prompt_text
from doctrail_core.model import (
    Arrival,
    CarriedChunk,
    Context,
    Generation,
    Message,
    PromptSpan,
)

TEXT = "The renewal deadline is February 28th.\nNotice is given in writing.\nFees are due in May."


def with_part(trail, shown, state="partial"):
    """The trail, had only these stretches of its chunk arrived."""
    (retrieval,) = trail.retrievals
    (hit,) = retrieval.hits
    spans, prompt = [], "Context:\n"
    for stretch in shown:
        spans.append(PromptSpan(0, len(prompt), len(prompt) + len(stretch)))
        prompt += stretch + "\n...\n"
    arrival = Arrival(hit.chunk.chunk_id, "doc_4", state, 0.5, 0.2, 0, tuple(spans))
    (generation,) = trail.generations
    return replace(
        trail,
        generations=(replace(generation, messages=(Message("user", prompt),)),),
        contexts=(Context(generation.generation_id, (arrival,), len(prompt), 0),),
    )


def test_a_chunk_that_arrived_whole_is_a_passage_as_it_is(make_trail):
    (passage,) = arrived(make_trail(texts={"doc_4": TEXT}))
    assert (passage.chunk_id, passage.document_id, passage.text) == ("doc_4#0", "doc_4", TEXT)


def test_of_a_chunk_that_was_cut_the_rest_is_blank_and_offsets_stay(make_trail):
    lines = TEXT.splitlines()
    trail = with_part(make_trail(texts={"doc_4": TEXT}), [lines[0], lines[2]])
    (passage,) = arrived(trail)
    assert len(passage.text) == len(TEXT)
    assert passage.text.split("  ")[0] == lines[0]
    assert passage.text.index("Fees") == TEXT.index("Fees")
    assert "Notice" not in passage.text


def test_a_stretch_that_was_wrapped_anew_is_found_line_by_line(make_trail):
    shown = "The renewal deadline is February 28th.\n  Notice is given in writing.\n[cut]"
    (passage,) = arrived(with_part(make_trail(texts={"doc_4": TEXT}), [shown]))
    assert "Notice is given in writing." in passage.text
    assert "Fees" not in passage.text


def test_a_chunk_that_did_not_arrive_is_no_passage(make_trail):
    assert arrived(with_part(make_trail(texts={"doc_4": TEXT}), [], "absent")) == ()


def test_what_two_prompts_read_of_a_chunk_counts_together(make_trail):
    lines = TEXT.splitlines()
    trail = with_part(make_trail(texts={"doc_4": TEXT}), [lines[0]])
    other = with_part(make_trail(texts={"doc_4": TEXT}), [lines[2]])
    second = replace(other.generations[0], generation_id="second")
    both = replace(
        trail,
        generations=(*trail.generations, second),
        contexts=(*trail.contexts, replace(other.contexts[0], generation_id="second")),
    )
    (passage,) = arrived(both)
    assert "deadline" in passage.text
    assert "Fees" in passage.text
    assert "Notice" not in passage.text


def test_chunks_behind_earlier_answers_come_last(make_trail):
    trail = make_trail(texts={"doc_4": TEXT})
    earlier = make_trail(texts={"doc_9": "Earlier."}).retrievals[0].hits[0].chunk
    carried = replace(trail, carried=(CarriedChunk(earlier, "answer", "before", 1, "before"),))
    assert [p.document_id for p in arrived(carried)] == ["doc_4", "doc_9"]


def test_prompt_text_that_no_chunk_explains_is_told_apart_from_the_question(make_trail):
    trail = make_trail()
    texts = ("You answer about the harbour office. It opens at nine.", trail.question)
    messages = tuple(
        Message(role, text) for role, text in zip(("system", "user"), texts, strict=True)
    )
    unexplained = tuple(PromptSpan(n, 0, len(text)) for n, text in enumerate(texts))
    told = replace(
        trail,
        generations=(replace(trail.generations[0], messages=messages),),
        contexts=(replace(trail.contexts[0], unexplained=unexplained),),
    )
    (other,) = other_prompt_text(told)
    assert other.text == texts[0]


@given(st.text(max_size=200), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 60))))
def test_a_passage_holds_nothing_but_what_its_chunk_has_there(text, cuts):
    from datetime import UTC, datetime

    from doctrail_core.model import Chunk, Hit, Retrieval, Trail

    now = datetime(2026, 1, 1, tzinfo=UTC)
    chunk = Chunk("c", "d", None, text)
    bare = Trail(
        "r",
        "ok",
        now,
        now,
        "",
        retrievals=(Retrieval("s", "r", "q", "", (Hit(chunk, 0),), now, now),),
        generations=(Generation("g", (), "answer", now, now),),
        contexts=(Context("g", (), 0, 0),),
    )
    chunk_id = chunk.chunk_id
    prompt = " ".join(text[start : start + length] for start, length in cuts)
    spans = (PromptSpan(0, 0, len(prompt)),)
    arrival = Arrival(chunk_id, "d", "partial", 0.5, 0.1, 0, spans)
    cut = replace(
        bare,
        generations=(replace(bare.generations[0], messages=(Message("user", prompt),)),),
        contexts=(Context("g", (arrival,), len(prompt), 0),),
    )
    for passage in arrived(cut):
        assert len(passage.text) == len(text)
        assert all(a in (b, " ") for a, b in zip(passage.text, text, strict=True))
