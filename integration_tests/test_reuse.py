"""An answer that a cache gives again leads back to the documents of the first one, in every framework."""

import asyncio
from collections.abc import Callable

import pytest

from doctrail_core import Lineage, Settings
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.impact import Query
from doctrail_core.manual import (
    RetrievedChunk,
    current_response_id,
    generation,
    response,
    retrieval,
    reused,
)
from doctrail_core.testing import capture_trails

DOCUMENT = "handbook"
TEXT = "The contract renewal deadline for enterprise accounts is February 28th."
QUESTION = "When is the contract renewal deadline?"
PARAPHRASE = "What is the deadline for renewing contracts?"
ANSWER = "The renewal deadline is February 28th."

Cache = dict[str, tuple[str, str | None]]
Answering = Callable[[str], str]


def langchain(lineage: Lineage, cache: Cache) -> Answering:
    from langchain_core.documents import Document
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableLambda, RunnablePassthrough

    from langchain_doctrail import LineageCallbackHandler

    class Library(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager) -> list[Document]:
            return [Document(TEXT, id="c1", metadata={"document_id": DOCUMENT})]

    context = Library() | (lambda found: "\n\n".join(d.page_content for d in found))
    prompt = ChatPromptTemplate.from_messages([("system", "{context}"), ("human", "{question}")])
    start = {"context": context, "question": RunnablePassthrough()}
    chain = start | prompt | FakeListChatModel(responses=[ANSWER]) | StrOutputParser()

    def cached(question: str) -> str:
        if "answer" in cache:
            answer, earlier = cache["answer"]
            reused(earlier or "")
            return answer
        answer = chain.invoke(question)
        cache["answer"] = answer, current_response_id()
        return answer

    handler = LineageCallbackHandler(lineage=lineage)
    return lambda question: RunnableLambda(cached).invoke(question, {"callbacks": [handler]})


def llama_index(lineage: Lineage, cache: Cache) -> Answering:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
    from llama_index.core.llms.callbacks import llm_completion_callback
    from llama_index.core.query_engine import CustomQueryEngine, RetrieverQueryEngine
    from llama_index.core.schema import (
        NodeRelationship,
        NodeWithScore,
        QueryBundle,
        RelatedNodeInfo,
        TextNode,
    )

    from llama_index.observability.doctrail import LineageQueryEngine

    class Library(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=DOCUMENT)}
            return [NodeWithScore(node=TextNode(id_="c1", text=TEXT, relationships=source))]

    class Fake(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(model_name="fake")

        @llm_completion_callback()
        def complete(self, prompt: str, formatted: bool = False, **_: object) -> CompletionResponse:  # noqa: FBT001, FBT002
            return CompletionResponse(text=ANSWER)

        @llm_completion_callback()
        def stream_complete(self, prompt: str, formatted: bool = False, **_: object):  # noqa: FBT001, FBT002
            raise AssertionError("not asked for")

    engine = RetrieverQueryEngine.from_args(Library(), llm=Fake())

    class Cached(CustomQueryEngine):
        def custom_query(self, query_str: str) -> str:
            if "answer" in cache:
                answer, earlier = cache["answer"]
                reused(earlier or "")
                return answer
            answer = str(engine.query(query_str))
            cache["answer"] = answer, current_response_id()
            return answer

    wrapped = LineageQueryEngine(Cached(), lineage=lineage)
    return lambda question: str(wrapped.query(question))


def plain_python(lineage: Lineage, cache: Cache) -> Answering:
    def answering(question: str) -> str:
        with response(question, lineage=lineage) as request:
            if "answer" in cache:
                answer, earlier = cache["answer"]
                request.reused(earlier or "")
            else:
                with retrieval(question) as search:
                    search.found([RetrievedChunk(TEXT, chunk_id="c1", document_id=DOCUMENT)])
                with generation(f"{TEXT}\n\n{question}") as call:
                    call.said(ANSWER)
                answer = ANSWER
                cache["answer"] = answer, request.response_id
            request.answered(answer)
            return answer

    return answering


HOSTS = {"langchain": langchain, "llama_index": llama_index, "plain python": plain_python}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_an_answer_from_a_cache_names_the_response_that_it_came_from(host):
    with capture_trails() as lineage:
        ask = host(lineage, {})
        assert (ask(QUESTION), ask(PARAPHRASE)) == (ANSWER, ANSWER)
        first, second = lineage.trails
        assert first.reused == ()
        assert [d.document_id for d in first.documents] == [DOCUMENT]
        assert (second.answer, second.reused) == (ANSWER, (first.response_id,))
        assert second.documents == ()
        assert [(kind, body, about) for kind, body, about in lineage.events] == [
            ("reused", {"of": first.response_id}, second.response_id)
        ]
        assert lineage.errors == []
        assert lineage.open_count == 0


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_whoever_asks_for_the_document_is_told_of_the_cached_answer(host, tmp_path):
    lineage = Lineage(Settings(home=tmp_path, spans="none"))
    ask = host(lineage, {})
    ask(QUESTION)
    ask(PARAPHRASE)
    lineage.close()
    with open_ledger(lineage._storage.home) as ledger:
        hits = list(ledger.affected(Query(document_id=DOCUMENT)))
    assert [(hit.how, hit.grade) for hit in hits] == [
        ("in_prompt", "in_prompt"),
        ("via_cache", "in_prompt"),
    ]
    assert hits[1].through == hits[0].response_id


@pytest.fixture
def llm_cache():
    from langchain_core.caches import InMemoryCache
    from langchain_core.globals import get_llm_cache, set_llm_cache

    before = get_llm_cache()
    set_llm_cache(InMemoryCache())
    yield
    set_llm_cache(before)


def a_langchain_model():
    from langchain_core.language_models.fake_chat_models import FakeListChatModel

    return FakeListChatModel(responses=[ANSWER, "Something else."])


@pytest.mark.usefixtures("llm_cache")
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_what_langchains_cache_gives_is_found_by_the_messages_id(asynchronous):
    from langchain_doctrail import LineageCallbackHandler

    with capture_trails() as lineage:
        config = {"callbacks": [LineageCallbackHandler(lineage=lineage)]}
        model = a_langchain_model()
        for _ in range(2):
            if asynchronous:
                asyncio.run(model.ainvoke(QUESTION, config))
            else:
                model.invoke(QUESTION, config)
        first, second = lineage.trails
        assert second.answer == ANSWER
        assert (first.reused, second.reused) == ((), (first.response_id,))
        assert lineage.errors == []


@pytest.mark.usefixtures("llm_cache")
def test_a_cached_message_of_another_process_is_found_in_the_trail_store(tmp_path):
    from langchain_doctrail import LineageCallbackHandler

    model = a_langchain_model()
    answered: list[str] = []
    for _ in range(2):
        lineage = Lineage(Settings(home=tmp_path, spans="none"))
        model.invoke(QUESTION, {"callbacks": [LineageCallbackHandler(lineage=lineage)]})
        trail = lineage.last
        assert trail is not None
        answered.append(trail.response_id)
        lineage.close()
    assert trail.reused == (answered[0],)
