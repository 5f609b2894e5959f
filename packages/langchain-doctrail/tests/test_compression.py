"""Compressors, filters and rerankers: who dropped what, what was rewritten, whose score is whose."""

import copy

import pytest
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import FakeListChatModel
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_doctrail import LineageCallbackHandler, LineageRetriever

cross_encoders = pytest.importorskip("langchain_core.cross_encoders")
splitters = pytest.importorskip("langchain_text_splitters")
retrievers = pytest.importorskip("langchain_classic.retrievers")
compressors = pytest.importorskip("langchain_classic.retrievers.document_compressors")
transformers = pytest.importorskip("langchain_community.document_transformers")

QUESTION = "When is the renewal deadline?"
RENEWAL, REFUND, SUPPORT = "chunk-renewal", "chunk-refund", "chunk-support"
INSIDE = "inside ContextualCompressionRetriever"


class LetterEmbeddings(Embeddings):
    """Counts letters, so that what is alike is near."""

    def embed_query(self, text):
        return [float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]

    def embed_documents(self, texts):
        return list(map(self.embed_query, texts))


class LengthEncoder(cross_encoders.BaseCrossEncoder):
    def score(self, text_pairs):
        return [float(len(text)) for _, text in text_pairs]


class Reranker(BaseDocumentCompressor):
    """Keeps two, worst first, and writes its score where Cohere's, Jina's and others do."""

    def compress_documents(self, documents, query, callbacks=None):
        return [
            Document(d.page_content, metadata={**d.metadata, "relevance_score": 0.9 - rank / 10})
            for rank, d in enumerate(reversed(documents[:2]))
        ]


class SortingModel(FakeListChatModel):
    def with_structured_output(self, schema, **kwargs):
        return RunnableLambda(lambda _: schema(ranked_document_ids=[2, 0, 1]))


EMBEDDINGS = LetterEmbeddings()


@pytest.fixture
def plain(documents):
    store = InMemoryVectorStore(EMBEDDINGS)
    store.add_documents(documents)
    return store.as_retriever(search_kwargs={"k": 3})


@pytest.fixture(params=["plain", "wrapped inside", "wrapped outside", "wrapped twice"])
def compress(request, plain):
    """Build a compressing retriever, with the wrapper in any place."""
    inside = request.param in ("wrapped inside", "wrapped twice")
    base = LineageRetriever.wrap(plain) if inside else plain

    def build(compressor):
        built = retrievers.ContextualCompressionRetriever(
            base_compressor=compressor, base_retriever=base
        )
        return LineageRetriever.wrap(built) if "outside" in request.param else built

    return build


def answer(rag, retriever, handler):
    rag(retriever).invoke(QUESTION, {"callbacks": [handler]})
    return handler.last


def outer(trail):
    (retrieval,) = [r for r in trail.retrievals if r.enclosing_id is None]
    return retrieval


def inner(trail):
    return [r for r in trail.retrievals if r.enclosing_id is not None]


def ids(retrieval):
    return [hit.chunk.chunk_id for hit in retrieval.hits]


def arrivals(trail):
    return {a.chunk_id: a for a in trail.contexts[-1].arrivals}


def test_a_filter_by_embeddings_keeps_identity_and_tells_its_own_scores(compress, rag, handler):
    """It returns documents of another class, without their ids."""
    compressor = compressors.EmbeddingsFilter(embeddings=EMBEDDINGS, k=1)
    trail = answer(rag, compress(compressor), handler)
    assert ids(outer(trail)) == [RENEWAL]
    assert len(ids(inner(trail)[0])) == 3
    (hit,) = outer(trail).hits
    assert (hit.score_kind, hit.score == pytest.approx(0.8, abs=0.1)) == ("similarity", True)
    arrived = arrivals(trail)
    assert arrived[RENEWAL].state == "full"
    assert {arrived[i].reason for i in (REFUND, SUPPORT)} == {"filtered"}


def test_an_extractor_cuts_texts_and_keeps_identity(compress, rag, handler):
    model = FakeListChatModel(responses=["is February 28th", "NO_OUTPUT", "within four hours"])
    trail = answer(rag, compress(compressors.LLMChainExtractor.from_llm(model)), handler)
    assert ids(outer(trail)) == [RENEWAL, SUPPORT]
    assert [g.auxiliary for g in trail.generations] == [True, True, True, False]
    arrived = arrivals(trail)
    assert (arrived[RENEWAL].state, arrived[RENEWAL].reason_detail) == (
        "full",
        "rewritten inside ContextualCompressionRetriever",
    )
    assert (arrived[REFUND].state, arrived[REFUND].reason) == ("absent", "filtered")
    found = {hit.chunk.chunk_id: hit.chunk.text for hit in inner(trail)[0].hits}
    assert found[RENEWAL].startswith("The contract renewal deadline")


