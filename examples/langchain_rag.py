"""A LangChain RAG chain that can say where its answer came from.

Runs offline: `python langchain_rag.py`. Model and embedding are stand-ins: the one always says the
same, the other compares words. Put real ones in their place and nothing else changes.
"""

import hashlib

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_doctrail import LineageCallbackHandler, LineageRetriever, format_tagged

CONTRACTS = {
    "doc_4821": "The contract renewal deadline for enterprise accounts is February 28th.",
    "doc_1190": "Either party may terminate this agreement with ninety days' written notice.",
    "doc_2077": "Confidential information must be returned within thirty days of termination.",
}
QUESTION = "When is the renewal deadline for enterprise accounts?"


class WordEmbeddings(Embeddings):
    """Texts that share words lie near each other."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed each text."""
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Count the words, each at the place its hash gives it."""
        places = [0.0] * 256
        for word in text.lower().strip("?.").split():
            places[hashlib.sha256(word.encode()).digest()[0]] += 1.0
        return places


def main() -> None:
    """Index three contracts, ask one question, and print the trail of its answer."""
    store = InMemoryVectorStore(WordEmbeddings())
    store.add_documents(
        [
            Document(text, id=f"{document_id}/0", metadata={"document_id": document_id})
            for document_id, text in CONTRACTS.items()
        ]
    )
    retriever = LineageRetriever.wrap(store.as_retriever(search_kwargs={"k": 2}))
    chain = (
        {"context": retriever | format_tagged, "question": RunnablePassthrough()}
        | ChatPromptTemplate.from_template("Answer from this:\n{context}\n\n{question}")
        | FakeListChatModel(responses=["The deadline is February 28th."])
        | StrOutputParser()
    )
    lineage = LineageCallbackHandler()
    answer = chain.invoke(QUESTION, config={"callbacks": [lineage]})
    print(answer, "\n")
    if lineage.last is not None:
        print(lineage.last.why())


if __name__ == "__main__":
    main()
