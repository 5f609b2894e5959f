"""Who answers in the demo: a reader of ours, or the model that `DOCTRAIL_DEMO_MODEL` names.

The name is `provider:model`. The model is used through the framework's own integration package.
"""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from langchain_core.language_models import BaseChatModel
from llama_index.core.llms import LLM

from doctrail.demo.langchain_app import ReaderChatModel
from doctrail.demo.llamaindex_app import ReaderLLM
from doctrail.demo.reading import EXTRACTIVE, SCRIPTED, extract
from doctrail.errors import UsageError

__all__ = ["Models", "models", "scripted"]


@dataclass(frozen=True, slots=True)
class Models:
    """The same model in both frameworks, and what to call it."""

    name: str
    langchain: BaseChatModel
    llama_index: LLM


@dataclass(frozen=True, slots=True)
class _Integration:
    package: str
    module: str
    cls: str


_INTEGRATIONS = {
    "openai": (
        _Integration("langchain-openai", "langchain_openai", "ChatOpenAI"),
        _Integration("llama-index-llms-openai", "llama_index.llms.openai", "OpenAI"),
    ),
    "anthropic": (
        _Integration("langchain-anthropic", "langchain_anthropic", "ChatAnthropic"),
        _Integration("llama-index-llms-anthropic", "llama_index.llms.anthropic", "Anthropic"),
    ),
    "ollama": (
        _Integration("langchain-ollama", "langchain_ollama", "ChatOllama"),
        _Integration("llama-index-llms-ollama", "llama_index.llms.ollama", "Ollama"),
    ),
}


def models(wanted: str | None) -> Models:
    """The models to answer with; `wanted` is the value of `DOCTRAIL_DEMO_MODEL`.

    Raises:
        UsageError: The name means nothing, a package is missing, or the model cannot be made.
    """
    if not wanted:
        return Models(
            EXTRACTIVE,
            ReaderChatModel(model=EXTRACTIVE, read=extract),
            ReaderLLM(model=EXTRACTIVE, read=extract),
        )
    provider, _, model = wanted.partition(":")
    if provider not in _INTEGRATIONS or not model:
        known = ", ".join(f"{name}:MODEL" for name in _INTEGRATIONS)
        raise UsageError(f"DOCTRAIL_DEMO_MODEL is {wanted!r}; it must be one of {known}")
    return _configured(wanted, model, *_INTEGRATIONS[provider])


def scripted(answer: str) -> Models:
    """A reader that says the same whatever it reads; for showing what a wrong answer looks like."""

    def read(_: str) -> str:
        return answer

    return Models(
        SCRIPTED, ReaderChatModel(model=SCRIPTED, read=read), ReaderLLM(model=SCRIPTED, read=read)
    )


def _configured(
    wanted: str, model: str, langchain: _Integration, llama_index: _Integration
) -> Models:
    missing = [i.package for i in (langchain, llama_index) if not _installed(i.module)]
    if missing:
        raise UsageError(
            f"DOCTRAIL_DEMO_MODEL is {wanted!r}, for which these are missing;"
            f" install them: pip install {' '.join(missing)}"
        )
    try:
        return Models(wanted, _make(langchain, model), _make(llama_index, model))
    except Exception as error:
        raise UsageError(f"the model {wanted} cannot be used: {error}") from error


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the parent package
        return False


def _make(integration: _Integration, model: str) -> Any:
    return getattr(import_module(integration.module), integration.cls)(model=model)
