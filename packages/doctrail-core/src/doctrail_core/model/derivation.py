"""What a document was made from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Derivation:
    """That a document, such as a summary, was made from others."""

    document_id: str
    sources: tuple[str, ...]
