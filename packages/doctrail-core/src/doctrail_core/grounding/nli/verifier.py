"""Checks answers with one local model, whatever its kind."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from threading import Lock

from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.grounding.nli.case import Case
from doctrail_core.grounding.nli.checkpoint import Checkpoint, load
from doctrail_core.grounding.nli.families import FamilyName
from doctrail_core.grounding.nli.judging import Thresholds
from doctrail_core.grounding.nli.network import Network
from doctrail_core.grounding.nli.pairs import PairChecker
from doctrail_core.grounding.nli.tokens import TokenChecker
from doctrail_core.grounding.verifier import Answer, Findings, Verifier, VerifierError

__all__ = ["NliVerifier"]

_RULES = "1"
"""Counts up when the same model is asked differently or its outputs are read differently."""


class NliVerifier(Verifier):
    """Holds claims against what arrived with a model of transformers that runs here.

    Needs `pip install 'doctrail-core[nli]'`. The model is loaded at once, without running code that
    comes with it; answers are checked one call after the other.

    Args:
        model: The id of a checkpoint on the hub, or the folder of one.
        family: How it was trained to be asked; default, told by its configuration and name.
        device: Such as `cuda:0`; default, a GPU that torch can use, or else the CPU.
        top_windows: So many places of the passages each claim is held against, those that share
            most words with it. Token classifiers read everything.
        thresholds: From which probability on the model is taken at its word; default, as published.
        batch_size: So many texts are read at a time.
        max_length: So many tokens are read at a time; default, as published. What is longer is read
            in parts.
        foundation: Where HHEM finds its tokenizer and the size of its network, which its own
            checkpoint lacks; an id or folder of `google/flan-t5-base`.
        revision: The commit of a checkpoint on the hub.
        local_files_only: Download nothing.

    Raises:
        VerifierError: The model cannot be loaded; the message says what to do.
        ValueError: A number that must be at least 1 is not.
    """

    name = "nli"

    def __init__(
        self,
        model: str | Path,
        *,
        family: FamilyName | None = None,
        device: str | None = None,
        top_windows: int = 3,
        thresholds: Thresholds | None = None,
        batch_size: int = 16,
        max_length: int | None = None,
        foundation: str | Path | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> None:
        if min(top_windows, batch_size, max_length or 1) < 1:
            raise ValueError("top_windows, batch_size and max_length must be at least 1")
        checkpoint = load(
            model,
            family=family,
            foundation=foundation,
            device=device,
            revision=revision,
            local_files_only=local_files_only,
        )
        asked = thresholds or Thresholds()
        network = Network(checkpoint, _longest(checkpoint, max_length), batch_size)
        self._checker = (
            TokenChecker(network, asked)
            if checkpoint.family.head == "tokens"
            else PairChecker(network, asked, top_windows)
        )
        self.version = _version(checkpoint, asked, top_windows, network.max_length)
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Begin with a lock that nobody holds."""
        self._lock = Lock()

    def verify(self, answer: Answer) -> Findings:
        return self.verify_batch([answer])[0]

    def verify_batch(self, answers: Sequence[Answer]) -> Sequence[Findings]:
        cases = [Case(answer) for answer in answers]
        try:
            with self._lock:  # memory for one call is what was planned for; tokenizers want it, too
                told = self._checker.check(cases)
        except RuntimeError as error:  # such as too little memory
            raise VerifierError(f"the model failed, try a smaller batch_size: {error}") from error
        return [
            Findings(verdicts=tuple((case.settled | dict(found))[c] for c in case.claims))
            for case, found in zip(cases, told, strict=True)
        ]


def _longest(checkpoint: Checkpoint, asked: int | None) -> int:
    most = asked or checkpoint.family.max_length
    return most if checkpoint.positions is None else min(most, checkpoint.positions)


def _version(
    checkpoint: Checkpoint, thresholds: Thresholds, top_windows: int, max_length: int
) -> str:
    settings = f"{_RULES} {checkpoint.family.name} {thresholds} {top_windows} {max_length}"
    shown = sha256(settings.encode()).hexdigest()[:8]
    return f"{checkpoint.label}@{checkpoint.revision[:12]}+{shown}"
