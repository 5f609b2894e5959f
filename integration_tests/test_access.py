"""What a policy denies reaches no prompt and no record of texts, in both frameworks alike."""

import asyncio
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import pytest

from doctrail_core import Lineage
from doctrail_core.access import (
    AccessError,
    EnginePolicy,
    LabelPolicy,
    Principal,
    Ruling,
    acting_for,
)
from doctrail_core.testing import CapturedLineage, capture_trails
from doctrail_core.trails.codec import decode, encode

DOCUMENTS = {
    "handbook": ("The contract renewal deadline is February 28th.", "internal", "v3"),
    "merger": ("The merger with Halo closes after the renewal deadline in March.", "secret", "v1"),
    "memo": ("The renewal deadline may move, the board says.", None, None),
}
MARKER = "Halo"
QUESTION = "When is the contract renewal deadline?"
ANSWER = "On February 28th."
POLICY = LabelPolicy(
    ("public", "internal", "secret"), roles={"staff": "internal", "board": "secret"}
)
STAFF = Principal("ada", roles=("staff",))


def embed(text: str) -> list[float]:
    counts = Counter(sum(map(ord, word)) % 64 for word in re.findall(r"\w+", text.casefold()))
    norm = math.sqrt(sum(n * n for n in counts.values())) or 1.0
    return [counts[place] / norm for place in range(64)]


def _metadata(label: str | None, version: str | None) -> dict[str, str]:
    return {} if label is None else {"label": label, "label_version": version or ""}


@dataclass(frozen=True)
class Host:
    """The same application in one framework."""

    retriever: Callable[..., object]
    ask: Callable[[object, Lineage, list[str]], str]
    aask: Callable[[object, Lineage, list[str]], object]


