"""What the recorded applications search in, ask and answer; the tests know it, too."""

QUESTION = "When must the renewal of an enterprise contract be declared?"
FOLLOW_UP = "And who signs the notice of renewal?"
ANSWER = "The renewal must be declared by February 28th."
SECOND_ANSWER = "The notice is signed by the account owner."
SEARCH = "renewal deadline enterprise"
"""What an agent's model chooses to search for."""

CHUNKS = {
    "contract_1::0": "The renewal of an enterprise contract must be declared by February 28th of each year.",
    "contract_1::1": "An enterprise contract whose renewal was not declared in time ends on March 31st.",
    "contract_2::0": "The notice of renewal of a contract is signed by the account owner and by nobody else.",
    "handbook_7::3": "Lunch is served in the canteen from noon, and on Fridays there is fish.",
}
"""Text by chunk id; what stands before `::` names the document."""


def metadata(chunk_id: str) -> dict[str, str | int]:
    """What loaders and splitters leave with a chunk."""
    document, place = chunk_id.split("::")
    return {"document_id": document, "source": f"docs/{document}.md", "chunk_index": int(place)}


def words(text: str) -> set[str]:
    """Its words, for stores and rerankers that count those in common."""
    return {word.strip(".,?").lower() for word in text.split()}


def embedding(text: str) -> list[float]:
    """Which words of the corpus are in it: no learned model, but near texts are near."""
    own = words(text)
    return [0.1 + float(word in own) for word in _VOCABULARY]


_VOCABULARY = sorted(set[str]().union(*map(words, CHUNKS.values())))[:24]