def test_words_that_an_extractor_made_up_are_no_part_of_any_chunk(plain, rag, handler):
    """Without the wrapper, and without the same words, nothing tells which chunk they came from."""
    model = FakeListChatModel(responses=["It is at the end of winter.", "NO_OUTPUT", "NO_OUTPUT"])
    compressing = retrievers.ContextualCompressionRetriever(
        base_compressor=compressors.LLMChainExtractor.from_llm(model), base_retriever=plain
    )
    trail = answer(rag, compressing, handler)
    (hit,) = outer(trail).hits
    assert hit.chunk.chunk_id not in (RENEWAL, REFUND, SUPPORT)
    assert hit.chunk.document_id == "doc_renewal"  # the metadata says so
    assert arrivals(trail)[RENEWAL].state == "absent"


async def test_the_same_holds_in_async_code(compress, rag, handler):
    model = FakeListChatModel(responses=["YES", "NO", "NO"])
    chain = rag(compress(compressors.LLMChainFilter.from_llm(model)))
    await chain.ainvoke(QUESTION, {"callbacks": [handler]})
    trail = handler.last
    assert ids(outer(trail)) == [RENEWAL]
    assert [g.auxiliary for g in trail.generations] == [True, True, True, False]
    assert {a.reason for i, a in arrivals(trail).items() if i != RENEWAL} == {"filtered"}


def test_rerank_scores_are_the_outer_ones_and_search_scores_the_inner_ones(compress, rag, handler):
    trail = answer(rag, compress(Reranker()), handler)
    assert [(h.chunk.chunk_id, h.score, h.score_kind) for h in outer(trail).hits] == [
        (REFUND, 0.9, "rerank"),
        (RENEWAL, 0.8, "rerank"),
    ]
    kinds = {hit.score_kind for hit in inner(trail)[0].hits}
    assert kinds in ({"similarity"}, {"unknown"})  # known where the inner retriever is wrapped
    assert 0.9 not in {hit.score for hit in inner(trail)[0].hits}


def test_a_cross_encoder_reorders_without_telling_scores(compress, rag, handler):
    compressor = compressors.CrossEncoderReranker(model=LengthEncoder(), top_n=2)
    trail = answer(rag, compress(compressor), handler)
    assert [(h.chunk.chunk_id, h.score) for h in outer(trail).hits] == [
        (RENEWAL, None),
        (REFUND, None),
    ]
    assert arrivals(trail)[SUPPORT].reason == "filtered"


def test_a_model_that_reranks_a_list_answers_nobody(compress, rag, handler):
    compressor = compressors.LLMListwiseRerank.from_llm(SortingModel(responses=[]), top_n=2)
    trail = answer(rag, compress(compressor), handler)
    assert ids(outer(trail)) == [SUPPORT, RENEWAL]
    assert trail.answer == "On February 28th."


def test_a_wrapped_compression_names_each_step_for_what_it_dropped(plain, rag, handler):
    steps = [
        transformers.EmbeddingsRedundantFilter(embeddings=EMBEDDINGS, similarity_threshold=0.85),
        compressors.EmbeddingsFilter(embeddings=EMBEDDINGS, k=1),
    ]
    pipeline = compressors.DocumentCompressorPipeline(transformers=steps)
    compressing = retrievers.ContextualCompressionRetriever(
        base_compressor=pipeline, base_retriever=plain
    )
    before = copy.copy(pipeline.transformers)
    trail = answer(rag, LineageRetriever.wrap(compressing), handler)
    dropped = {i: a.reason_detail for i, a in arrivals(trail).items() if a.state == "absent"}
    kept = ids(outer(trail))
    assert len(kept) == 1
    assert sorted(dropped.values()) == [
        "by EmbeddingsFilter in ContextualCompressionRetriever",
        "by EmbeddingsRedundantFilter in ContextualCompressionRetriever",
    ]
    assert pipeline.transformers == before  # the user's own pipeline stays as it is
    assert compressing.base_compressor is pipeline


