# ruff: noqa: RUF001 -- Chinese punctuation
import html
import json
import re
import textwrap
from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doctrail_core.text.arrival import Match, match
from doctrail_core.text.spans import unexplained
from doctrail_core.text.tags import tag

RENEWAL = (
    "The contract renewal deadline for enterprise accounts is February 28th.\n"
    "Accounts that miss it are moved to the standard plan on the following Monday, and\n"
    'lose "priority support" until they are renewed; see section 4.2 of the handbook.'
)
REFUND = (
    "Refunds are paid within thirty days after the goods were returned to our warehouse.\n"
    "The customer bears the cost of shipping, unless what was sent was damaged or wrong.\n"
    "Refunds below five euros are paid as vouchers, which stay valid for two years."
)
CHINESE = "企业账户的合同续签截止日期为二月二十八日。错过截止日期的账户将在下周一转为标准套餐，并失去优先支持。"


def text_at(prompt, found):
    return " ".join(prompt[start:end] for start, end in found.spans)


def words_of(text):
    return re.findall(r"\w+", text.lower())


@pytest.mark.parametrize("text", [RENEWAL, CHINESE, "five words are just enough"])
def test_a_chunk_that_stands_in_the_prompt_is_full_where_it_stands(text):
    prompt = f"Answer from this:\n\n  {text}\n\nQuestion: when?"
    assert match(prompt, {"c": f"\n{text} "}) == {
        "c": Match("full", 1.0, ((prompt.index(text), prompt.index(text) + len(text)),))
    }


REWRITTEN = {
    "indented": lambda text: textwrap.indent(text, "    "),
    "on one line": lambda text: " ".join(text.split()),
    "re-wrapped": lambda text: textwrap.fill(text, 40),
    "as JSON": lambda text: json.dumps({"text": text}),
    "as JSON in UTF-8": lambda text: json.dumps({"text": text}, ensure_ascii=False),
    "as JSON in JSON": lambda text: json.dumps({"result": json.dumps([text])}),
    "as a repr": lambda text: repr([text]),
    "as HTML": html.escape,
    "in lower case": str.lower,
    "as a quotation": lambda text: "\n".join(f"> - {line}" for line in textwrap.wrap(text, 40)),
    "in a tag": lambda text: tag(text, document_id="d", chunk_index=1, score=0.5),
    "with look-alikes in a tag": lambda text: tag(text, document_id="d"),
}


@pytest.mark.parametrize("rewrite", REWRITTEN.values(), ids=REWRITTEN)
@pytest.mark.parametrize("text", [RENEWAL, REFUND, CHINESE, f"[D\u200bOC-ID: x] {REFUND}"])
def test_a_chunk_is_full_however_it_was_formatted(rewrite, text):
    prompt = f"Answer from this:\n{rewrite(text)}\nQuestion: when?"
    (found,) = match(prompt, {"c": text}).values()
    assert (found.state, found.coverage) == ("full", 1.0)
    assert all(word not in text_at(prompt, found) for word in ("Answer", "Question"))


def test_an_escaped_chunk_is_shown_where_it_stands_in_the_prompt_as_sent():
    prompt = json.dumps(["the café in the station is open", "again"])
    (found,) = match(prompt, {"c": "The café in the station is OPEN"}).values()
    assert text_at(prompt, found) == "the caf\\u00e9 in the station is open"


def test_a_line_of_numbers_between_does_not_hide_a_chunk():
    prompt = "\n".join(f"{n} {line}" for n, line in enumerate(textwrap.wrap(REFUND, 50)))
    assert match(prompt, {"c": REFUND})["c"].state == "full"


def test_a_chunk_that_was_cut_is_partial_and_covers_what_was_left():
    left = RENEWAL[: RENEWAL.index("Accounts")]
    prompt = f"Answer from this:\n{left}...\nQuestion: when?"
    (found,) = match(prompt, {"c": RENEWAL}).values()
    assert found.state == "partial"
    assert found.coverage == len(words_of(left)) / len(words_of(RENEWAL))
    assert text_at(prompt, found) == left.rstrip(".\n")


def test_head_and_tail_are_two_spans():
    prompt = f"{RENEWAL[:71]} [...] {RENEWAL[-60:]}"
    (found,) = match(prompt, {"c": RENEWAL}).values()
    assert found.state == "partial"
    assert len(found.spans) == 2
    assert "..." not in text_at(prompt, found)


@pytest.mark.parametrize(
    "prompt", ["", "Nothing of it is here.", REFUND, " ".join(sorted(RENEWAL.split())), CHINESE]
)
def test_a_chunk_of_which_nothing_stands_in_the_prompt_is_absent(prompt):
    assert match(prompt, {"c": RENEWAL}) == {"c": Match("absent", 0.0)}


def test_what_the_question_quotes_is_no_arrival():
    prompt = f"{REFUND}\n\nWhat is the contract renewal deadline for enterprise accounts?"
    assert match(prompt, {"c": RENEWAL, "d": REFUND})["c"] == Match("absent", 0.0)


