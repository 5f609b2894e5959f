"""A model with its tokenizer, ready to be asked. No code that a checkpoint brings is ever run."""

import importlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from doctrail_core.grounding.nli.families import Family, FamilyName, Head, family_of
from doctrail_core.grounding.nli.libraries import (
    Model,
    Tokenizer,
    Torch,
    Transformers,
    libraries,
)
from doctrail_core.grounding.verifier import VerifierError

__all__ = ["Checkpoint", "load"]

_HHEM_FOUNDATION = "google/flan-t5-base"
_OWN_CODE: Mapping[str, Any] = {"trust_remote_code": False}
"""Said outright: where it is left open, a person at the terminal is asked."""
_HASHED = frozenset({".bin", ".json", ".model", ".safetensors", ".txt"})
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights, and how they are asked.

    Attributes:
        label: The id, or the folder's name: a path says more of a machine than a record should.
        revision: The commit of the weights, or a hash of the files.
        positions: So many tokens can be read at all; None where positions are relative.
        segments: Whether it is told which token is of the first text, and which of the second.
        labels: What the outputs stand for, in lower case, in their order.
    """

    label: str
    revision: str
    family: Family
    torch: Torch
    tokenizer: Tokenizer
    model: Model
    device: str
    positions: int | None
    segments: bool
    labels: tuple[str, ...]


def load(
    model: str | Path,
    *,
    family: FamilyName | None = None,
    foundation: str | Path | None = None,
    device: str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
) -> Checkpoint:
    """Load a checkpoint in float32.

    Raises:
        VerifierError: It cannot be had, or is not what it should be; the message says what to do.
    """
    torch, transformers = libraries()
    source = _Source(transformers, str(model), revision, local_files_only=local_files_only)
    try:
        return _loaded(torch, source, family, str(foundation) if foundation else None, device)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        said = str(error).strip().partition("\n")[0]
        raise VerifierError(f"cannot load {source.label!r}: {said}{_advice(error)}") from error


class _Source:
    """Where the files of a checkpoint come from: a folder, the cache, or the hub."""

    def __init__(
        self,
        transformers: Transformers,
        model: str,
        revision: str | None,
        *,
        local_files_only: bool,
    ) -> None:
        folder = Path(model).expanduser()
        self.transformers = transformers
        self.local = folder.is_dir()
        self.model = str(folder) if self.local else model
        self.label = folder.resolve().name if self.local else model
        self.options: Mapping[str, Any] = {
            "revision": revision or "main",
            "local_files_only": local_files_only,
        }

    def file(self, name: str) -> Path:
        """One of its files, downloaded if need be.

        Raises:
            FileNotFoundError: It is not to be had; the message says what to do.
        """
        try:
            found = self.transformers.utils.cached_file(self.model, name, **self.options)
        except (OSError, ValueError) as error:
            if self.local:
                raise
            said = str(error).strip().partition("\n")[0]
            raise FileNotFoundError(
                f"{said}; no folder of that name is here either. Where there is a network, `hf download "
                f"{self.model} --local-dir FOLDER` gets the files, and FOLDER is the model"
            ) from error
        if found is None:
            raise FileNotFoundError(f"it has no {name}")
        return Path(found)

    def network(self, torch: Torch, head: Head) -> Model:
        loader = getattr(self.transformers, _LOADERS[head])
        network, told = loader.from_pretrained(
            self.model, dtype=torch.float32, output_loading_info=True, **_OWN_CODE, **self.options
        )
        _complete(told["missing_keys"])
        return network

    def tokenizer(self) -> Tokenizer:
        return self.transformers.AutoTokenizer.from_pretrained(
            self.model, **_OWN_CODE, **self.options
        )


def _loaded(
    torch: Torch,
    source: _Source,
    asked: FamilyName | None,
    foundation: str | None,
    device: str | None,
) -> Checkpoint:
    described = source.file("config.json")
    config: Mapping[str, Any] = json.loads(described.read_text(encoding="utf-8"))
    family = family_of(config, source.label, asked)
    if family.head == "first_token":
        published: str = config.get("foundation") or _HHEM_FOUNDATION
        network, tokenizer = _hhem(source, foundation or published)
    else:
        network, tokenizer = source.network(torch, family.head), source.tokenizer()
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return Checkpoint(
        label=source.label,
        revision=_hash(described.parent) if source.local else described.parent.name,
        family=family,
        torch=torch,
        tokenizer=tokenizer,
        model=network.to(where).eval(),
        device=where,
        positions=_positions(config),
        segments=int(config.get("type_vocab_size") or 0) > 1,
        labels=_labels(config),
    )


def _hhem(source: _Source, foundation: str) -> tuple[Model, Tokenizer]:
    """The published class, without its code: T5's token classifier, whose weights it keeps under `t5`."""
    base = _Source(
        source.transformers, foundation, None, local_files_only=source.options["local_files_only"]
    )
    base.file("config.json")  # for the advice, should it not be there
    t5 = base.transformers.AutoConfig.from_pretrained(base.model, **_OWN_CODE, **base.options)
    network = base.transformers.T5ForTokenClassification(t5)
    stored = importlib.import_module("safetensors.torch").load_file(
        source.file("model.safetensors")
    )
    named = {name.removeprefix("t5."): weight for name, weight in stored.items()}
    told = network.load_state_dict(named, strict=False)
    _complete(name for name in told.missing_keys if not name.endswith("embed_tokens.weight"))
    return network, base.tokenizer()


def _complete(missing: Iterable[str]) -> None:
    """Raise if weights are missing: they would be made up."""
    if names := ", ".join(sorted(missing)[:3]):
        raise ValueError(f"it lacks weights ({names}): it is not the trained model")


def _labels(config: Mapping[str, Any]) -> tuple[str, ...]:
    named: Mapping[str, str] = config.get("id2label") or {}
    return tuple(str(named[at]).lower() for at in sorted(named, key=int))


def _positions(config: Mapping[str, Any]) -> int | None:
    """How many tokens have a position of their own."""
    if config.get("relative_attention") and not config.get("position_biased_input", True):
        return None
    most: int | None = config.get("max_position_embeddings")
    if most is None or "roberta" not in str(config.get("model_type")):
        return most
    return most - int(config.get("pad_token_id", 1)) - 1


def _hash(folder: Path) -> str:
    """Of everything in a folder that bears on what the model says."""
    total = sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in _HASHED and path.is_file():
            total.update(path.name.encode())
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    total.update(block)
    return total.hexdigest()


def _advice(error: Exception) -> str:
    if isinstance(error, ImportError):
        return "; pip install 'doctrail-core[nli]' brings what it needs"
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        return "; a folder must hold config.json, the weights and the tokenizer of one checkpoint"
    return ""


_LOADERS: Mapping[Head, str] = {
    "sequence": "AutoModelForSequenceClassification",
    "first_word": "AutoModelForSeq2SeqLM",
    "tokens": "AutoModelForTokenClassification",
}
