"""The check of answers as an evaluator, where LlamaIndex takes one: batch runs, retrying engines."""

import asyncio
from collections.abc import Sequence
from typing import Any

from llama_index.core.evaluation import BaseEvaluator, EvaluationResult
from llama_index.core.prompts.mixin import PromptDictType

from doctrail_core import suppress
from doctrail_core.grounding.checking import check, embedded
from doctrail_core.grounding.verifier import Verifier, refuse_others
from doctrail_core.model import VERDICTS, Assessment

__all__ = ["GroundingEvaluator"]

_FLAGGED = 0.5
"""From this risk on, a claim is contradicted or not supported."""


class GroundingEvaluator(BaseEvaluator):
    """Passes an answer of which no claim is contradicted or unsupported by the contexts.

    `score` is 1 - the risk of the worst claim. Where nothing could be said, the result is invalid: neither
    passed nor failed, and without a score.

    Args:
        verifier: Who checks; default the embedded one, which needs no model.
    """

    def __init__(self, verifier: Verifier | None = None) -> None:
        """Check nothing yet.

        Raises:
            TypeError: The verifier is none.
        """
        refuse_others(verifier)
        self.verifier = verifier or embedded()

    def _get_prompts(self) -> PromptDictType:
        return {}

    def _update_prompts(self, prompts_dict: PromptDictType) -> None:
        """There are none."""

    async def aevaluate(
        self,
        query: str | None = None,
        response: str | None = None,
        contexts: Sequence[str] | None = None,
        **kwargs: Any,  # noqa: ARG002  # the host's signature
    ) -> EvaluationResult:
        """Check a response against contexts.

        Raises:
            ValueError: There is no response, or there are no contexts.
        """
        if response is None or contexts is None:
            raise ValueError("contexts and response must be provided")
        with suppress():
            found = await asyncio.to_thread(
                check, response, contexts, query, verifier=self.verifier
            )
        risk = found.risk
        return EvaluationResult(
            query=query,
            response=response,
            contexts=contexts,
            passing=None if risk is None else risk < _FLAGGED,
            score=None if risk is None else 1 - risk,
            feedback="\n".join(_feedback(found)),
            invalid_result=risk is None,
            invalid_reason=None if risk is not None else found.error or "no claim could be checked",
        )


def _feedback(found: Assessment) -> Sequence[str]:
    ranked = sorted(found.verdicts, key=lambda v: VERDICTS.index(v.verdict))
    return [f"{v.verdict}: {v.claim.text} ({v.reason})" for v in ranked]
