"""A LangChain RAG chain whose answers are checked against the contracts that they were made from.

Runs offline: `python langchain_grounding.py`, with `pip install 'doctrail[demo]'` for the contracts, which are
real ones. The model is a stand-in that says what it was told to say, once wrongly. Put a real one in its
place and nothing else changes: the check needs no model.
"""

from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from doctrail.demo.corpus import contracts
from doctrail.demo.embedding import HashedTfidfEmbeddings
from doctrail_core import Grounding, Trail
from langchain_doctrail import LineageCallbackHandler, LineageRetriever, check_grounding

RENEWAL = "The contract renewal deadline for enterprise accounts is February 28th."
SAID = {
    "On what date did Big Sky and Mesaba Holdings enter into their agreement?": (
        "The Non-Disclosure Agreement between Big Sky Transportation Company and Mesaba Holdings is"
        " entered into as of July 26, 2002."
    ),
    "When is the contract renewal deadline for enterprise accounts?": (
        "The contract renewal deadline for enterprise accounts is March 15th."
    ),
}


def clauses() -> list[Document]:
    """Sixteen real agreements by paragraph, and one clause of our own."""
    paragraphs = [
        (contract.document_id, place, text)
        for contract in contracts()
        for place, text in enumerate(filter(None, contract.text.split("\n")))
    ]
    return [
        Document(text, id=f"{name}/{place}", metadata={"document_id": name, "chunk_index": place})
        for name, place, text in [*paragraphs, ("doc_4821", 3, RENEWAL)]
    ]


def show(trail: Trail) -> None:
    """Print what was found of each claim, and by which words of which contract."""
    for verdict in trail.assessments[0].verdicts:
        print(f"  {verdict.verdict}: {verdict.claim.text}")
        for evidence in verdict.evidence[:1]:
            source = trail.chunks[evidence.chunk_id]
            words = (source.text or "")[evidence.start : evidence.end]
            print(f"    {source.document_id} says: {words}")
    print()


def main() -> None:
    """Ask twice, and hand on only what the contracts say."""
    documents = clauses()
    store = InMemoryVectorStore(HashedTfidfEmbeddings([d.page_content for d in documents]))
    store.add_documents(documents)
    retriever = LineageRetriever.wrap(store.as_retriever(search_kwargs={"k": 3}))

    def format_docs(found: list[Document]) -> str:
        return "\n\n".join(document.page_content for document in found)

    chain = (
        {"context": retriever | format_docs, "question": RunnablePassthrough()}
        | ChatPromptTemplate.from_template("Answer from this:\n{context}\n\n{question}")
        | FakeListChatModel(responses=[*SAID.values(), *SAID.values()])
        | StrOutputParser()
    )

    # Every answer, before it is handed on: this one has another date than its source.
    careful = chain | check_grounding(enforce="refuse")
    lineage = LineageCallbackHandler()
    for question in SAID:
        print(question)
        print(" ", careful.invoke(question, config={"callbacks": [lineage]}))
        trail = lineage.last
        if trail is not None:
            show(trail)

    # In the background, a share of them, which delays none: here all, to have something to show.
    sampling = LineageCallbackHandler(grounding=Grounding(sample_rate=1.0))
    for question in SAID:
        chain.invoke(question, config={"callbacks": [sampling]})
    sampling.lineage.flush()
    if sampling.last is not None:
        print(sampling.last.why())


if __name__ == "__main__":
    main()
