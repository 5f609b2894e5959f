"""What a step kept of the documents that it was given, so that it is named for what it dropped."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

from langchain_core.documents import BaseDocumentCompressor, BaseDocumentTransformer, Document
from langchain_core.retrievers import BaseRetriever
from typing_extensions import override

from langchain_doctrail.artifacts import documents_in
from langchain_doctrail.documents import as_documents, chunk_id_of
from langchain_doctrail.fields import fields
from langchain_doctrail.origins import traced

__all__ = ["Choice", "WatchedCompression", "choice_between"]


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


class _Tap(BaseDocumentTransformer):
    """Hands documents on as they are, and remembers which."""

    def __init__(self) -> None:
        self.passed: list[Document] = []

    @override
    def transform_documents(self, documents: Sequence[Document], **kwargs: Any) -> Any:
        self.passed = list(documents)
        return documents

    @override
    async def atransform_documents(self, documents: Sequence[Document], **kwargs: Any) -> Any:
        return self.transform_documents(documents)


class WatchedCompression:
    """A retriever that has what another one found compressed, with the steps of that watched.

    Steps of a pipeline are watched in a copy of it, for one search: the user's objects stay as they are.
    """

    def __init__(self, retriever: BaseRetriever, compressor: BaseDocumentCompressor) -> None:
        """Watch this retriever, which hands what it found to this compressor."""
        steps = _steps(compressor)
        self.retriever = retriever
        self._names = [type(step).__name__ for step in steps]
        self._taps = [_Tap() for _ in steps[1:]]
        if self._taps:
            pairs = zip(self._taps, steps[1:], strict=True)
            tapped = [steps[0], *(part for pair in pairs for part in pair)]
            watched = compressor.model_copy(update={"transformers": tapped})
            self.retriever = retriever.model_copy(update={"base_compressor": watched})

    @classmethod
    def of(cls, retriever: BaseRetriever) -> "WatchedCompression | None":
        """The same retriever, watched; None if it is not one that compresses."""
        compressor = getattr(retriever, "base_compressor", None)
        return (
            cls(retriever, compressor) if isinstance(compressor, BaseDocumentCompressor) else None
        )

    def choices(
        self, found: Sequence[Document], returned: Sequence[Document]
    ) -> Iterator[tuple[str, Choice]]:
        """What each step dropped, by its name, between what was found and what was returned."""
        passed = ([traced(document, found) for document in tap.passed] for tap in self._taps)
        stages = pairwise([found, *passed, returned])
        for name, (given, kept) in zip(self._names, stages, strict=True):
            if choice := Choice.of(given, kept):
                yield name, choice


def _steps(compressor: BaseDocumentCompressor) -> list[object]:
    steps = getattr(compressor, "transformers", None)
    return cast("list[object]", steps) if isinstance(steps, list) and steps else [compressor]
