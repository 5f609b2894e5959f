"""torch and transformers: imported when a model is loaded, and what of them is used.

Nothing else imports them, so that the package is typed and tested where they are not installed.
"""

import importlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self, cast

from doctrail_core.grounding.verifier import VerifierError

__all__ = ["Encodings", "Model", "Tensor", "Tokenizer", "Torch", "Transformers", "libraries"]


class Tensor(Protocol):
    def __getitem__(self, key: Any, /) -> Self: ...
    def float(self) -> Self: ...
    def softmax(self, dim: int) -> Self: ...
    def tolist(self) -> Any: ...


class Torch(Protocol):
    float32: object
    long: object
    cuda: Any

    def tensor(self, data: Sequence[Sequence[int]], *, device: str) -> Tensor: ...
    def zeros(self, size: tuple[int, ...], *, dtype: object, device: str) -> Tensor: ...
    def inference_mode(self) -> AbstractContextManager[object]: ...


class Encodings(Protocol):
    """Texts as a tokenizer reads them: columns of one list per text."""

    def __getitem__(self, column: str, /) -> Sequence[Sequence[Any]]: ...
    def sequence_ids(self, text: int, /) -> Sequence[int | None]: ...


class Tokenizer(Protocol):
    all_special_tokens: Sequence[str]
    eos_token: str | None
    pad_token_id: int | None

    def __call__(
        self,
        text: Sequence[str],
        text_pair: Sequence[str] | None = None,
        *,
        return_offsets_mapping: bool,
        return_token_type_ids: bool,
        verbose: bool,
    ) -> Encodings: ...


class Model(Protocol):
    def __call__(self, **inputs: Tensor) -> Any: ...
    def eval(self) -> Self: ...
    def to(self, device: str, /) -> Self: ...


class Transformers(Protocol):
    utils: Any
    AutoConfig: Any
    AutoTokenizer: Any
    T5ForTokenClassification: Any


def libraries() -> tuple[Torch, Transformers]:
    """Both libraries.

    Raises:
        VerifierError: They are not installed.
    """
    try:
        torch = importlib.import_module("torch")
        transformers = importlib.import_module("transformers")
    except ImportError as error:
        message = (
            f"local models need torch and transformers: pip install 'doctrail-core[nli]' ({error})"
        )
        raise VerifierError(message) from error
    return cast("Torch", torch), cast("Transformers", transformers)
