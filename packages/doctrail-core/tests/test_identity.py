import hashlib
import hmac
import unicodedata
from pathlib import PurePosixPath
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.text.identity import (
    CHUNK_ID_STAMP,
    canonical_id,
    clean_text,
    content_hash,
    identify,
    keyed_hash,
)

anything = st.text(st.characters())
with_surrogates = st.text(st.characters(exclude_categories=()))
BIDI = "\u202e\u2066\u200f"


def test_clean_text_is_the_same_object_where_nothing_is_wrong():
    text = "naïve 💡 text"
    assert clean_text(text) is text


@given(with_surrogates)
def test_clean_text_can_be_encoded_and_keeps_every_offset(text):
    cleaned = clean_text(text)
    cleaned.encode()
    assert len(cleaned) == len(text)
    assert [a for a, b in zip(text, cleaned, strict=True) if a != b] == [
        c for c in text if unicodedata.category(c) == "Cs"
    ]


def test_a_content_hash_names_its_algorithm_and_covers_the_utf8_text():
    assert content_hash("naïve") == f"sha256:{hashlib.sha256('naïve'.encode()).hexdigest()}"


def test_a_lone_surrogate_is_hashed_as_the_replacement_that_is_stored():
    assert content_hash("a\ud800") == content_hash("a\ufffd")


def test_a_keyed_hash_is_an_hmac_over_composed_text_with_single_spaces():
    expected = hmac.digest(b"key", "café au lait".encode(), "sha256").hex()
    assert keyed_hash(b"key", "  cafe\u0301\n au\tlait ") == f"hmac-sha256:{expected}"


def test_a_keyed_hash_differs_under_another_key():
    assert keyed_hash(b"one", "same") != keyed_hash(b"two", "same")


@pytest.mark.parametrize("given_id", ["doc_4821", "a b", "契約.pdf", "x" * 512, " ", "a~sha256:b"])
def test_an_id_of_up_to_512_printable_characters_stays_as_it_is(given_id):
    assert canonical_id(given_id) is given_id


@pytest.mark.parametrize(
    "given_id",
    ["", "x" * 513, "a\nb", "a\x00", "\x1b[31m", f"a{BIDI}", "a\u2028", "\ud800", "\x7f"],
)
def test_any_other_id_is_bounded_printable_and_ends_in_a_digest_of_all_of_it(given_id):
    made = canonical_id(given_id)
    digest = hashlib.sha256(given_id.encode(errors="surrogatepass")).hexdigest()
    assert made.endswith(f"~sha256:{digest}")
    assert len(made) <= 512
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in made)


def test_an_id_of_ten_megabytes_keeps_its_readable_beginning():
    made = canonical_id("https://example.org/" + "x" * 10_000_000)
    assert made.startswith("https://example.org/xxx")
    assert len(made) == 472


def test_ids_that_differ_in_their_last_character_stay_different():
    assert canonical_id("x" * 10_000 + "a") != canonical_id("x" * 10_000 + "b")


@given(with_surrogates | st.text(min_size=500, max_size=600))
def test_canonical_id_of_a_canonical_id_is_itself(raw):
    once = canonical_id(raw)
    assert canonical_id(once) == once
    assert 0 < len(once) <= 512
    once.encode()


def test_ids_given_in_the_call_win_over_those_in_the_metadata():
    chunk = identify(
        "text", chunk_id="c", document_id="d", metadata={"doc_id": "x", "chunk_id": "y"}
    )
    assert (chunk.chunk_id, chunk.document_id) == ("c", "d")
    assert (chunk.chunk_id_origin, chunk.document_id_origin) == ("given", "given")


def test_the_metadata_keys_for_a_document_are_tried_in_order():
    keys = ["document_id", "doc_id", "ref_doc_id", "source", "file_path", "url"]
    for first in range(len(keys)):
        metadata = {key: f"by {key}" for key in reversed(keys[first:])}
        assert identify("text", metadata=metadata).document_id == f"by {keys[first]}"


def test_the_stamp_of_a_wrapped_retriever_wins_over_another_chunk_id_and_is_not_copied():
    chunk = identify("text", metadata={CHUNK_ID_STAMP: "stamped", "chunk_id": "other", "page": 2})
    assert chunk.chunk_id == "stamped"
    assert chunk.metadata == {"chunk_id": "other", "page": 2}


@pytest.mark.parametrize("number", [3, "3"])
def test_chunks_that_are_numbered_within_their_document_keep_apart_across_documents(number):
    named = [
        identify("text", metadata={"document_id": document, "chunk_id": number}).chunk_id
        for document in ("doc_4", "doc_42")
    ]
    assert named == ["doc_4#3", "doc_42#3"]


def test_a_document_named_by_a_hash_that_we_derived_stays_derived():
    first = identify("the text")
    again = identify("the", chunk_id=first.chunk_id, document_id=first.document_id)
    assert again.document_id_origin == "derived"


