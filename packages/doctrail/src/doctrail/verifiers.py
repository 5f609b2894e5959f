"""Which verifier a command checks with."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from doctrail.errors import UsageError
from doctrail.factories import made_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from doctrail_core.grounding.judge import Chat
    from doctrail_core.grounding.verifier import Verifier

__all__ = ["VERIFIERS", "add_verifier", "share", "verifier_of"]

_BRIDGES = (
    ("langchain_core", "langchain_doctrail.judging", "langchain_judge"),
    ("llama_index", "llama_index.observability.doctrail.judging", "llama_index_judge"),
)
"""The package that a model's classes come from, and what makes a judge of it."""

VERIFIERS = ("embedded", "judge", "nli", "cascade")


def add_verifier(parser: ArgumentParser) -> None:
    """Give a command `--verifier`, `--model` and `--calibrator`."""
    parser.add_argument(
        "--verifier",
        choices=VERIFIERS,
        default="embedded",
        help="embedded needs no model (default); judge asks a chat model; nli runs a local one; cascade asks"
        " the judge only about what embedded leaves open",
    )
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="for judge and cascade: module:factory, a function of yours that returns a LangChain or"
        " LlamaIndex model, or a function of messages; for nli: a model id or a folder",
    )
    parser.add_argument(
        "--calibrator", metavar="FILE", help="for embedded: what `doctrail grounding fit` wrote"
    )


def share(text: str) -> float:
    """A share of answers, as it is typed: above 0 and at most 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number <= 1:
        raise ArgumentTypeError(f"{text!r} is no share; it must be above 0 and at most 1")
    return number


def verifier_of(options: Namespace) -> "Verifier":
    """The verifier that was asked for.

    Raises:
        UsageError: What it needs was not given, or makes no sense with it.
    """
    if options.calibrator and options.verifier != "embedded":
        raise UsageError(f"--calibrator is for --verifier embedded, not {options.verifier}")
    if options.model and options.verifier == "embedded":
        raise UsageError("--model is for --verifier judge, nli and cascade; embedded needs none")
    if options.verifier == "embedded":
        return _embedded(options)
    if not options.model:
        raise UsageError(f"--verifier {options.verifier} needs --model; see --help")
    if options.verifier == "nli":
        return _nli(options.model)
    judge = _judge(made_by(options.model, "--model"))
    if options.verifier == "judge":
        return judge
    from doctrail_core.grounding.cascade import Cascade

    return Cascade(then=judge)


def _embedded(options: Namespace) -> "Verifier":
    from doctrail_core.grounding.checking import embedded

    if not options.calibrator:
        return embedded()
    from doctrail_core.grounding.calibration import (
        CalibratedVerifier,
        Calibrator,
        CalibratorError,
    )

    try:
        return CalibratedVerifier(embedded(), Calibrator.load(options.calibrator))
    except CalibratorError as error:
        raise UsageError(str(error)) from error


def _nli(model: str) -> "Verifier":
    from doctrail_core.grounding.nli import NliVerifier
    from doctrail_core.grounding.verifier import VerifierError

    try:
        return NliVerifier(model)
    except VerifierError as error:
        raise UsageError(f"--verifier nli: {error}") from error


def _judge(model: Any) -> "Verifier":
    from doctrail_core.grounding.judge import JudgeVerifier
    from doctrail_core.grounding.verifier import Verifier

    if isinstance(model, Verifier):
        return model
    chat = _bridge(model)
    try:
        return JudgeVerifier(model if chat is None else chat(model))
    except TypeError as error:
        raise UsageError(f"--model: {error}") from error


def _bridge(model: Any) -> "Callable[[Any], Chat] | None":
    """What makes a judge of a framework's model; the adapter is loaded if this is one of its."""
    homes = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    for home, adapter, name in _BRIDGES:
        if home in homes:
            try:
                return getattr(import_module(adapter), name)
            except ModuleNotFoundError as error:
                raise UsageError(
                    f"--model: to ask this model, {error.name} must be installed"
                ) from error
    return None