async def test_it_names_them_in_async_code_too(plain, rag, handler):
    pipeline = compressors.DocumentCompressorPipeline(
        transformers=[compressors.EmbeddingsFilter(embeddings=EMBEDDINGS, k=2), Reranker()]
    )
    compressing = retrievers.ContextualCompressionRetriever(
        base_compressor=pipeline, base_retriever=plain
    )
    chain = rag(LineageRetriever.wrap(compressing))
    await chain.ainvoke(QUESTION, {"callbacks": [handler]})
    assert arrivals(handler.last)[SUPPORT].reason_detail == (
        "by EmbeddingsFilter in ContextualCompressionRetriever"
    )
    assert [hit.score_kind for hit in outer(handler.last).hits] == ["rerank", "rerank"]


def test_a_lone_compressor_is_named(plain, rag, handler):
    compressing = retrievers.ContextualCompressionRetriever(
        base_compressor=Reranker(), base_retriever=plain
    )
    trail = answer(rag, LineageRetriever.wrap(compressing), handler)
    assert arrivals(trail)[SUPPORT].reason_detail == (
        "by Reranker in ContextualCompressionRetriever"
    )


def test_an_unwrapped_compression_is_named_as_a_whole(plain, rag, handler):
    compressing = retrievers.ContextualCompressionRetriever(
        base_compressor=Reranker(), base_retriever=plain
    )
    assert arrivals(answer(rag, compressing, handler))[SUPPORT].reason_detail == INSIDE


def test_a_splitter_inside_leaves_pieces_of_the_chunk_that_they_are_of(compress, rag, handler):
    steps = [
        splitters.CharacterTextSplitter(separator=" ", chunk_size=30, chunk_overlap=0),
        compressors.EmbeddingsFilter(embeddings=EMBEDDINGS, k=3),
    ]
    pipeline = compressors.DocumentCompressorPipeline(transformers=steps)
    trail = answer(rag, compress(pipeline), handler)
    assert set(ids(outer(trail))) < {RENEWAL, REFUND, SUPPORT}
    assert len(ids(outer(trail))) == 3
    states = {a.state for a in arrivals(trail).values() if a.reason != "filtered"}
    assert states == {"full"}
    instructions = len("Answer from this:\n") + 2 * len("\n\n") + 2 + len(QUESTION)
    assert trail.contexts[0].unexplained_length <= instructions


