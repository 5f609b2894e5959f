"""The same tiny application in both frameworks, for tests that must hold for each.

`python pipelines.py HOST HOME [die]` asks it one question in a process of its own and prints the
answer; with `die` the model kills the process instead of answering, as `kill -9` would.
"""

import os
import signal
import sys
from collections.abc import Callable

from doctrail_core import Lineage, Settings

DOCUMENT = "doc_4821"
TEXT = "The contract renewal deadline for enterprise accounts is February 28th."
QUESTION = "When is the contract renewal deadline?"
ANSWER = "The renewal deadline is February 28th."

Reader = Callable[[], str]
Ask = Callable[[Lineage, Reader], str]


def ask_langchain(lineage: Lineage, reader: Reader) -> str:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnablePassthrough

    from langchain_doctrail import LineageCallbackHandler

    class Library(BaseRetriever):
        def _get_relevant_documents(
            self, query: str, *, run_manager: CallbackManagerForRetrieverRun
        ) -> list[Document]:
            return [Document(TEXT, metadata={"document_id": DOCUMENT})]

    prompt = ChatPromptTemplate.from_messages([("system", "{context}"), ("human", "{question}")])
    context = Library() | (lambda found: "\n\n".join(d.page_content for d in found))
    start = {"context": context, "question": RunnablePassthrough()}
    chain = start | prompt | _langchain_model(reader) | StrOutputParser()
    return chain.invoke(QUESTION, config={"callbacks": [LineageCallbackHandler(lineage=lineage)]})


def _langchain_model(reader: Reader):
    from langchain_core.language_models.fake_chat_models import SimpleChatModel

    class Fake(SimpleChatModel):
        def _call(self, messages, stop=None, run_manager=None, **_: object) -> str:
            return reader()

        @property
        def _llm_type(self) -> str:
            return "fake"

    return Fake()


def ask_llama_index(lineage: Lineage, reader: Reader) -> str:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
    from llama_index.core.llms.callbacks import llm_completion_callback
    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.core.schema import (
        NodeRelationship,
        NodeWithScore,
        QueryBundle,
        RelatedNodeInfo,
        TextNode,
    )

    from llama_index.observability.doctrail import LineageRetriever

    class Library(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=DOCUMENT)}
            return [NodeWithScore(node=TextNode(text=TEXT, relationships=source))]

    class Fake(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(model_name="fake")

        @llm_completion_callback()
        def complete(self, prompt: str, formatted: bool = False, **_: object) -> CompletionResponse:  # noqa: FBT001, FBT002
            return CompletionResponse(text=reader())

        @llm_completion_callback()
        def stream_complete(self, prompt: str, formatted: bool = False, **_: object):  # noqa: FBT001, FBT002
            raise AssertionError("not asked for")

    engine = RetrieverQueryEngine.from_args(
        LineageRetriever(Library(), lineage=lineage), llm=Fake()
    )
    return str(engine.query(QUESTION))


HOSTS: dict[str, Ask] = {"langchain": ask_langchain, "llama_index": ask_llama_index}


def die() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


if __name__ == "__main__":
    host, home, *how = sys.argv[1:]
    settings = Settings.load(home=home)
    print(HOSTS[host](Lineage(settings), die if how else lambda: ANSWER), flush=True)  # noqa: T201
    sys.stdin.read()  # stay alive until told to go