def test_without_any_id_document_and_chunk_are_named_by_the_text():
    chunk = identify("text")
    assert chunk.document_id == chunk.content_hash == content_hash("text")
    assert chunk.chunk_id.startswith("sha256:")
    assert (chunk.chunk_id_origin, chunk.document_id_origin) == ("derived", "derived")


def test_derived_ids_are_the_same_in_every_process_and_version():
    chunk = identify("The deadline is February 28th.", document_id="doc_4821", index=3)
    assert chunk.chunk_id == (
        "sha256:3f404c1c0471498a66277974d6beb75898a9d3b8cb813eed14079171149c0dcb"
    )


def test_derived_chunk_ids_differ_by_document_by_place_and_by_text():
    chunks = [
        identify("text", document_id="d"),
        identify("text", document_id="e"),
        identify("text", document_id="d", index=0),
        identify("text", document_id="d", index=1),
        identify("other", document_id="d"),
    ]
    assert len({chunk.chunk_id for chunk in chunks}) == 5


def test_the_same_text_in_the_same_document_has_the_same_id_however_it_was_told():
    by_metadata = identify("text", metadata={"source": "a.md", "chunk_index": 2})
    by_call = identify("text", document_id="a.md", index=2)
    assert by_metadata.chunk_id == by_call.chunk_id


def test_a_derived_id_that_comes_back_as_a_stamp_stays_derived_even_when_the_text_was_cut():
    first = identify("a long text", document_id="d")
    again = identify("a long", document_id="d", metadata={CHUNK_ID_STAMP: first.chunk_id})
    assert again.chunk_id == first.chunk_id
    assert again.chunk_id_origin == "derived"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (4821, "4821"),
        (4821.0, "4821.0"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (PurePosixPath("a/b.md"), "a/b.md"),
    ],
)
def test_an_id_that_is_no_string_becomes_its_text(value, named):
    assert identify("text", document_id=value).document_id == named
    assert identify("text", metadata={"doc_id": value}).document_id == named


class Unspeakable:
    def __str__(self):
        raise RuntimeError("no name")


class Undecided:
    """Like pandas' NA: comparing it says nothing."""

    def __ne__(self, other):
        return self

    def __bool__(self):
        raise TypeError("undecided")

    __hash__ = None

    def __str__(self):
        return "NA"


@pytest.mark.parametrize(
    "nothing",
    [
        *(None, "", " \n", "\u3000", float("nan"), True, False, [], {}, ["a"], b"a"),
        *(object(), Unspeakable(), Undecided(), 10**5000, lambda: "id"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_names_nothing_counts_as_absent(nothing):
    chunk = identify("text", chunk_id=nothing, metadata={"document_id": nothing, "source": "a.md"})
    assert chunk.document_id == "a.md"
    assert chunk.chunk_id_origin == "derived"


@pytest.mark.parametrize(
    ("index", "metadata", "place"),
    [
        (3, {"chunk_index": 4}, 3),
        (None, {"chunk_index": 4, "index": 5}, 4),
        (None, {"chunk_index": "4", "index": 5}, 5),
        (None, {"chunk": 0}, 0),
        (None, {"index": True, "chunk": 1.0}, None),
        (None, {"index": -1}, None),
        (None, {"index": 2**63}, None),
    ],
)
def test_the_index_is_a_whole_number_that_a_database_can_hold(index, metadata, place):
    assert identify("text", index=index, metadata=metadata).index == place


def test_source_and_version_come_from_the_metadata():
    chunk = identify("text", metadata={"doc_id": "d", "file_path": "/a/b.md", "version": 3})
    assert (chunk.source, chunk.version) == ("/a/b.md", "3")


def test_the_chunk_shares_nothing_with_the_metadata_it_was_made_from():
    metadata = {"tags": ["a"], "score": float("nan"), "at": object}
    chunk = identify("text", metadata=metadata)
    metadata["tags"].append("b")
    assert chunk.metadata == {"tags": ["a"], "score": None, "at": "<class 'object'>"}


def test_a_chunk_of_a_megabyte_with_a_lone_surrogate_is_named_and_storable():
    chunk = identify("word " * 200_000 + "\udfff")
    assert chunk.text.endswith(" \ufffd")
    assert chunk.content_hash == content_hash(chunk.text)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | with_surrogates | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(anything, inner),
    max_leaves=10,
)


@given(
    with_surrogates,
    json_like,
    json_like,
    st.dictionaries(
        st.sampled_from(["doc_id", "source", "chunk_id", "index", CHUNK_ID_STAMP, "x"]), json_like
    ),
)
def test_whatever_comes_in_a_chunk_has_canonical_ids_and_the_same_again(text, cid, did, metadata):
    chunk = identify(text, chunk_id=cid, document_id=did, metadata=metadata)
    assert chunk == identify(text, chunk_id=cid, document_id=did, metadata=metadata)
    assert canonical_id(chunk.chunk_id) == chunk.chunk_id
    assert canonical_id(chunk.document_id) == chunk.document_id
