"""What documents were made from, as frameworks and metadata tell it, is on record in both alike."""

import pytest

from doctrail_core import Lineage
from doctrail_core.model import Derivation
from doctrail_core.testing import capture_trails

MADE_FROM = ["report-2025", "minutes-7"]


def ask_langchain(lineage: Lineage) -> None:
    from langchain_core.documents import Document
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_core.vectorstores import InMemoryVectorStore

    from langchain_doctrail import LineageCallbackHandler, LineageRetriever

    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    metadata = {"document_id": "summary", "derived_from": MADE_FROM}
    store.add_documents([Document("In short: all is well.", metadata=metadata)])
    retriever = LineageRetriever.wrap(store.as_retriever())
    retriever.invoke("How is it?", {"callbacks": [LineageCallbackHandler(lineage=lineage)]})


def ask_llama_index(lineage: Lineage) -> None:
    from llama_index.core import Document, MockEmbedding, VectorStoreIndex

    from llama_index.observability.doctrail import LineageRetriever

    document = Document(
        text="In short: all is well.", id_="summary", metadata={"derived_from": MADE_FROM}
    )
    index = VectorStoreIndex.from_documents([document], embed_model=MockEmbedding(embed_dim=8))
    LineageRetriever(index.as_retriever(), lineage=lineage).retrieve("How is it?")


@pytest.mark.parametrize("ask", [ask_langchain, ask_llama_index])
def test_metadata_tell_what_a_document_was_made_from(ask):
    with capture_trails() as lineage:
        ask(lineage)
        (trail,) = lineage.trails
        assert trail.derivations == (Derivation("summary", tuple(MADE_FROM)),)
        assert lineage.events == [("derived", {"document": "summary", "from": MADE_FROM}, None)]
        ask(lineage)  # what is known is not said again
        assert len(lineage.events) == 1
        assert lineage.errors == []


def node(**relationships: object):
    from llama_index.core.schema import NodeRelationship, TextNode

    named = {NodeRelationship[name]: related for name, related in relationships.items()}
    return TextNode(id_="n1", text="In short: all is well.", relationships=named)


def related(name: str, *, is_document: bool = False):
    from llama_index.core.schema import ObjectType, RelatedNodeInfo

    kind = ObjectType.DOCUMENT if is_document else ObjectType.TEXT
    return RelatedNodeInfo(node_id=name, node_type=kind)


def derivations(found) -> tuple[Derivation, ...]:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle

    from llama_index.observability.doctrail import LineageRetriever

    class Library(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            return [NodeWithScore(node=found)]

    with capture_trails() as lineage:
        LineageRetriever(Library(), lineage=lineage).retrieve("How is it?")
        assert lineage.errors == []
        return lineage.trails[0].derivations


def test_a_plain_node_comes_from_its_document_and_from_nothing_else():
    assert derivations(node(SOURCE=related("d1", is_document=True))) == ()


def test_pieces_of_a_document_are_not_what_it_was_made_from():
    pieces = node(
        SOURCE=related("d1"), PARENT=related("n0"), CHILD=[related("n2")], NEXT=related("n3")
    )
    assert derivations(pieces) == ()


def test_a_node_of_several_sources_was_made_from_each():
    (made,) = derivations(node(SOURCE=[related("d1"), related("d2")]))
    assert made.sources == ("d1", "d2")


def test_documents_above_and_below_a_node_are_what_it_was_made_from():
    summary = node(
        SOURCE=related("summary"),
        PARENT=related("d1", is_document=True),
        CHILD=[related("d2", is_document=True), related("n4")],
    )
    assert derivations(summary) == (Derivation("summary", ("d1", "d2")),)


def test_the_nodes_of_a_summary_index_are_those_of_its_documents():
    from llama_index.core import Document, DocumentSummaryIndex, MockEmbedding
    from llama_index.core.llms import MockLLM

    from llama_index.observability.doctrail import LineageRetriever

    index = DocumentSummaryIndex.from_documents(
        [Document(text="All is well. It was worse.", id_="d1")],
        llm=MockLLM(),
        embed_model=MockEmbedding(embed_dim=8),
    )
    retriever = index.as_retriever(retriever_mode="embedding")
    with capture_trails() as lineage:
        LineageRetriever(retriever, lineage=lineage).retrieve("How is it?")
        (trail,) = lineage.trails
        assert [document.document_id for document in trail.documents] == ["d1"]
        assert trail.derivations == ()


@pytest.mark.parametrize(
    "value",
    [None, "", "  ", 3.5, True, {"a": 1}, [None, "", {"a": 1}], object(), float("nan"), b"x"],
    ids=repr,
)
def test_what_names_no_document_is_passed_over(value):
    from doctrail_core.capture.events import RetrievalEnded, RetrievalStarted, RetrievedChunk

    with capture_trails() as lineage:
        found = RetrievedChunk("text", document_id="d", metadata={"derived_from": value})
        lineage.record(RetrievalStarted("s", None, "store", "q", "python"))
        lineage.record(RetrievalEnded("s", [found]))
        assert lineage.trails[0].derivations == ()
        assert lineage.errors == []


def test_ids_of_any_length_and_number_are_bounded():
    from doctrail_core.capture.events import RetrievalEnded, RetrievalStarted, RetrievedChunk

    many = ["x" * 5000 + str(n) for n in range(5000)] + ["\x1b[31m", "d"]
    with capture_trails() as lineage:
        found = RetrievedChunk("text", document_id="d", metadata={"derived_from": many})
        lineage.record(RetrievalStarted("s", None, "store", "q", "python"))
        lineage.record(RetrievalEnded("s", [found]))
        (made,) = lineage.trails[0].derivations
        assert len(made.sources) == 1024
        assert all(len(name) <= 512 for name in made.sources)


def test_metadata_that_cannot_be_read_cost_no_record_of_the_search():
    from doctrail_core.capture.events import RetrievalEnded, RetrievalStarted, RetrievedChunk

    class Unreadable(list[str]):
        def __iter__(self):
            raise RuntimeError("no")

    with capture_trails() as lineage:
        found = RetrievedChunk(
            "text", document_id="d", metadata={"derived_from": Unreadable(["a"])}
        )
        lineage.record(RetrievalStarted("s", None, "store", "q", "python"))
        lineage.record(RetrievalEnded("s", [found]))
        (trail,) = lineage.trails
        assert [hit.chunk.document_id for hit in trail.retrievals[0].hits] == ["d"]
        assert trail.derivations == ()
