"""A model with its tokenizer, ready to be asked. No code that a checkpoint brings is ever run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from doctrail_core.grounding.nli.families import Family, FamilyName, family_of
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
_HASHED = frozenset({".bin", ".json", ".model", ".safetensors", ".txt"})
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights, and how they are asked.

    Attributes:
        label: The id, or the folder's name: a path says more of a machine than a record should.
        revision: The commit of the weights, or a hash of the files.
        positions: So many tokens can be read at all; None where positions are relative.
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
        raise VerifierError(f"cannot load {source.label!r}: {_advice(error, source)}") from error


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
        self.transformers = transformers
        self.model = model
        self.local = Path(model).expanduser().is_dir()
        self.label = Path(model).expanduser().resolve().name if self.local else model
        self.options = {"revision": revision or "main", "local_files_only": local_files_only}

    def config(self) -> tuple[Path, Mapping[str, Any]]:
        found = self.transformers.utils.cached_file(self.model, "config.json", **self.options)
        if found is None:
            raise FileNotFoundError("it has no config.json")
        return Path(found).parent, json.loads(Path(found).read_text(encoding="utf-8"))

    def weights(self, loader: Any, torch: Torch, **options: Any) -> Model:
        """The network with every weight that it has from the checkpoint.

        Raises:
            ValueError: Some are not in it; they would have been made up.
        """
        network, told = loader.from_pretrained(
            self.model, dtype=torch.float32, output_loading_info=True, **self.options, **options
        )
        if missing := sorted(told["missing_keys"]):
            raise ValueError(
                f"it lacks weights ({', '.join(missing[:3])}): it is not the trained model"
            )
        return network


def _loaded(
    torch: Torch,
    source: _Source,
    asked: FamilyName | None,
    foundation: str | None,
    device: str | None,
) -> Checkpoint:
    folder, config = source.config()
    family = family_of(config, source.label, asked)
    if family.head == "first_token":
        published: str = config.get("foundation") or _HHEM_FOUNDATION
        network, tokenizer = _hhem(torch, source, foundation or published)
    else:
        network = source.weights(getattr(source.transformers, _LOADERS[family.head]), torch)
        tokenizer = source.transformers.AutoTokenizer.from_pretrained(
            source.model, trust_remote_code=False, **source.options
        )
    tokenizer.padding_side = "right"
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return Checkpoint(
        label=source.label,
        revision=_hash(folder) if source.local else folder.name,
        family=family,
        torch=torch,
        tokenizer=tokenizer,
        model=network.to(where).eval(),
        device=where,
        positions=_positions(config),
        labels=_labels(config),
    )


def _hhem(torch: Torch, source: _Source, foundation: str) -> tuple[Model, Tokenizer]:
    """The published class is a T5 encoder with a token classifier, named `t5`; only its code is left out."""
    options = {"local_files_only": source.options["local_files_only"]}
    transformers = source.transformers
    t5 = transformers.AutoConfig.from_pretrained(foundation, **options)
    names = {r"^t5\.": ""}
    loader = transformers.T5ForTokenClassification
    network = source.weights(loader, torch, config=t5, key_mapping=names)
    return network, transformers.AutoTokenizer.from_pretrained(foundation, **options)


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


def _advice(error: Exception, source: _Source) -> str:
    said = str(error).strip().partition("\n")[0]
    if isinstance(error, ImportError):
        return f"{said}; pip install 'doctrail-core[nli]' brings what it needs"
    if not isinstance(error, OSError):
        return said
    if source.local:
        return f"{said}; the folder must hold config.json, the weights and the tokenizer of one checkpoint"
    return (
        f"{said}; no folder of that name is here either. Where there is a network, "
        f"`hf download {source.label} --local-dir FOLDER` gets the files, and FOLDER is the model"
    )


_LOADERS = {
    "sequence": "AutoModelForSequenceClassification",
    "first_word": "AutoModelForSeq2SeqLM",
    "tokens": "AutoModelForTokenClassification",
}
