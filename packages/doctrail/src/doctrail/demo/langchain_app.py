"""A LangChain application as people write them, and the two places where lineage was added to it."""

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel, LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_text_splitters import RecursiveCharacterTextSplitter

from doctrail.demo.corpus import Contract
from doctrail.demo.embedding import HashedTfidfEmbeddings
from doctrail_core import Lineage, Trail
from langchain_doctrail import LineageCallbackHandler, LineageRetriever

__all__ = ["LangChainApp", "ReaderChatModel"]

_PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer the question from the context alone. If it is not there, say so."),
        ("human", "Context:\n{context}\n\nQuestion: {question}"),
    ]
)


class ReaderChatModel(BaseChatModel):
    """A chat model that is none: `read` makes the answer from the prompt's text."""

    model: str
    read: Callable[[str], str]

    @property
    def _llm_type(self) -> str:
        return "doctrail-demo-reader"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model}

    def _get_ls_params(self, *_: Any, **__: Any) -> LangSmithParams:
        return LangSmithParams(
            ls_provider="doctrail", ls_model_name=self.model, ls_model_type="chat"
        )

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        prompt = "\n".join(message.text for message in messages)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.read(prompt)))])


class LangChainApp:
    """`retriever | format | prompt | model` over a vector store."""

    def __init__(self, contracts: Sequence[Contract], lineage: Lineage) -> None:
        chunks = _split(contracts)
        store = InMemoryVectorStore(HashedTfidfEmbeddings([c.page_content for c in chunks]))
        store.add_documents(chunks)
        self._lineage = lineage
        self._retriever = LineageRetriever.wrap(store.as_retriever(search_kwargs={"k": 4}))

    def ask(self, question: str, model: BaseChatModel, budget: int | None = None) -> Trail | None:
        """Ask, and return where the answer came from.

        Args:
            question: What to ask.
            model: Who answers.
            budget: Cut the context at this many characters, as hurried applications do.
        """

        def format_docs(docs: Sequence[Document]) -> str:
            return "\n\n".join(doc.page_content for doc in docs)[:budget]

        handler = LineageCallbackHandler(lineage=self._lineage)
        chain = (
            {"context": self._retriever | format_docs, "question": RunnablePassthrough[str]()}
            | _PROMPT
            | model
            | StrOutputParser()
        )
        chain.invoke(question, config={"callbacks": [handler]})
        return handler.last


def _split(contracts: Sequence[Contract]) -> list[Document]:
    splitter = RecursiveCharacterTextSplitter(chunk_size=900, chunk_overlap=100)
    chunks: list[Document] = []
    for contract in contracts:
        for number, piece in enumerate(splitter.split_text(contract.text)):
            metadata = {
                "document_id": contract.document_id,
                "chunk": number,
                "source": contract.source,
            }
            chunk_id = f"{contract.document_id}/{number}"
            chunks.append(Document(piece, id=chunk_id, metadata=metadata))
    return chunks