@pytest.mark.parametrize("odd", [object(), [float("nan")], "x"], ids=["object", "nan", "text"])
def test_odd_metadata_costs_nobody_the_record(odd, rag, handler):
    class Odd(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            return [Document(text, metadata={"odd": odd}) for text in ("Renew by May.", "Or not.")]

    compressing = retrievers.ContextualCompressionRetriever(
        base_compressor=Reranker(), base_retriever=Odd()
    )
    trail = answer(rag, compressing, handler)
    assert [hit.score_kind for hit in outer(trail).hits] == ["rerank", "rerank"]


# --- steps of a chain that are no retrievers


def first(documents):
    return documents[:1]


def test_a_function_is_named_for_what_it_dropped(plain, rag, handler):
    trail = answer(rag, plain | first, handler)
    assert arrivals(trail)[SUPPORT].reason_detail == "by first"
    assert arrivals(trail)[RENEWAL].state == "full"


def test_streams_name_it_too(plain, rag, handler):
    list(rag(plain | first).stream(QUESTION, {"callbacks": [handler]}))
    assert arrivals(handler.last)[SUPPORT].reason_detail == "by first"


def test_a_filter_used_as_a_step_is_named_although_it_drops_the_ids(plain, rag, handler):
    redundant = transformers.EmbeddingsRedundantFilter(
        embeddings=EMBEDDINGS, similarity_threshold=0.6
    )
    step = RunnableLambda(redundant.transform_documents, name="without repetitions")
    trail = answer(rag, plain | step | list, handler)
    reasons = {a.reason_detail for a in arrivals(trail).values() if a.state == "absent"}
    assert reasons == {"by without repetitions"}


def test_a_step_that_takes_documents_by_name_is_named(plain, handler):
    def rerank(asked):
        return {**asked, "documents": asked["documents"][-1:]}

    chain = (
        {"documents": plain, "question": RunnablePassthrough()}
        | RunnableLambda(rerank)
        | (lambda asked: asked["documents"][0].page_content)
        | FakeListChatModel(responses=["Four hours."])
    )
    chain.invoke(QUESTION, {"callbacks": [handler]})
    arrived = arrivals(handler.last)
    assert arrived[RENEWAL].reason_detail == "by rerank"
    assert arrived[SUPPORT].state == "full"


def test_reordering_drops_nothing_and_the_order_is_that_of_the_prompt(plain, rag, handler):
    reorder = transformers.LongContextReorder()
    trail = answer(rag, plain | reorder.transform_documents, handler)
    arrived = arrivals(trail)
    assert {a.state for a in arrived.values()} == {"full"}
    assert sorted(arrived, key=lambda i: arrived[i].order) == [RENEWAL, SUPPORT, REFUND]


def test_whatever_documents_hold_the_response_closes(captured):
    """A store may hand out documents that were never checked."""
    from langchain_doctrail import LineageCallbackHandler

    bad = Document.model_construct(page_content=None, metadata=None, id=None)
    handler = LineageCallbackHandler(captured)
    chain = RunnableLambda(lambda _: [bad]) | RunnableLambda(lambda found: found[:0])
    chain |= lambda _: FakeListChatModel(responses=["Nothing."])
    chain.invoke(QUESTION, {"callbacks": [handler]})
    assert captured.last.answer == "Nothing."
    assert captured.open_count == handler._open.open_count == 0
    assert captured.errors
    captured.errors.clear()


# --- rerankers


def rankings(trail):
    return [
        (r.by, [c.chunk_id for c in r.given], [(c.chunk_id, c.score) for c in r.kept])
        for r in trail.reranks
    ]


@pytest.fixture
def compressing(plain):
    """Build a compressing retriever that is wrapped as a whole, around one that has scores."""

    def build(compressor, inner=None):
        return LineageRetriever.wrap(
            retrievers.ContextualCompressionRetriever(
                base_compressor=compressor, base_retriever=inner or LineageRetriever.wrap(plain)
            )
        )

    return build


def test_a_cross_encoder_is_a_reranker_though_it_tells_no_scores(compressing, rag, handler):
    class Encoder(LengthEncoder):
        model_name = "length-1"

    trail = answer(
        rag, compressing(compressors.CrossEncoderReranker(model=Encoder(), top_n=2)), handler
    )
    (rerank,) = trail.reranks
    assert rankings(trail) == [
        ("CrossEncoderReranker", ids(inner(trail)[0]), [(RENEWAL, None), (REFUND, None)])
    ]
    assert (rerank.query, rerank.model, rerank.top_k) == (QUESTION, "length-1", 2)
    assert [c.score for c in rerank.given] == [hit.score for hit in inner(trail)[0].hits]
    assert rerank.parent_id == outer(trail).retrieval_id
    assert outer(trail).started_at < rerank.started_at < rerank.ended_at < outer(trail).ended_at
    assert "CrossEncoderReranker" in arrivals(trail)[SUPPORT].reason_detail


def test_a_reranker_that_tells_scores_is_told_with_them(compressing, rag, handler):
    trail = answer(rag, compressing(Reranker()), handler)
    given = ids(inner(trail)[0])
    assert rankings(trail) == [("Reranker", given, [(given[1], 0.9), (given[0], 0.8)])]
    assert trail.reranks[0].top_k is None


def test_a_filter_that_compares_embeddings_scores_anew(compressing, rag, handler):
    trail = answer(
        rag, compressing(compressors.EmbeddingsFilter(embeddings=EMBEDDINGS, k=1)), handler
    )
    ((by, given, ((kept, score),)),) = rankings(trail)
    assert (by, len(given), kept) == ("EmbeddingsFilter", 3, RENEWAL)
    assert score == outer(trail).hits[0].score
    assert trail.reranks[0].top_k == 1


def test_a_model_that_sorts_is_a_reranker_and_its_call_is_auxiliary(compressing, rag, handler):
    listwise = compressors.LLMListwiseRerank.from_llm(SortingModel(responses=[]), top_n=2)
    trail = answer(rag, compressing(listwise), handler)
    given = ids(inner(trail)[0])
    assert rankings(trail) == [("LLMListwiseRerank", given, [(given[2], None), (given[0], None)])]
    assert [g.auxiliary for g in trail.generations] == [False]


def test_a_transformer_that_reorders_is_told(compressing, rag, handler):
    pipeline = compressors.DocumentCompressorPipeline(
        transformers=[transformers.LongContextReorder()]
    )
    trail = answer(rag, compressing(pipeline), handler)
    ((by, given, kept),) = rankings(trail)
    assert by == "LongContextReorder"
    assert [chunk_id for chunk_id, _ in kept] != given
    assert trail.reranks[0].query is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: compressors.LLMChainFilter.from_llm(
            FakeListChatModel(responses=["YES", "NO", "YES"])
        ),
        lambda: compressors.LLMChainExtractor.from_llm(
            FakeListChatModel(responses=["is February 28th", "NO_OUTPUT", "within four hours"])
        ),
        lambda: compressors.DocumentCompressorPipeline(
            transformers=[
                splitters.RecursiveCharacterTextSplitter(chunk_size=30, chunk_overlap=0),
                transformers.EmbeddingsRedundantFilter(embeddings=EMBEDDINGS),
            ]
        ),
    ],
    ids=["filter", "extractor", "splitter and redundancy filter"],
)
def test_what_only_filters_or_cuts_is_no_reranker(make, compressing, rag, handler):
    assert answer(rag, compressing(make()), handler).reranks == ()


