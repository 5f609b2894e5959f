"""The user's own application, as `--app module:factory` names it.

The factory takes no arguments and returns what answers questions: a LangChain runnable, a LlamaIndex
engine, or any function of a question. What looks into the corpus may be returned instead, or be held as
`.retriever`: a retriever of either framework, or an object with a probe's `search`.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from doctrail.errors import UsageError

if TYPE_CHECKING:
    from doctrail_core.diagnosis import Probe

__all__ = ["add_application", "answering", "probe_of"]

_ASKED_BY = ("query", "chat", "invoke")
"""How an application is asked: LlamaIndex's engines, its chat engines, LangChain's runnables."""


def add_application(parser: ArgumentParser, *, required: bool) -> None:
    """Give a command its --app."""
    parser.add_argument(
        "--app",
        metavar="MODULE:FACTORY",
        required=required,
        help="a function of yours that returns the application or its retriever; looked up from here",
    )


def probe_of(application: Any, named: str) -> "Probe":
    """What looks into the application's corpus.

    Raises:
        UsageError: It holds no retriever.
    """
    for candidate in (application, getattr(application, "retriever", None)):
        if candidate is None:
            continue
        if callable(getattr(candidate, "search", None)) and not _wrapper(candidate):
            return candidate
        if (wrapper := _wrapper(candidate)) is not None:
            return wrapper(candidate)
    raise UsageError(
        f"--app {named} returned a {type(application).__name__}, which is no retriever and holds none as"
        " .retriever: return a LangChain or LlamaIndex retriever, or an object with search(query, k, *, filtered)"
    )


def answering(application: Any, named: str) -> Callable[[str], Any]:
    """What answers a question.

    Raises:
        UsageError: It is nothing that can be asked.
    """
    if _wrapper(application) is not None:
        raise UsageError(
            f"--app {named} returned a retriever, which answers nothing; return the application"
        )
    for name in _ASKED_BY:
        if callable(ask := getattr(application, name, None)):
            return ask
    if callable(application):
        return application
    raise UsageError(
        f"--app {named} returned a {type(application).__name__}; return a LangChain runnable, a LlamaIndex"
        " engine, or a function of the question"
    )


def _wrapper(candidate: Any) -> "Callable[[Any], Probe] | None":
    """What makes a probe of a framework's retriever; the framework is loaded if this is one of its."""
    kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(candidate).__mro__}
    if "langchain_core.retrievers.BaseRetriever" in kinds:
        return _probing("langchain_doctrail.probing", "langchain-doctrail")
    if "llama_index.core.base.base_retriever.BaseRetriever" in kinds:
        return _probing(
            "llama_index.observability.doctrail.probing", "llama-index-observability-doctrail"
        )
    return None


def _probing(module: str, package: str) -> "Callable[[Any], Probe]":
    try:
        return import_module(module).retriever_probe
    except ModuleNotFoundError as error:
        raise UsageError(
            f"to ask this retriever, {package} must be installed: pip install {package}"
        ) from error
