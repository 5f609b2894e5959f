"""A search in Chroma, in memory."""

from corpus import CHUNKS, QUESTION, embedding, metadata


def asked() -> None:
    """The application asks the store itself."""
    import chromadb
    from chromadb.config import Settings

    client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))
    collection = client.create_collection("contracts", embedding_function=None)
    collection.add(
        ids=[*CHUNKS],
        documents=[*CHUNKS.values()],
        embeddings=[embedding(text) for text in CHUNKS.values()],
        metadatas=[metadata(chunk_id) for chunk_id in CHUNKS],
    )
    collection.query(
        query_embeddings=[embedding(QUESTION)],
        n_results=2,
        where={"document_id": "contract_1"},
        include=["documents", "metadatas", "distances"],
    )
