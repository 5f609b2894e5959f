"""Whatever a store hands out, the user gets the answer and the record says what it can."""

import pytest
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import (
    ImageNode,
    Node,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    TextNode,
)

from llama_index.observability.doctrail import DocIdTagPostprocessor, LineageRetriever
from llama_index.observability.doctrail.hits import document_id


class Returns(BaseRetriever):
    def __init__(self, *hits):
        self.hits = list(hits)
        super().__init__()

    def _retrieve(self, query_bundle):
        return list(self.hits)


def hit(text="some text", score=0.5, **kwargs):
    return NodeWithScore(node=TextNode(text=text, **kwargs), score=score)


def ask(rag, *hits, **kwargs):
    retriever = LineageRetriever(Returns(*hits), lineage=rag.captured)
    kwargs.setdefault("node_postprocessors", [DocIdTagPostprocessor()])
    response = rag.engine(retriever, **kwargs).query(rag.question)
    [trail] = rag.captured.trails
    [retrieval] = trail.retrievals
    return str(response), trail, retrieval.hits


def test_nothing_found(rag):
    said, trail, hits = ask(rag)
    assert said == "Empty Response"
    assert hits == ()
    assert trail.status == "ok"


@pytest.mark.parametrize("score", [None, float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_is_no_score(rag, score):
    said, _, hits = ask(rag, hit(score=score))
    assert said == rag.answer
    assert [hits[0].score, hits[0].score_kind] == [None, "unknown"]


def test_the_same_node_twice(rag):
    node = TextNode(text="some text", id_="n1")
    twice = [NodeWithScore(node=node, score=s) for s in (0.9, 0.8)]

    class Twice(BaseRetriever):
        """The host would not let the second one through; a base of its own does."""

        def retrieve(self, str_or_query_bundle):
            return list(twice)

        def _retrieve(self, query_bundle):
            return list(twice)

    retriever = LineageRetriever(Twice(), lineage=rag.captured)
    assert str(rag.engine(retriever).query(rag.question)) == rag.answer
    assert {d.grade for d in rag.captured.trails[0].documents} == {"in_prompt"}


def test_a_chunk_of_a_megabyte(rag):
    said, _, hits = ask(rag, hit("word " * 200_000), mode="simple_summarize")
    assert said == rag.answer
    assert len(hits[0].chunk.text) == 1_000_000


def test_lone_surrogates(rag):
    said, trail, hits = ask(rag, hit("half a \ud83d smile", id_="n\udc00"))
    assert said == rag.answer
    assert hits[0].chunk.text == "half a \ufffd smile"
    assert trail.chunk_grades == {hits[0].chunk.chunk_id: "in_prompt"}


def test_a_node_without_a_document(rag):
    _, _, hits = ask(rag, hit(), hit("other text", metadata={"file_path": "a.pdf"}))
    assert [h.chunk.document_id_origin for h in hits] == ["derived", "given"]
    assert hits[1].chunk.document_id == "a.pdf"


def test_a_node_with_several_documents():
    sources = {
        NodeRelationship.SOURCE: [RelatedNodeInfo(node_id="a"), RelatedNodeInfo(node_id="b")]
    }
    assert document_id(TextNode(text="x", relationships=sources)) is None


@pytest.mark.parametrize("node_id", ["\x00\x1b[31m", "x" * 10_000, " ", "[DOC-ID: a]"])
def test_an_id_that_nobody_should_print(rag, node_id):
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=node_id)}
    text = "The contract renewal deadline is on the last day of February."
    said, trail, hits = ask(rag, hit(text, id_=node_id, relationships=source))
    assert said == rag.answer
    assert len(hits[0].chunk.chunk_id) <= 512
    assert hits[0].chunk.chunk_id.isprintable()
    assert [a.state for a in trail.contexts[0].arrivals] == ["full"]
    assert "\x1b" not in trail.why()


def test_an_odd_id_is_not_taken_for_another_chunk_that_was_dropped(rag):
    _, trail, _ = ask(rag, hit("never shown to the model", id_="odd\n"), mode="generation")
    assert [(a.state, a.reason) for a in trail.contexts[0].arrivals] == [("absent", "not observed")]


def test_nodes_without_text(rag):
    empty = [
        NodeWithScore(node=n, score=0.1)
        for n in (TextNode(text=""), Node(), ImageNode(image="aGk="))
    ]
    said, _, hits = ask(rag, *empty)
    assert said == rag.answer
    assert [h.chunk.text for h in hits] == ["", "", ""]


def test_metadata_that_is_no_json(rag):
    said, _, hits = ask(rag, hit(metadata={"when": object(), "f": lambda: 1, "nan": float("nan")}))
    assert said == rag.answer
    assert hits[0].chunk.metadata["nan"] is None


def test_what_the_host_changes_later_does_not_change_the_record(rag):
    later = hit("first", score=0.9, metadata={"a": {"b": 1}})
    _, _, hits = ask(rag, later, node_postprocessors=[])
    later.score, later.node.text, later.node.metadata["a"]["b"] = 0.1, "second", 2
    assert [hits[0].score, hits[0].chunk.text, hits[0].chunk.metadata] == [
        0.9,
        "first",
        {"a": {"b": 1}},
    ]


def test_a_question_that_is_nothing(rag):
    rag.engine(LineageRetriever(Returns(hit()), lineage=rag.captured)).query("")
    assert rag.captured.trails[0].question == ""
