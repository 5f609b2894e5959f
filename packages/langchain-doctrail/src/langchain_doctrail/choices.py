"""What a step kept of the documents that it was given, so that it is named for what it dropped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from langchain_core.documents import Document

from langchain_doctrail.artifacts import documents_in
from langchain_doctrail.documents import as_documents, chunk_id_of
from langchain_doctrail.fields import fields
from langchain_doctrail.origins import traced

__all__ = ["Choice", "choice_between"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The ids of the chunks that went into a step and of those that came out."""

    among: Sequence[str]
    kept: Sequence[str]

    @classmethod
    def of(cls, given: Sequence[Document], kept: Sequence[Document]) -> "Choice | None":
        """What a step chose; None if it dropped nothing."""
        among = [chunk_id_of(document) for document in given]
        left = [chunk_id_of(traced(document, given)) for document in kept]
        return cls(among, left) if not set(among) <= set(left) else None


def choice_between(inputs: object, outputs: object) -> Choice | None:
    """What a step chose that gets documents and returns documents, alone or under the same name."""
    if isinstance(outputs, list):
        kept = as_documents(cast("object", outputs))
        return Choice.of(documents_in(inputs), kept) if kept or not outputs else None
    returned = fields(outputs)
    if not returned or not (named := fields(inputs)):
        return None
    given, kept = list[Document](), list[Document]()
    for name in returned.keys() & named.keys():
        if isinstance(returned[name], list) and (before := as_documents(named[name])):
            given += before
            kept += as_documents(returned[name])
    return Choice.of(given, kept) if given else None
