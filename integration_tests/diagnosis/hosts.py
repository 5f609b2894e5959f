"""The same application in both frameworks, with every part that can go wrong as a setting.

Each call builds a real chain over a real store in memory. The embedding is deterministic, and the model
is a function from the prompt's text to an answer: what goes wrong is up to the case.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_text_splitters import RecursiveCharacterTextSplitter
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters

from doctrail.demo.embedding import HashedTfidfEmbeddings
from doctrail.demo.langchain_app import ReaderChatModel
from doctrail.demo.llamaindex_app import ReaderLLM
from doctrail_core import Trail
from doctrail_core.diagnosis import Probe
from doctrail_core.testing import CapturedLineage
from langchain_doctrail import LineageCallbackHandler, LineageRetriever, format_tagged
from langchain_doctrail.probing import retriever_probe as langchain_probe
from llama_index.observability.doctrail import DocIdTagPostprocessor
from llama_index.observability.doctrail import LineageRetriever as LlamaLineageRetriever
from llama_index.observability.doctrail.probing import retriever_probe as llama_index_probe

Reader = Callable[[str], str]


@dataclass(frozen=True, eq=False)
class Paper:
    """A document as it was put into the store; equal to itself alone."""

    document_id: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Piece:
    """A chunk of one."""

    chunk_id: str
    document_id: str
    text: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Setup:
    """How the application is built.

    `only` keeps the search to one value of a metadata key, `budget` cuts the context at so many
    characters, `one_each` keeps the best chunk of every document, `tagged` shows DOC-IDs.
    """

    papers: tuple[Paper, ...]
    k: int = 5
    only: tuple[str, str] | None = None
    budget: int | None = None
    one_each: bool = False
    tagged: bool = False


@dataclass(frozen=True)
class Asked:
    """What came of it."""

    trail: Trail
    probe: Probe


class Host:
    """A framework to build the application in."""

    name: str

    def split(self, paper: Paper) -> list[Piece]:
        """The chunks of a document."""
        texts = self.cut(paper.text)
        return [
            Piece(f"{paper.document_id}/{n}", paper.document_id, text, paper.metadata)
            for n, text in enumerate(texts)
        ]

    def cut(self, text: str) -> Sequence[str]:
        raise NotImplementedError

    def search(self, setup: Setup, query: str) -> list[Piece]:
        """What the store returns, best first, if nothing narrows it down: both go by the cosine."""
        pieces = self.pieces(setup)
        closeness = [float(_direction(query) @ _direction(piece.text)) for piece in pieces]
        return [pieces[at] for at in np.argsort(closeness)[::-1]]

    def ask(self, setup: Setup, question: str, read: Reader, lineage: CapturedLineage) -> Asked:
        """Ask the application."""
        raise NotImplementedError

    def pieces(self, setup: Setup) -> list[Piece]:
        return [piece for paper in setup.papers for piece in self.split(paper)]


# -- LangChain -------------------------------------------------------------------------------------


class OneOfEachDocument(BaseDocumentCompressor):
    """Keeps the best chunk of every document."""

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        best: dict[str, Document] = {}
        for document in documents:
            best.setdefault(document.metadata["document_id"], document)
        return list(best.values())


class LangChain(Host):
    name = "langchain"

    def __init__(self) -> None:
        self._stores: dict[tuple[Paper, ...], InMemoryVectorStore] = {}
        self._cut = cache(
            RecursiveCharacterTextSplitter(chunk_size=600, chunk_overlap=0).split_text
        )

    def cut(self, text: str) -> Sequence[str]:
        return self._cut(text)

    def ask(self, setup: Setup, question: str, read: Reader, lineage: CapturedLineage) -> Asked:
        arguments: dict[str, Any] = {"k": setup.k}
        if setup.only:
            key, value = setup.only
            arguments["filter"] = lambda document: document.metadata.get(key) == value
        plain = self._store(setup).as_retriever(search_kwargs=arguments)
        retriever = LineageRetriever.wrap(
            ContextualCompressionRetriever(
                base_compressor=OneOfEachDocument(), base_retriever=plain
            )
            if setup.one_each
            else plain
        )

        def formatted(documents: Sequence[Document]) -> str:
            texts = format_tagged(documents) if setup.tagged else _joined(documents)
            return texts[: setup.budget]

        prompt = ChatPromptTemplate.from_messages(
            [
                ("system", "Answer the question from the context alone."),
                ("human", "Context:\n{context}\n\nQuestion: {question}"),
            ]
        )
        chain = (
            {"context": retriever | formatted, "question": RunnablePassthrough()}
            | prompt
            | ReaderChatModel(model="fake", read=read)
            | StrOutputParser()
        )
        chain.invoke(question, {"callbacks": [LineageCallbackHandler(lineage)]})
        return Asked(lineage.trails[-1], langchain_probe(retriever))

    def _store(self, setup: Setup) -> InMemoryVectorStore:
        if setup.papers not in self._stores:
            self._stores[setup.papers] = self._filled(self.pieces(setup))
        return self._stores[setup.papers]

    @staticmethod
    def _filled(pieces: Sequence[Piece]) -> InMemoryVectorStore:
        store = InMemoryVectorStore(Cached())
        store.add_documents(
            [
                Document(
                    p.text, id=p.chunk_id, metadata={"document_id": p.document_id, **p.metadata}
                )
                for p in pieces
            ]
        )
        return store


def _joined(documents: Sequence[Document]) -> str:
    return "\n\n".join(document.page_content for document in documents)


# -- LlamaIndex ------------------------------------------------------------------------------------


class BestOfEachDocument(BaseNodePostprocessor):
    """Keeps the best node of every document."""

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        best: dict[str, NodeWithScore] = {}
        for node in nodes:
            best.setdefault(node.node.ref_doc_id or "", node)
        return list(best.values())


class Budget(BaseNodePostprocessor):
    """Keeps so many characters."""

    characters: int

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        kept: list[NodeWithScore] = []
        left = self.characters
        for hit in nodes:
            if left <= 0:
                break
            node = hit.node.model_copy(deep=True)
            node.set_content(hit.node.get_content()[:left])
            left -= len(node.get_content())
            kept.append(NodeWithScore(node=node, score=hit.score))
        return kept


class LlamaIndex(Host):
    name = "llama_index"

    def __init__(self) -> None:
        splitter = SentenceSplitter(
            chunk_size=150, chunk_overlap=0, chunking_tokenizer_fn=_sentences
        )
        self._indices: dict[tuple[Paper, ...], VectorStoreIndex] = {}
        self._cut = cache(splitter.split_text)

    def cut(self, text: str) -> Sequence[str]:
        return self._cut(text)

    def ask(self, setup: Setup, question: str, read: Reader, lineage: CapturedLineage) -> Asked:
        filters = None
        if setup.only:
            key, value = setup.only
            same = MetadataFilter(key=key, value=value, operator=FilterOperator.EQ)
            filters = MetadataFilters(filters=[same])
        retriever = LlamaLineageRetriever(
            self._index(setup).as_retriever(similarity_top_k=setup.k, filters=filters),
            lineage=lineage,
        )
        steps: list[BaseNodePostprocessor] = []
        if setup.one_each:
            steps.append(BestOfEachDocument())
        if setup.budget is not None:
            steps.append(Budget(characters=setup.budget))
        if setup.tagged:
            steps.append(DocIdTagPostprocessor())
        engine = RetrieverQueryEngine.from_args(
            retriever, llm=ReaderLLM(model="fake", read=read), node_postprocessors=steps
        )
        engine.query(question)
        return Asked(lineage.trails[-1], llama_index_probe(retriever))

    def _index(self, setup: Setup) -> VectorStoreIndex:
        if setup.papers not in self._indices:
            self._indices[setup.papers] = self._filled(self.pieces(setup))
        return self._indices[setup.papers]

    @staticmethod
    def _filled(pieces: Sequence[Piece]) -> VectorStoreIndex:
        nodes = [
            TextNode(
                id_=p.chunk_id,
                text=p.text,
                metadata=dict(p.metadata),
                excluded_llm_metadata_keys=list(p.metadata),
                excluded_embed_metadata_keys=list(p.metadata),
                relationships=_of(p.document_id),
                embedding=Cached().embed_query(p.text),
            )
            for p in pieces
        ]
        return VectorStoreIndex(
            nodes, embed_model=Embedding(), storage_context=StorageContext.from_defaults()
        )


def _of(document_id: str) -> dict[Any, Any]:
    from llama_index.core.schema import NodeRelationship, RelatedNodeInfo

    return {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document_id)}


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.;]\s)(?=[A-Z(])", text) if part]


# -- an embedding for both -------------------------------------------------------------------------


_PLACES = 512  # enough for these contracts, and quick


@cache
def _embedding() -> HashedTfidfEmbeddings:
    from diagnosis.facts import library

    texts = [part for contract in library().values() for part in _sentences(contract.text)]
    return HashedTfidfEmbeddings(texts)


@cache
def _vector(text: str) -> list[float]:
    long = np.array(_embedding().embed_query(text))
    return long.reshape(-1, _PLACES).sum(axis=0).tolist()


@cache
def _direction(text: str) -> Any:
    vector = np.array(_vector(text))
    return vector / (np.linalg.norm(vector) or 1.0)


class Cached(Embeddings):
    """Each text once in a test run."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [_vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return _vector(text)


class Embedding(BaseEmbedding):
    """The same for LlamaIndex."""

    def _get_query_embedding(self, query: str) -> list[float]:
        return _vector(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return _vector(text)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return _vector(query)


HOSTS: tuple[Host, ...] = (LangChain(), LlamaIndex())
