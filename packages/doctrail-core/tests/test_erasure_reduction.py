"""Taking a document out of a trail, and words of a text out of another: all of it, and nothing else."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.erasure.reduction import Doomed, without
from doctrail_core.erasure.scrubbing import FILLER, Scrubber, filler
from doctrail_core.model import Citation, Derivation, Message
from doctrail_core.text.identity import content_hash
from doctrail_core.trails.codec import decode, encode

TEXT = "Every clause of the contract ends with the month in which it was signed."


@pytest.mark.parametrize(
    "shown",
    [
        TEXT,
        TEXT.upper(),
        TEXT.replace(" ", "\n"),
        TEXT.replace(" ", "  "),
        json.dumps(f"«{TEXT}»"),
        json.dumps(json.dumps(TEXT.replace(" ", "\n"))),
        TEXT.replace("a", "&#97;"),
        f"> {TEXT[:40]}\n> {TEXT[40:]}",
        TEXT[10:50],
    ],
)
def test_a_text_is_found_however_it_is_written(shown):
    before, after = "It was said before. ", " It was said after."
    left = Scrubber([TEXT]).scrub(f"{before}{shown}{after}")
    assert left.startswith(before)
    assert left.endswith(after)
    assert len(left) == len(before) + len(shown) + len(after)
    said = left.removeprefix(before).removesuffix(after).casefold()
    assert not any(word in said for word in ("clause", "contract", "month"))


def test_four_words_in_a_row_are_nobodys():
    scrub = Scrubber([TEXT]).scrub
    assert scrub("the month in which she came") == "the month in which she came"
    assert scrub("the month in which it came") == f"{filler(21)} came"


def test_short_texts_go_where_they_stand_as_a_whole():
    scrub = Scrubber(["Renewal: February 28th", "yes"]).scrub
    assert scrub("renewal, February 28th, yes") == "[erased]··············, yes"
    assert scrub("The renewal is due") == "The renewal is due"


def test_names_go_where_they_stand_alone_and_common_words_stay():
    scrub = Scrubber([], ["doc_4", "contract", "a1"]).scrub
    assert scrub("doc_4: see doc_42, doc_4#0 and the contract a1") == (
        f"{filler(5)}: see doc_42, {filler(5)}#0 and the contract a1"
    )


def test_what_is_known_to_come_from_elsewhere_stays():
    text = f"{TEXT} So: {TEXT}"
    left = Scrubber([TEXT]).scrub(text, keep=[(0, len(TEXT))])
    assert left == f"{TEXT} So: {filler(len(TEXT))}"


words = st.text("abcdefghij", min_size=1, max_size=4)
texts = st.lists(words, min_size=1, max_size=14).map(" ".join)


@given(st.lists(texts, min_size=1, max_size=3), texts)
def test_no_five_words_of_the_texts_are_left_and_all_else_is(doomed, text):
    left = Scrubber(doomed).scrub(text)
    assert len(left) == len(text)
    rows = {row for each in doomed for row in _rows(each)}
    assert not rows & set(_rows(left))
    # What was taken stood within five words that a text has, or was a whole one.
    taken = [at for at, (was, now) in enumerate(zip(text, left, strict=True)) if was != now]
    allowed = set()
    for row in rows | set(doomed):
        at = text.find(row)
        while at >= 0:
            allowed.update(range(at, at + len(row)))
            at = text.find(row, at + 1)
    assert allowed.issuperset(taken)


def _rows(text):
    split = text.split(" ")
    return [" ".join(split[at : at + 5]) for at in range(len(split) - 4)]


own_words = st.lists(st.text("ABCDEFGH", min_size=3, max_size=6), min_size=6, max_size=12)
other_words = st.lists(st.text("mnopqrst", min_size=3, max_size=6), min_size=6, max_size=12)


@given(own=own_words, others=st.lists(other_words, min_size=1, max_size=3), data=st.data())
def test_exactly_the_document_goes_from_a_trail(make_trail, own, others, data):
    mine = " ".join(own)
    texts = {f"doc-{number}": " ".join(each) for number, each in enumerate(others)}
    at = data.draw(st.integers(0, len(texts)))
    items = list(texts.items())
    texts = dict([*items[:at], ("gone-1", mine), *items[at:]])
    trail = make_trail("r1", texts=texts, question="was it so", answer="it was")
    heard = Message(data.draw(st.sampled_from(["user", "tool", "system"])), f"so {mine} so")
    generation = trail.generations[0]
    trail = replace(
        trail,
        generations=(replace(generation, messages=(*generation.messages, heard)),),
        citations=(Citation(0, 2, "it", "ok", ("gone-1#0", "doc-0#0"), better="gone-1#0"),),
        derivations=(Derivation("doc-0", ("gone-1", "doc-9")),),
    )
    doomed = Doomed("gone-1", "erased:7", {"gone-1#0": "erased:7/0"}, Scrubber([mine]))

    left = without(trail, doomed)

    stored = encode(left)
    assert mine.encode() not in stored
    assert b"gone-1" not in stored
    assert content_hash(mine).encode() not in stored
    assert decode(stored) == left
    assert left.citations[0].chunk_ids == ("erased:7/0", "doc-0#0")
    assert left.derivations[0].sources == ("erased:7", "doc-9")
    assert (left.question, left.answer) == (trail.question, trail.answer)
    kept = [chunk for chunk in trail.finds if chunk.document_id != "gone-1"]
    assert [chunk for chunk in left.finds if chunk.document_id != "erased:7"] == kept
    prompt, was = left.generations[0].messages[0].text, generation.messages[0].text
    start = was.index(mine)
    end = start + len(mine)
    assert prompt == was[:start] + filler(len(mine)) + was[end:]
    assert left.generations[0].messages[1].text == f"so {filler(len(mine))} so"
    assert left.contexts[0].arrivals[at].spans == trail.contexts[0].arrivals[at].spans


def test_a_trail_that_has_nothing_of_it_is_the_same(make_trail):
    trail = make_trail("r1")
    assert without(trail, Doomed("doc_7", "erased:7", {}, Scrubber([TEXT]))) is trail


def test_ids_that_are_only_alike_stay(make_trail):
    trail = make_trail("r1", texts={"doc_4": TEXT}, session_id="doc_4", user_id="doc_4#0")
    left = without(trail, Doomed("doc_4", "erased:7", {"doc_4#0": "erased:7/0"}, Scrubber([TEXT])))
    assert (left.session_id, left.user_id) == ("doc_4", "doc_4#0")


def test_what_the_chunk_says_of_itself_goes_where_the_prompt_says_it(make_trail):
    trail = make_trail("r1", texts={"doc_4": TEXT})
    hit = trail.retrievals[0].hits[0]
    told = replace(
        hit.chunk, source="/srv/personnel/mueller.pdf", metadata={"who": ["J. Mueller 77"]}
    )
    prompt = f"From /srv/personnel/mueller.pdf (J. Mueller 77):\n{TEXT}"
    generation = replace(trail.generations[0], messages=(Message("user", prompt),))
    retrieval = replace(trail.retrievals[0], hits=(replace(hit, chunk=told),))
    trail = replace(trail, retrievals=(retrieval,), generations=(generation,), contexts=())
    left = without(trail, Doomed("doc_4", "erased:7", {}, Scrubber([TEXT])))
    shown = left.generations[0].messages[0].text.replace(FILLER, "")
    assert shown == "From [erased] ([erased]):\n[erased]"
