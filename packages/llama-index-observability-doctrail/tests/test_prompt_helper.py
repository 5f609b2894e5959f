"""A prompt holds whole DOC-ID blocks: packed, cut or split, never torn."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.indices.prompt_helper import PromptHelper
from llama_index.core.prompts import PromptTemplate

from doctrail_core.text.tags import TaggedBlock, split_tagged, tag
from llama_index.observability.doctrail import DocIdTagPostprocessor, TagAwarePromptHelper

PROMPT = PromptTemplate("{context_str}")


def helper(room, cls=TagAwarePromptHelper, **kwargs):
    """A helper with this many tokens for chunks; a word is a token."""
    made = cls(context_window=room + 5, num_output=0, tokenizer=str.split, **kwargs)
    assert made.get_text_splitter_given_prompt(PROMPT).chunk_size == room
    return made


def block(name, words):
    return tag(" ".join(f"{name}{i}" for i in range(words)), document_id=f"doc_{name}", score=0.5)


def words_inside(texts):
    """The words between well-formed tags, and those outside of any."""
    inside, outside = [], []
    for text in texts:
        for piece in split_tagged(text):
            place = inside if isinstance(piece, TaggedBlock) else outside
            place += (piece.text if isinstance(piece, TaggedBlock) else piece).split()
    return inside, outside


def test_whole_blocks_are_packed_until_the_prompt_is_full():
    blocks = [block(name, 10) for name in "abcd"]
    size = len(blocks[0].split())
    packed = helper(2 * size + 1).repack(PROMPT, blocks)
    assert packed == ["\n\n".join(blocks[:2]), "\n\n".join(blocks[2:])]


def test_a_block_that_is_larger_than_a_prompt_is_split_and_each_piece_is_tagged():
    packed = helper(20, chunk_overlap_ratio=0).repack(PROMPT, [block("a", 40)])
    assert len(packed) > 1
    for text in packed:
        [piece] = split_tagged(text)
        assert piece.opening == "[DOC-ID: doc_a, score: 0.50]"
        assert len(text.split()) <= 20
    inside, outside = words_inside(packed)
    assert inside == [f"a{i}" for i in range(40)]
    assert outside == []


def test_blocks_that_were_joined_before_are_found_again():
    joined = "\n".join([block("a", 10), "loose words between", block("b", 10)])
    packed = helper(20).repack(PROMPT, [joined])
    assert [bool(re.search(r"\[DOC-ID", p)) for p in packed] == [True, True]
    inside, outside = words_inside(packed)
    assert len(inside) == 20
    assert outside == ["loose", "words", "between"]


def test_texts_without_tags_are_packed_as_the_stock_helper_packs_them():
    texts = [" ".join(f"w{i}" for i in range(50)), "short", ""]
    stock = helper(20, PromptHelper)
    assert helper(20).repack(PROMPT, texts) == stock.repack(PROMPT, texts)
    assert helper(20).truncate(PROMPT, texts) == stock.truncate(PROMPT, texts)


def test_nothing_is_packed_into_nothing():
    assert helper(20).repack(PROMPT, []) == helper(20, PromptHelper).repack(PROMPT, [])


def test_truncating_keeps_whole_blocks_and_tags_the_one_that_is_cut():
    joined = "\n".join(block(name, 10) for name in "abc")
    [cut] = helper(25).truncate(PROMPT, [joined])
    first, _, second = split_tagged(cut)
    assert first.raw == block("a", 10)
    assert second.opening == "[DOC-ID: doc_b, score: 0.50]"
    assert 0 < len(second.text.split()) < 10
    assert len(cut.split()) <= 25


def test_truncating_shares_the_room_between_the_texts():
    cut = helper(40).truncate(PROMPT, [block("a", 30), block("b", 30)])
    assert [len(text.split()) <= 20 for text in cut] == [True, True]
    assert all(isinstance(split_tagged(text)[0], TaggedBlock) for text in cut)


def test_where_not_even_a_tag_fits_the_bare_text_goes_on():
    packed = helper(3, chunk_overlap_ratio=0).repack(PROMPT, [block("a", 9)])
    assert " ".join(packed).split() == [f"a{i}" for i in range(9)]


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 60)), min_size=1, max_size=6),
    st.integers(12, 60),
    st.sampled_from(["\n", "\n\n", "\n\n---\n\n"]),
)
def test_no_word_is_lost_and_none_of_a_block_stands_outside_of_it(blocks, room, joint):
    text = joint.join(block(name, count) for name, count in blocks)
    packed = helper(room, chunk_overlap_ratio=0).repack(PROMPT, [text])
    inside, outside = words_inside(packed)
    assert inside == [f"{name}{i}" for name, count in blocks for i in range(count)]
    assert set(outside) <= {"---"}
    assert all(len(p.split()) <= room for p in packed)
    [cut] = helper(room).truncate(PROMPT, [text])
    assert len(cut.split()) <= room
    assert set(words_inside([cut])[1]) <= {"---"}


def test_it_is_made_like_the_stock_one():
    made = TagAwarePromptHelper.from_llm_metadata(LLMMetadata(context_window=900, num_output=64))
    assert isinstance(made, TagAwarePromptHelper)
    assert [made.context_window, made.num_output] == [900, 64]
    assert made.class_name() == "TagAwarePromptHelper"


MODES = ["compact", "refine", "tree_summarize", "compact_accumulate", "simple_summarize"]


@pytest.mark.parametrize("mode", MODES)
def test_every_prompt_of_a_real_synthesizer_holds_whole_blocks(rag, mode):
    texts = {f"n{i}": " ".join(f"word{i}x{j}" for j in range(120)) for i in range(4)}
    nodes = type(rag).__dataclass_fields__["nodes"].default_factory(texts)
    rag = type(rag)(rag.captured, nodes=nodes)
    rag.llm.window = 1500
    aware = TagAwarePromptHelper.from_llm_metadata(rag.llm.metadata, chunk_overlap_ratio=0)
    synthesizer = rag.synthesizer(mode=mode, prompt_helper=aware)
    engine = rag.engine(
        rag.wrapped(k=4),
        response_synthesizer=synthesizer,
        node_postprocessors=[DocIdTagPostprocessor()],
    )
    engine.query("word0x1 word1x1 word2x1 word3x1")
    [trail] = rag.captured.trails
    prompts = [g.messages[-1].text.replace("\\n", "\n") for g in trail.generations]
    read = [p for p in prompts if "DOC-ID" in p]
    assert read
    for prompt in read:
        assert prompt.count("[DOC-ID: ") == prompt.count("[/DOC-ID]")
        inside, _ = words_inside([prompt])
        assert sum(word.startswith("word") for word in inside) == len(
            re.findall(r"\bword\dx\d+", prompt.replace("word0x1 word1x1 word2x1 word3x1", ""))
        )
