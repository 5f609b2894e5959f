"""The model that `DOCTRAIL_DEMO_MODEL` names, checked before anything heavy is loaded."""

from dataclasses import dataclass
from importlib.util import find_spec

from doctrail.errors import UsageError

__all__ = ["Integration", "Wanted", "wanted_model"]


@dataclass(frozen=True, slots=True)
class Integration:
    """The class by which a framework talks to a provider, and the package that holds it."""

    package: str
    module: str
    name: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model of a provider, and how each framework gets to it."""

    provider: str
    model: str
    langchain: Integration
    llama_index: Integration

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


_INTEGRATIONS = {
    "openai": (
        Integration("langchain-openai", "langchain_openai", "ChatOpenAI"),
        Integration("llama-index-llms-openai", "llama_index.llms.openai", "OpenAI"),
    ),
    "anthropic": (
        Integration("langchain-anthropic", "langchain_anthropic", "ChatAnthropic"),
        Integration("llama-index-llms-anthropic", "llama_index.llms.anthropic", "Anthropic"),
    ),
    "ollama": (
        Integration("langchain-ollama", "langchain_ollama", "ChatOllama"),
        Integration("llama-index-llms-ollama", "llama_index.llms.ollama", "Ollama"),
    ),
}


def wanted_model(name: str | None) -> Wanted | None:
    """The model of that name, `provider:model`; None where no name is given.

    Raises:
        UsageError: The name means nothing, or what it needs is not installed.
    """
    if not name:
        return None
    provider, _, model = name.partition(":")
    if provider not in _INTEGRATIONS or not model:
        known = ", ".join(f"{provider}:MODEL" for provider in _INTEGRATIONS)
        raise UsageError(f"DOCTRAIL_DEMO_MODEL is {name!r}; it must be one of {known}")
    wanted = Wanted(provider, model, *_INTEGRATIONS[provider])
    needed = (wanted.langchain, wanted.llama_index)
    missing = [i.package for i in needed if not _is_installed(i.module)]
    if missing:
        raise UsageError(
            f"DOCTRAIL_DEMO_MODEL is {name!r}, and what that needs is not installed:"
            f" pip install {' '.join(missing)}"
        )
    return wanted


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the parent package
        return False
