"""Who answers in the demo, in both frameworks: a reader of ours, or a real model."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from langchain_core.language_models import BaseChatModel
from llama_index.core.llms import LLM

from doctrail.demo.langchain_app import ReaderChatModel
from doctrail.demo.llamaindex_app import ReaderLLM
from doctrail.demo.reading import EXTRACTIVE, SCRIPTED, extract
from doctrail.demo.wanted import Integration, Wanted
from doctrail.errors import UsageError

__all__ = ["Models", "configured", "extractive", "scripted"]


@dataclass(frozen=True, slots=True)
class Models:
    """The same model in both frameworks, and what to call it."""

    name: str
    langchain: BaseChatModel
    llama_index: LLM


def extractive() -> Models:
    """The reader that picks a sentence of its context."""
    return Models(
        EXTRACTIVE,
        ReaderChatModel(model=EXTRACTIVE, read=extract),
        ReaderLLM(model=EXTRACTIVE, read=extract),
    )


def scripted(answer: str) -> Models:
    """A reader that says the same whatever it reads; for showing what a wrong answer looks like."""

    def read(_: str) -> str:
        return answer

    return Models(
        SCRIPTED, ReaderChatModel(model=SCRIPTED, read=read), ReaderLLM(model=SCRIPTED, read=read)
    )


def configured(wanted: Wanted) -> Models:
    """A real model, through the frameworks' own integrations.

    Raises:
        UsageError: It cannot be made, for want of a key, for example.
    """
    try:
        return Models(
            str(wanted),
            _made(wanted.langchain, wanted.model),
            _made(wanted.llama_index, wanted.model),
        )
    except Exception as error:
        raise UsageError(f"the model {wanted} cannot be used: {error}") from error


def _made(integration: Integration, model: str) -> Any:
    return getattr(import_module(integration.module), integration.name)(model=model)