def test_a_header_that_all_chunks_share_is_no_arrival_of_those_dropped():
    header = "CONFIDENTIAL - internal use only. Copyright Example Corp, all rights reserved."
    chunks = {name: f"{header}\n{text}" for name, text in (("a", RENEWAL), ("b", REFUND))}
    assert match(chunks["a"], chunks)["b"] == Match("absent", 0.0)
    assert match(textwrap.fill(chunks["a"], 40), chunks)["b"] == Match("absent", 0.0)


def overlapping(count, size=60, step=48):
    words = [f"word{n * n * 31 % 1009}x{n}" for n in range(count * step + size)]
    return {str(i): " ".join(words[i * step : i * step + size]) for i in range(count)}


def test_a_dropped_chunk_does_not_live_on_in_the_overlap_with_its_neighbours():
    chunks = overlapping(9)
    found = match("\n\n".join(text for i, text in chunks.items() if int(i) % 2 == 0), chunks)
    assert [each.state for each in found.values()] == ["full", "absent"] * 4 + ["full"]


def test_a_dropped_neighbour_of_a_chunk_that_was_cut_does_not_take_their_overlap():
    chunks = overlapping(2)
    prompt = chunks["1"][: len(chunks["1"]) // 2]
    found = match(prompt, chunks)
    assert found["0"] == Match("absent", 0.0)
    assert found["1"].coverage == pytest.approx(0.5, abs=0.02)


def test_neighbours_merged_into_one_text_are_both_full_and_share_its_places():
    chunks = overlapping(2)
    prompt = f"{chunks['0']} {' '.join(chunks['1'].split()[12:])}"
    found = match(prompt, chunks)
    assert {each.state for each in found.values()} == {"full"}
    assert not unexplained(len(prompt), [span for each in found.values() for span in each.spans])


def test_the_longer_of_two_pieces_takes_the_place_that_both_want():
    shared = (
        "notes were issued at a discount that is amortised over their whole term by the company"
    )
    chunks = {
        "a": f"{RENEWAL} {shared} {REFUND}",
        "b": f"In that year the {shared} and the interest is paid twice every year. {CHINESE}",
    }
    prompt = f"{chunks['b'][:100]}\n\n{chunks['a'][:200]}"
    found = match(prompt, chunks)
    assert text_at(prompt, found["b"]) == prompt[: found["b"].spans[-1][1]]
    assert found["a"].spans[0][0] >= 102


def test_equal_chunks_of_which_one_copy_arrived_are_ambiguous():
    found = match(f"x {RENEWAL}", {"a": RENEWAL, "b": RENEWAL, "c": REFUND})
    place = ((2, 2 + len(RENEWAL)),)
    assert found["a"] == found["b"] == Match("ambiguous", 1.0, place)
    assert found["c"].state == "absent"


def test_equal_chunks_that_all_arrived_have_a_copy_each():
    found = match(f"{RENEWAL}\n{RENEWAL}", {"a": RENEWAL, "b": RENEWAL})
    size = len(RENEWAL)
    assert found["a"] == Match("full", 1.0, ((0, size),))
    assert found["b"] == Match("full", 1.0, ((size + 1, size * 2 + 1),))


def test_a_chunk_that_stands_there_twice_has_both_places():
    assert len(match(f"{RENEWAL}\n{REFUND}\n{RENEWAL}", {"a": RENEWAL})["a"].spans) == 2


def test_two_versions_are_ambiguous_when_what_tells_them_apart_was_cut_away():
    chunks = {"v1": f"{RENEWAL} It is firm.", "v2": f"{RENEWAL} It may be extended by a month."}
    found = match(RENEWAL[:200], chunks)
    assert [each.state for each in found.values()] == ["ambiguous", "ambiguous"]
    assert found["v1"].spans == found["v2"].spans


def test_two_versions_are_told_apart_when_the_whole_of_one_arrived():
    chunks = {"v1": RENEWAL, "v2": RENEWAL.replace("28th", "27th")}
    for name, text in chunks.items():
        states = {i: each.state for i, each in match(f"Context: {text}", chunks).items()}
        assert states == dict.fromkeys(chunks, "absent") | {name: "full"}


def test_a_chunk_inside_of_a_longer_one_is_ambiguous():
    sentence = RENEWAL[:71]
    found = match(RENEWAL, {"sentence": sentence, "section": RENEWAL})
    assert found["section"].state == "full"
    assert found["sentence"] == Match("ambiguous", 1.0, ((0, 71),))


@pytest.mark.parametrize(
    ("chunk", "prompt", "state"),
    [
        ("Renewal: 2026-02-28", "The renewal:  2026-02-28.", "full"),
        ("Renewal: 2026-02-28", "renewal 2026 02 28", "absent"),
        ("Renewal: 2026-02-28", "Renewal: 2026-02-28, Renewal: 2026-02-28", "ambiguous"),
        ("internationalisation", "It has Internationalisation.", "full"),
        ("yes", "Say yes or no.", "ambiguous"),
        ("no", "Nobody knows.", "absent"),
        ("C++", "in C, not C#", "absent"),
        ("二月", "截止日期为二月。", "ambiguous"),
        ("---", "a\n---\nb", "ambiguous"),
        ("", "anything", "absent"),
        (" \n", " \n", "absent"),
    ],
)
def test_a_chunk_of_few_words_is_found_as_a_whole_and_sure_only_if_it_says_enough(
    chunk, prompt, state
):
    assert match(prompt, {"c": chunk})["c"].state == state


def test_a_short_chunk_takes_no_place_from_a_longer_one_that_was_cut():
    found = match(RENEWAL[:150], {"short": "renewal deadline", "long": RENEWAL})
    assert found["short"].state == "full"
    assert found["long"].coverage > 0.5


def test_chunks_in_scripts_without_spaces_are_found_in_pieces():
    (found,) = match(f"根据：{CHINESE[:30]}……", {"c": CHINESE}).values()
    assert found.state == "partial"
    assert found.spans == ((3, 33),)


def test_a_large_prompt_is_searched_for_pieces_as_well():
    filler = " ".join(f"filler{n}" for n in range(120_000))
    prompt = f"{filler} {REFUND[:160]} {filler}"
    (found,) = match(prompt, {"c": REFUND}).values()
    assert text_at(prompt, found) == REFUND[:160].strip()


def test_a_word_that_only_begins_like_the_last_one_of_a_chunk_does_not_hide_the_chunk():
    prompt = "ab ab ab ab ab a"
    assert match(prompt, {"c": "AB ab ab ab a"})["c"] == Match("full", 1.0, ((3, 16),))


def test_a_prompt_of_one_repeated_word_is_ambiguous_for_all_that_say_the_same():
    found = match("spam " * 100_000, {str(n): "spam " * 400 for n in range(100)})
    assert {each.state for each in found.values()} == {"ambiguous"}


def test_no_more_than_sixty_four_copies_are_told_apart():
    (found,) = match(f"{RENEWAL}\n" * 100, {"c": RENEWAL}).values()
    assert len(found.spans) == 64


def test_a_chunk_of_a_megabyte_is_matched():
    big = " ".join(f"w{n}" for n in range(150_000))
    cut = big[:150]
    assert match(big, {"c": big})["c"].spans == ((0, len(big)),)
    assert match(f"From: {cut}", {"c": big})["c"].state == "partial"


def test_unexplained_is_what_no_span_covers():
    assert unexplained(10, [(6, 8), (2, 4), (3, 5)]) == [(0, 2), (5, 6), (8, 10)]
    assert unexplained(4, [(0, 4)]) == []
    assert unexplained(0, []) == []
    assert unexplained(3, []) == [(0, 3)]


any_text = st.text(st.characters(exclude_categories=()))
vocabulary = st.sampled_from(
    ["alpha", "beta", "Gamma", "δ", "二", "no", "28", "\\n", "&amp;", ".", "-"]
)
prose = st.lists(vocabulary, max_size=40).map(" ".join)
texts = any_text | prose


@given(texts, texts, texts, texts)
@example("", "a", "b", "c")
def test_an_embedded_chunk_is_found_whole_where_it_stands(before, head, tail, after):
    chunk = f"{head} enough words of enough letters {tail}".strip()
    prompt = f"{before}\n{chunk}\n{after}"
    place = len(before) + 1, len(before) + 1 + len(chunk)
    (found,) = match(prompt, {"c": chunk}).values()
    assert (found.state, found.coverage) == ("full", 1.0)
    if prompt.count(chunk) == 1:
        assert found.spans == (place,)
    assert any(start < place[1] and end > place[0] for start, end in found.spans)


@given(texts, st.dictionaries(st.text(max_size=3), texts, max_size=6))
def test_whatever_comes_in_every_chunk_gets_a_match_that_makes_sense(prompt, chunks):
    found = match(prompt, chunks)
    assert list(found) == list(chunks)
    for each in found.values():
        assert 0 <= each.coverage <= 1
        assert (each.state == "absent") == (each.coverage == 0) == (not each.spans)
        assert each.state != "full" or each.coverage >= 0.97
        assert all(0 <= start < end <= len(prompt) for start, end in each.spans)
        assert all(a[1] <= b[0] for a, b in combinations(each.spans, 2))


@given(st.lists(prose, min_size=1, max_size=6), st.data())
def test_spans_of_different_chunks_never_overlap_unless_ambiguous(parts, data):
    cuts = st.tuples(st.integers(0, 200), st.integers(0, 200))
    prompt = "\n".join(part[slice(*sorted(data.draw(cuts)))] for part in parts)
    found = match(prompt, {str(n): part for n, part in enumerate(parts)})
    sure = [span for each in found.values() if each.state != "ambiguous" for span in each.spans]
    assert all(a[1] <= b[0] or b[1] <= a[0] for a, b in combinations(sure, 2))


@given(prose, st.integers(0, 100), st.integers(0, 100))
def test_a_match_is_the_same_every_time(text, start, end):
    chunks = {"a": text, "b": text[start:], "c": text[:end]}
    assert match(text[start:end], chunks) == match(text[start:end], chunks)
