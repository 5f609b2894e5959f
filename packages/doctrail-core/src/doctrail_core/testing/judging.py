"""A fake model for a judge: it rules as a test says, in the words and by the names of the real prompt."""

import json
import re
from collections.abc import Mapping, Sequence

from doctrail_core.grounding.judge import ChatMessage, Reply
from doctrail_core.model import Usage

__all__ = ["FakeJudge"]

_CLAIM = re.compile(r"^(C\d+-\w+): (.*)$", re.MULTILINE)
_SOURCE = re.compile(r"^<<<\w+ source (S\d+-\w+)>>>\n(.*?)\n(?=<<<)", re.MULTILINE | re.DOTALL)


class FakeJudge:
    """A fake that takes the rulings it is given for what a model would say.

    Attributes:
        asked: The prompts, one for each call.
    """

    def __init__(self, rulings: Mapping[str, Sequence[str]], *, usage: Usage | None = None) -> None:
        """Say what it rules.

        Args:
            rulings: For a part of a claim: the verdict, and the quote if there is one, which is said to be
                of the first source that has it. Claims that no part is found in are `unsupported`.
            usage: The tokens that each call is said to take.
        """
        self._rulings = rulings
        self._usage = usage
        self.asked: list[list[ChatMessage]] = []

    def __call__(self, messages: list[ChatMessage]) -> Reply:
        """Reply to a judge's prompt."""
        self.asked.append(messages)
        data = messages[1]["content"]
        sources = _SOURCE.findall(data)
        entries = [self._entry(name, claim, sources) for name, claim in _CLAIM.findall(data)]
        return Reply(json.dumps({"rulings": entries}), self._usage)

    def _entry(self, name: str, claim: str, sources: list[tuple[str, str]]) -> dict[str, str]:
        told = next(
            (told for part, told in self._rulings.items() if part in claim), ("unsupported",)
        )
        verdict, quote = told[0], told[1] if len(told) > 1 else ""
        source = next((source for source, text in sources if quote and quote in text), "")
        return {"claim": name, "source": source, "quote": quote, "verdict": verdict}
