"""What the arguments of a decorated function say."""

import json
from collections.abc import Mapping
from typing import Any

from doctrail_core.text.snapshot import json_value

__all__ = ["as_json", "question_in"]

_QUESTIONS = ("question", "query")


def question_in(arguments: Mapping[str, Any]) -> str | None:
    """The argument called `question` or `query`, else the first that is a text."""
    named = (arguments.get(name) for name in _QUESTIONS)
    texts = (value for value in (*named, *arguments.values()) if isinstance(value, str))
    return next(texts, None)


def as_json(arguments: Mapping[str, Any] | str | None) -> str | None:
    """The arguments as one text."""
    if arguments is None or isinstance(arguments, str):
        return arguments
    return json.dumps(json_value(arguments), ensure_ascii=False)