def _langchain_retriever(lineage: Lineage, **access: object):
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import InMemoryVectorStore

    from langchain_doctrail import LineageRetriever

    class Hashed(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [embed(text) for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return embed(text)

    store = InMemoryVectorStore(Hashed())
    store.add_documents(
        [
            Document(text, metadata={"document_id": name, **_metadata(label, version)})
            for name, (text, label, version) in DOCUMENTS.items()
        ]
    )
    return LineageRetriever.wrap(store.as_retriever(search_kwargs={"k": 3}), **access)


def _langchain_chain(retriever, prompts: list[str]):
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnablePassthrough

    def joined(found) -> str:
        prompts.append("\n\n".join(d.page_content for d in found))
        return prompts[-1]

    prompt = ChatPromptTemplate.from_messages([("system", "{context}"), ("human", "{question}")])
    start = {"context": retriever | joined, "question": RunnablePassthrough()}
    return start | prompt | FakeListChatModel(responses=[ANSWER]) | StrOutputParser()


def _langchain_config(lineage: Lineage):
    from langchain_doctrail import LineageCallbackHandler

    return {"callbacks": [LineageCallbackHandler(lineage=lineage)]}


def _langchain_ask(retriever, lineage: Lineage, prompts: list[str]) -> str:
    return _langchain_chain(retriever, prompts).invoke(QUESTION, _langchain_config(lineage))


async def _langchain_aask(retriever, lineage: Lineage, prompts: list[str]) -> str:
    return await _langchain_chain(retriever, prompts).ainvoke(QUESTION, _langchain_config(lineage))


def _llama_index_retriever(lineage: Lineage, **access: object):
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.core.embeddings import BaseEmbedding

    from llama_index.observability.doctrail import LineageRetriever

    class Hashed(BaseEmbedding):
        def _get_query_embedding(self, query: str) -> list[float]:
            return embed(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return embed(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            return embed(text)

    documents = [
        Document(
            text=text,
            id_=name,
            metadata=_metadata(label, version),
            excluded_embed_metadata_keys=["label", "label_version"],
        )
        for name, (text, label, version) in DOCUMENTS.items()
    ]
    index = VectorStoreIndex.from_documents(documents, embed_model=Hashed())
    return LineageRetriever(index.as_retriever(similarity_top_k=3), lineage=lineage, **access)


def _llama_index_engine(retriever, prompts: list[str]):
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
    from llama_index.core.llms.callbacks import llm_completion_callback
    from llama_index.core.query_engine import RetrieverQueryEngine

    class Fake(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(model_name="fake")

        @llm_completion_callback()
        def complete(self, prompt: str, formatted: bool = False, **_: object) -> CompletionResponse:  # noqa: FBT001, FBT002
            prompts.append(prompt)
            return CompletionResponse(text=ANSWER)

        @llm_completion_callback()
        def stream_complete(self, prompt: str, formatted: bool = False, **_: object):  # noqa: FBT001, FBT002
            raise AssertionError("not asked for")

    return RetrieverQueryEngine.from_args(retriever, llm=Fake())


def _llama_index_ask(retriever, lineage: Lineage, prompts: list[str]) -> str:
    return str(_llama_index_engine(retriever, prompts).query(QUESTION))


async def _llama_index_aask(retriever, lineage: Lineage, prompts: list[str]) -> str:
    return str(await _llama_index_engine(retriever, prompts).aquery(QUESTION))


HOSTS = {
    "langchain": Host(_langchain_retriever, _langchain_ask, _langchain_aask),
    "llama_index": Host(_llama_index_retriever, _llama_index_ask, _llama_index_aask),
}


@pytest.fixture(params=HOSTS)
def host(request) -> Host:
    return HOSTS[request.param]


@pytest.fixture(params=["sync", "async"])
def answer(request, host):
    """Ask, and say what the model read."""

    def run(lineage: Lineage, **access: object) -> list[str]:
        prompts: list[str] = []
        retriever = host.retriever(lineage, **access)
        if request.param == "sync":
            host.ask(retriever, lineage, prompts)
        else:
            asyncio.run(host.aask(retriever, lineage, prompts))
        return prompts

    return run


def recorded(lineage: CapturedLineage):
    (trail,) = lineage.trails
    (retrieval,) = trail.retrievals
    return trail, retrieval


def test_what_is_denied_reaches_neither_the_prompt_nor_any_record_of_texts(answer):
    with capture_trails() as lineage:
        (prompt,) = answer(lineage, access=POLICY, principal=STAFF)
        trail, retrieval = recorded(lineage)
        assert "February 28th" in prompt
        assert MARKER not in prompt
        assert MARKER.encode() not in encode(trail)
        assert [hit.chunk.document_id for hit in retrieval.hits] == ["handbook"]
        assert trail.chunks.keys() == {hit.chunk.chunk_id for hit in retrieval.hits}
        assert [d.document_id for d in trail.documents] == ["handbook"]
        assert lineage.errors == []
        assert lineage.open_count == 0


def test_a_decision_says_who_what_why_and_by_which_policy(answer):
    with capture_trails() as lineage:
        answer(lineage, access=POLICY, principal=STAFF)
        _, retrieval = recorded(lineage)
        (decision,) = retrieval.access
        assert decision.engine == "doctrail.labels"
        assert decision.principal == "ada"
        assert decision.policy == POLICY.policy
        assert decision.decision_id
        assert {(c.document_id, c.allowed, c.label, c.label_version) for c in decision.chunks} == {
            ("handbook", True, "internal", "v3"),
            ("merger", False, "secret", "v1"),
            ("memo", False, None, None),
        }


def test_a_decision_is_on_the_ledger_before_the_model_is_called(answer):
    with capture_trails() as lineage:
        answer(lineage, access=POLICY, principal=STAFF)
        trail, retrieval = recorded(lineage)
        (configured, access) = lineage.events
        assert configured[:2] == (
            "configured",
            {
                "what": "access policy",
                "engine": "doctrail.labels",
                "policy": POLICY.policy,
                "labels": POLICY.labels,
            },
        )
        kind, body, response_id = access
        assert (kind, response_id) == ("access", trail.response_id)
        assert body["search"] == 1
        hashes = {c["document_id"]: c.get("content_hash") for c in body["chunks"]}
        assert hashes == {
            "handbook": retrieval.hits[0].chunk.content_hash,
            "merger": None,
            "memo": None,
        }


@pytest.mark.parametrize(
    "named",
    [
        lambda ask: ask(principal="ada"),
        lambda ask: ask(principal=lambda: "ada"),
        lambda ask: _acting_for(Principal("ada"), ask),
    ],
    ids=["given", "called", "acting for"],
)
def test_a_principal_can_be_named_in_several_ways(answer, named):
    policy = LabelPolicy(("internal", "secret"), principals={"ada": "internal"})
    with capture_trails() as lineage:
        named(lambda **more: answer(lineage, access=policy, **more))
        _, retrieval = recorded(lineage)
        assert [d.principal for d in retrieval.access] == ["ada"]
        assert [hit.chunk.document_id for hit in retrieval.hits] == ["handbook"]


def _acting_for(principal, ask):
    with acting_for(principal):
        return ask()


def test_the_user_of_the_scope_is_the_principal(answer):
    policy = LabelPolicy(("internal", "secret"), principals={"ada": "secret"})
    with capture_trails() as lineage:
        with lineage.scope(user_id="ada"):
            (prompt,) = answer(lineage, access=policy)
        assert MARKER in prompt


def test_the_roles_of_a_principal_hold_in_a_scope_of_the_same_user(answer):
    with capture_trails() as lineage:
        with acting_for(Principal("ada", roles=("board",))), lineage.scope(user_id="ada"):
            (prompt,) = answer(lineage, access=POLICY)
        assert MARKER in prompt


def test_where_nobody_is_named_nothing_is_released(answer):
    with capture_trails() as lineage:
        with pytest.raises(AccessError, match="nobody is named"):
            answer(lineage, access=POLICY)
        trail, retrieval = recorded(lineage)
        assert trail.status == "error"
        assert retrieval.hits == ()
        (decision,) = retrieval.access
        assert decision.principal is None
        assert not any(chunk.allowed for chunk in decision.chunks)


class Failing:
    engine = "failing"

    def decide(self, principal, chunks):
        raise TimeoutError("the engine at 10.0.0.1 did not answer")


class Mumbling:
    """Returns something else than rulings."""

    engine = "mumbling"

    def __init__(self, rulings: object) -> None:
        self.rulings = rulings

    def decide(self, principal, chunks):
        return self.rulings


class Unawaited:
    engine = "unawaited"

    async def decide(self, principal, chunks):
        return [Ruling(allowed=True, decision_id="d", policy="p")] * len(chunks)


@pytest.mark.parametrize(
    "policy",
    [
        Failing(),
        Unawaited(),
        Mumbling(rulings=True),
        Mumbling([True, True, True]),
        Mumbling([Ruling(allowed=True, decision_id="d", policy="p")]),
        Mumbling([Ruling(allowed="yes", decision_id="d", policy="p")] * 3),  # type: ignore[arg-type]  # it is wrong
        Mumbling([Ruling(allowed=True, decision_id="", policy="p")] * 3),
        EnginePolicy(lambda asked: {"result": True, "revision": "7"}),
        EnginePolicy(lambda asked: {"result": True, "decision_id": "d"}),
        EnginePolicy(lambda asked: {"decision_id": "d", "revision": "7"}),
        EnginePolicy(lambda asked: None),  # type: ignore[arg-type,return-value]  # it is wrong
    ],
    ids=lambda policy: policy.engine,
)
def test_a_policy_that_gives_no_ruling_releases_nothing_and_that_is_on_record(answer, policy):
    with capture_trails() as lineage:
        with pytest.raises(AccessError):
            answer(lineage, access=policy, principal="ada")
        _, retrieval = recorded(lineage)
        assert retrieval.hits == ()
        (decision,) = retrieval.access
        assert decision.error
        assert len(decision.denied) == 3
        assert (retrieval.error or "").startswith("AccessError")
        (noted,) = [body for kind, body, _ in lineage.events if kind == "access"]
        assert ":" not in noted["error"]  # the kind of error alone: its words may tell anything
        assert lineage.errors == []
        assert lineage.open_count == 0


def test_an_engine_is_asked_once_and_its_decision_is_copied(answer):
    asked: list[dict] = []

    def opa(given: dict) -> dict:
        asked.append(given)
        allowed = [c["id"] for c in given["chunks"] if c["label"] == "internal"]
        return {
            "result": allowed,
            "decision_id": "4ca636c1",
            "provenance": {"bundles": {"authz": {"revision": "r7"}, "base": {"revision": "r2"}}},
        }

    with capture_trails() as lineage:
        answer(lineage, access=EnginePolicy(opa), principal=STAFF)
        _, retrieval = recorded(lineage)
        (given,) = asked
        assert given["principal"] == {"id": "ada", "roles": ["staff"], "attributes": {}}
        (decision,) = retrieval.access
        assert (decision.engine, decision.decision_id) == ("opa", "4ca636c1")
        assert decision.policy == "authz@r7,base@r2"
        assert [hit.chunk.document_id for hit in retrieval.hits] == ["handbook"]


def test_an_asynchronous_engine_is_awaited(host):
    async def opa(given: dict) -> dict:
        await asyncio.sleep(0)
        return {"result": False, "decision_id": "d", "revision": "7"}

    with capture_trails() as lineage:
        retriever = host.retriever(lineage, access=EnginePolicy(opa), principal="ada")
        prompts: list[str] = []
        asyncio.run(host.aask(retriever, lineage, prompts))
        _, retrieval = recorded(lineage)
        assert retrieval.hits == ()
        assert len(retrieval.access[0].denied) == 3


def test_of_two_policies_both_must_agree(answer, host):
    with capture_trails() as lineage:
        first = host.retriever(lineage, access=POLICY, principal=Principal("ada", ("board",)))
        wrapped = type(first)
        kwargs = {"access": POLICY, "principal": STAFF}
        if hasattr(wrapped, "wrap"):
            second = wrapped.wrap(first, **kwargs)
        else:
            second = wrapped(first, lineage=lineage, **kwargs)
        prompts: list[str] = []
        host.ask(second, lineage, prompts)
        _, retrieval = recorded(lineage)
        assert MARKER not in prompts[0]
        assert [[c.document_id for c in d.denied] for d in retrieval.access] == [
            ["memo"],
            ["merger"],
        ]


def outline(lineage: CapturedLineage):
    _, retrieval = recorded(lineage)
    documents = {h.chunk.document_id for h in retrieval.hits}
    decisions = [
        (
            d.engine,
            d.principal,
            d.policy,
            d.error,
            sorted(
                (c.document_id, c.allowed, c.label or "", c.label_version or "") for c in d.chunks
            ),
        )
        for d in retrieval.access
    ]
    events = [kind for kind, _, _ in lineage.events]
    return documents, decisions, events, [kind for kind, _ in lineage.entries]


@pytest.mark.parametrize("principal", [STAFF, Principal("bob"), Principal("eve", ("board",))])
def test_both_frameworks_put_the_same_on_record(principal):
    outlines = []
    for host in HOSTS.values():
        with capture_trails() as lineage:
            host.ask(host.retriever(lineage, access=POLICY, principal=principal), lineage, [])
            outlines.append(outline(lineage))
    assert outlines[0] == outlines[1]


def test_a_trail_with_decisions_can_be_read_again(host):
    with capture_trails() as lineage:
        host.ask(host.retriever(lineage, access=POLICY, principal=STAFF), lineage, [])
        trail, _ = recorded(lineage)
        assert asdict(decode(encode(trail))) == asdict(trail)
        assert decode(encode(trail)) != replace(trail, retrievals=())


def _langchain_around(lineage: Lineage, **access: object):
    from langchain_classic.retrievers import EnsembleRetriever

    from langchain_doctrail import LineageRetriever

    parts = [_langchain_retriever(lineage).inner for _ in range(2)]
    return LineageRetriever.wrap(EnsembleRetriever(retrievers=parts), **access)


def _langchain_within(lineage: Lineage, **access: object):
    from langchain_classic.retrievers import ContextualCompressionRetriever
    from langchain_classic.retrievers.document_compressors import LLMChainFilter
    from langchain_core.language_models.fake_chat_models import FakeListChatModel

    keeps_all = LLMChainFilter.from_llm(FakeListChatModel(responses=["YES"]))
    return ContextualCompressionRetriever(
        base_compressor=keeps_all, base_retriever=_langchain_retriever(lineage, **access)
    )


def _llama_index_around(lineage: Lineage, **access: object):
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import QueryFusionRetriever

    from llama_index.observability.doctrail import LineageRetriever

    parts = [_llama_index_retriever(lineage).base for _ in range(2)]
    fusion = QueryFusionRetriever(parts, llm=MockLLM(), num_queries=1, use_async=False)
    return LineageRetriever(fusion, lineage=lineage, **access)


def _llama_index_within(lineage: Lineage, **access: object):
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import QueryFusionRetriever

    parts = [_llama_index_retriever(lineage, **access) for _ in range(2)]
    return QueryFusionRetriever(parts, llm=MockLLM(), num_queries=1, use_async=False)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("langchain", _langchain_around),
        ("langchain", _langchain_within),
        ("llama_index", _llama_index_around),
        ("llama_index", _llama_index_within),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_denied_is_nowhere_whatever_stands_around_or_within(name, make):
    with capture_trails() as lineage:
        prompts: list[str] = []
        retriever = make(lineage, access=POLICY, principal=STAFF)
        HOSTS[name].ask(retriever, lineage, prompts)
        (trail,) = lineage.trails
        assert "February 28th" in prompts[-1]
        assert MARKER not in prompts[-1]
        assert MARKER.encode() not in encode(trail)
        hits = [hit for r in trail.retrievals for hit in r.hits]
        assert {h.chunk.document_id for h in hits if h.chunk.text is not None} == {"handbook"}
        decided = [d for r in trail.retrievals for d in r.access]
        assert "memo" in {c.document_id for d in decided for c in d.denied}
        assert lineage.errors == []
        assert lineage.open_count == 0


def test_requests_side_by_side_have_their_own_principals(host):
    people = {"ada": "staff", "eve": "board", "bob": "nobody"}
    with capture_trails() as lineage:
        retriever = host.retriever(lineage, access=POLICY)

        async def ask(name: str) -> list[str]:
            prompts: list[str] = []
            with acting_for(Principal(name, roles=(people[name],))):
                await host.aask(retriever, lineage, prompts)
            return prompts

        async def all_of_them() -> list[list[str]]:
            return await asyncio.gather(*(ask(name) for name in people for _ in range(5)))

        read = asyncio.run(all_of_them())
        seen = [any(MARKER in text for text in prompts) for prompts in read]
        assert seen == [False] * 5 + [True] * 5 + [False] * 5
        principals = Counter(d.principal for t in lineage.trails for d in t.retrievals[0].access)
        assert principals == {"ada": 5, "eve": 5, "bob": 5}
        assert lineage.errors == []


def test_what_the_request_says_of_its_user_counts(host):
    policy = LabelPolicy(("internal", "secret"), principals={"ada": "secret"})
    with capture_trails() as lineage:
        retriever = host.retriever(lineage, access=policy)
        prompts: list[str] = []
        if host is HOSTS["langchain"]:
            config = _langchain_config(lineage) | {"configurable": {"user_id": "ada"}}
            _langchain_chain(retriever, prompts).invoke(QUESTION, config)
        else:
            from llama_index_instrumentation.dispatcher import instrument_tags

            with instrument_tags({"user_id": "ada"}):
                host.ask(retriever, lineage, prompts)
        assert MARKER in prompts[0]


def test_it_is_enforced_where_nothing_is_recorded(host):
    from doctrail_core import suppress

    with capture_trails() as lineage, suppress():
        prompts: list[str] = []
        host.ask(host.retriever(lineage, access=POLICY, principal=STAFF), lineage, prompts)
        assert MARKER not in prompts[0]
        assert lineage.trails == []