async def test_each_reranker_of_a_pipeline_is_told_in_its_turn(compressing, rag, handler, captured):
    pipeline = compressors.DocumentCompressorPipeline(
        transformers=[
            Reranker(),
            compressors.CrossEncoderReranker(model=LengthEncoder(), top_n=1),
        ]
    )
    await rag(compressing(pipeline)).ainvoke(QUESTION, {"callbacks": [handler]})
    first, second = handler.last.reranks
    assert (first.by, second.by) == ("Reranker", "CrossEncoderReranker")
    assert second.given == first.kept
    assert first.ended_at < second.started_at
    spans = {s.context.span_id: s for s in captured.spans}
    told = [s for s in spans.values() if s.name.startswith("rerank ")]
    assert [s.name for s in told] == ["rerank Reranker", "rerank CrossEncoderReranker"]
    around = {spans[s.parent.span_id].attributes["openinference.span.kind"] for s in told}
    assert around == {"RETRIEVER"}


def test_a_reranker_that_fails_fails_the_search_and_nothing_is_told(compressing, rag, handler):
    class Broken(BaseDocumentCompressor):
        top_n: int = 1

        def compress_documents(self, documents, query, callbacks=None):
            raise ConnectionError("the reranker is away")

    with pytest.raises(ConnectionError, match="away"):
        answer(rag, compressing(Broken()), handler)
    assert handler.last.reranks == ()
    assert outer(handler.last).error


def test_a_compressor_without_callbacks_works_in_a_pipeline_as_ever(compressing, rag, handler):
    class Bare(BaseDocumentCompressor):
        def compress_documents(self, documents, query):
            return documents[::-1]

        async def acompress_documents(self, documents, query):
            return documents[::-1]

    pipeline = compressors.DocumentCompressorPipeline(transformers=[Bare()])
    trail = answer(rag, compressing(pipeline), handler)
    assert [by for by, _, _ in rankings(trail)] == ["Bare"]


def test_watching_changes_no_object_of_the_user(compressing, rag, handler):
    step = compressors.CrossEncoderReranker(model=LengthEncoder(), top_n=2)
    pipeline = compressors.DocumentCompressorPipeline(transformers=[step])
    answer(rag, compressing(pipeline), handler)
    assert pipeline.transformers == [step]
    assert pipeline.transformers[0] is step


def test_a_step_whose_fields_cannot_be_read_costs_the_record_its_ranking_only(
    compressing, captured
):
    class Odd(Reranker):
        @property
        def top_n(self):
            raise RuntimeError("not now")

    found = compressing(Odd()).invoke(QUESTION, {"callbacks": [LineageCallbackHandler(captured)]})
    assert len(found) == 2
    (trail,) = captured.trails
    assert trail.reranks == ()
    assert all("doctrail_chunk_id" in document.metadata for document in found)
    ((where, _),) = captured.errors
    assert where == "langchain.compression"
    captured.errors.clear()


def test_a_lone_compressor_is_called_as_without_being_watched(compressing, plain, captured):
    class Bare(BaseDocumentCompressor):
        def compress_documents(self, documents, query):
            return documents

    with pytest.raises(TypeError, match="callbacks"):
        retrievers.ContextualCompressionRetriever(
            base_compressor=Bare(), base_retriever=plain
        ).invoke(QUESTION)
    with pytest.raises(TypeError, match="callbacks"):
        compressing(Bare()).invoke(QUESTION, {"callbacks": [LineageCallbackHandler(captured)]})
