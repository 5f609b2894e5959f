"""A chunk that a splitter cut arrives as far as its pieces do."""

import pytest

from doctrail_core.text.arrival import match
from doctrail_core.text.pieces import match_pieces

ONE = "The contract renewal deadline for enterprise accounts is February 28th of each year."
TWO = "Either party may end this agreement by giving ninety days written notice to the other."
OTHER = "Refunds are granted within thirty days of the purchase, for any reason at all."


def test_chunks_in_one_piece_are_matched_as_ever():
    prompt = f"{OTHER}\n\n{ONE}"
    assert match_pieces(prompt, {"a": [ONE], "b": [TWO]}) == match(prompt, {"a": ONE, "b": TWO})


def test_pieces_that_all_arrived_are_the_whole_chunk():
    found = match_pieces(f"{TWO} -- {OTHER} -- {ONE}", {"cut": [ONE, TWO], "other": [OTHER]})
    assert {i: m.state for i, m in found.items()} == {"cut": "full", "other": "full"}
    assert [end - start for start, end in found["cut"].spans] == [len(TWO), len(ONE)]


def test_one_piece_of_two_is_a_part_of_the_chunk():
    found = match_pieces(ONE, {"cut": [ONE, TWO]})["cut"]
    assert found.state == "partial"
    assert found.coverage == pytest.approx(len(ONE) / len(ONE + TWO))


def test_pieces_of_which_none_arrived_are_absent():
    assert match_pieces(OTHER, {"cut": [ONE, TWO]})["cut"].state == "absent"


def test_a_piece_that_lies_in_another_one_is_no_piece_of_its_own():
    found = match_pieces(ONE, {"cut": [ONE[:40], ONE, ONE, ""]})["cut"]
    assert (found.state, found.coverage) == ("full", 1.0)
