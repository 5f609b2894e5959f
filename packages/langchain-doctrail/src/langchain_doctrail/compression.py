"""A retriever's compression, watched step by step: what each was given, what it kept, which of them ranked.

Steps are watched in copies, for one search: the user's objects stay as they are, and each step gets and
returns the documents that it would without being watched.
"""

import inspect
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

from langchain_core.documents import BaseDocumentCompressor, BaseDocumentTransformer, Document
from langchain_core.retrievers import BaseRetriever
from typing_extensions import override

from doctrail_core.model import RankedChunk
from langchain_doctrail.choices import Choice
from langchain_doctrail.documents import chunk_id_of
from langchain_doctrail.origins import score_before, scored_anew, traced

__all__ = ["Passage", "Ranking", "WatchedCompression"]

_Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The chunks before and after a reranker, best first, and how it was set up."""

    given: tuple[RankedChunk, ...]
    kept: tuple[RankedChunk, ...]
    model: str | None
    top_k: int | None


@dataclass(slots=True)
class Passage:
    """Documents on their way through one step."""

    step: object
    given: Sequence[Document]
    started: int
    query: str | None = None
    kept: Sequence[Document] = ()
    ended: int | None = None

    @property
    def by(self) -> str:
        """What the step is called."""
        return type(self.step).__name__

    def choice(self) -> Choice | None:
        """What the step chose; None if it dropped nothing."""
        return Choice.of(self.given, self.kept)

    def ranking(self) -> Ranking | None:
        """How the step ranked; None for one that neither scores nor orders, nor is set to keep the best."""
        scored = [scored_anew(document, self.given) for document in self.kept]
        kept = [chunk_id_of(traced(document, self.given)) for document in self.kept]
        given = [chunk_id_of(document) for document in self.given]
        if not (any(scored) or _in_another_order(given, kept) or _number(self.step, *_BEST)):
            return None
        before, after = map(score_before, self.given), (s[0] if s else None for s in scored)
        return Ranking(
            tuple(map(RankedChunk, given, before)),
            tuple(map(RankedChunk, kept, after)),
            _model(self.step),
            _number(self.step, *_BEST, "top_k", "k"),
        )


class WatchedCompression:
    """A retriever that has what another one found compressed, with the steps of that watched."""

    def __init__(
        self, retriever: BaseRetriever, compressor: BaseDocumentCompressor, now: _Clock
    ) -> None:
        """Watch this retriever, which hands what it found to this compressor."""
        self._passed: list[Passage] = []
        steps = _steps(compressor)
        if steps:
            each = [self._watched(step, now) for step in steps]
            watched = compressor.model_copy(update={"transformers": each})
        else:
            watched = _Watched(step=compressor, passed=self._passed, now=now)
        self.retriever = retriever.model_copy(update={"base_compressor": watched})

    @classmethod
    def of(cls, retriever: BaseRetriever, now: _Clock) -> "WatchedCompression | None":
        """The same retriever, watched by this clock; None if it is not one that compresses."""
        compressor = getattr(retriever, "base_compressor", None)
        if not isinstance(compressor, BaseDocumentCompressor):
            return None
        return cls(retriever, compressor, now)

    def passages(self, found: Sequence[Document]) -> Iterator[Passage]:
        """What went through each step, in their order; `found` are the documents it all began with."""
        for passage in self._passed:
            given = [traced(document, found) for document in passage.given]
            kept = [traced(document, found) for document in passage.kept]
            yield replace(passage, given=given, kept=kept)

    def _watched(self, step: object, now: _Clock) -> Any:
        if isinstance(step, BaseDocumentCompressor):
            return _WatchedStep(step=step, passed=self._passed, now=now)
        if isinstance(step, BaseDocumentTransformer):
            return _WatchedTransformer(step, self._passed, now)
        return step  # which its pipeline will refuse


class _Watched(BaseDocumentCompressor):
    """Has a compressor do its work, and notes what went through."""

    step: Any
    passed: Any
    now: Any

    @override
    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        with _passing(self.step, documents, self.passed, self.now, query) as passage:
            compress = self.step.compress_documents
            passage.kept = compress(documents, query, **self._taken(compress, callbacks))
            return passage.kept

    @override
    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        with _passing(self.step, documents, self.passed, self.now, query) as passage:
            compress = self.step.acompress_documents
            passage.kept = await compress(documents, query, **self._taken(compress, callbacks))
            return passage.kept

    def _taken(self, compress: Callable[..., object], callbacks: object) -> dict[str, object]:  # noqa: ARG002  # a step's depends on it
        return {"callbacks": callbacks}


class _WatchedStep(_Watched):
    """One of several: a pipeline tells its callbacks to those that take them."""

    @override
    def _taken(self, compress: Callable[..., object], callbacks: object) -> dict[str, object]:
        takes = "callbacks" in inspect.signature(compress).parameters
        return {"callbacks": callbacks} if takes else {}


class _WatchedTransformer(BaseDocumentTransformer):
    """Has a transformer do its work, and notes what went through."""

    def __init__(self, step: BaseDocumentTransformer, passed: list[Passage], now: _Clock) -> None:
        self._step, self._passed, self._now = step, passed, now

    @override
    def transform_documents(self, documents: Sequence[Document], **kwargs: Any) -> Any:
        with _passing(self._step, documents, self._passed, self._now) as passage:
            passage.kept = self._step.transform_documents(documents, **kwargs)
            return passage.kept

    @override
    async def atransform_documents(self, documents: Sequence[Document], **kwargs: Any) -> Any:
        with _passing(self._step, documents, self._passed, self._now) as passage:
            passage.kept = await self._step.atransform_documents(documents, **kwargs)
            return passage.kept


@contextmanager
def _passing(
    step: object,
    documents: Sequence[Document],
    passed: list[Passage],
    now: _Clock,
    query: str | None = None,
) -> Generator[Passage]:
    passage = Passage(step, list(documents), now(), query)
    yield passage
    passage.ended = now()
    passed.append(passage)


def _steps(compressor: BaseDocumentCompressor) -> list[object]:
    steps = getattr(compressor, "transformers", None)
    return cast("list[object]", steps) if isinstance(steps, list) else []


def _in_another_order(given: Sequence[str], kept: Sequence[str]) -> bool:
    left = [chunk_id for chunk_id in dict.fromkeys(kept) if chunk_id in given]
    return left != [chunk_id for chunk_id in dict.fromkeys(given) if chunk_id in kept]


_BEST = ("top_n",)
"""What LangChain's rerankers, and nothing else, call the number of documents to keep."""


def _number(step: object, *names: str) -> int | None:
    held = (getattr(step, name, None) for name in names)
    return next((n for n in held if isinstance(n, int) and not isinstance(n, bool)), None)


def _model(step: object) -> str | None:
    """The name of the model that ranks: the step's own, or that of an object that it holds."""
    model = getattr(step, "model", None)
    for holder, names in ((step, ("model", "model_name")), (model, ("model_name", "model"))):
        for name in names:
            if isinstance(told := getattr(holder, name, None), str) and told:
                return told
    return None
