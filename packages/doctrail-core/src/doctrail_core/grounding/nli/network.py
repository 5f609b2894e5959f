"""What a model says of texts, in batches; the same for a text whatever it is batched with."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from doctrail_core.grounding.nli.checkpoint import Checkpoint
from doctrail_core.grounding.nli.families import Text
from doctrail_core.grounding.nli.libraries import Encodings, Tensor

__all__ = ["Network", "TokenRisk"]

_ZERO, _ONE = 3, 209
"""How the labels 0 and 1 that MiniCheck was trained to say begin in T5's vocabulary."""
_LETTUCE_HALLUCINATED = 1
TokenRisk = tuple[int, int, float]
"""Characters `[start, end)` of the second text, and how likely they are made up."""


@dataclass(frozen=True)
class Network:
    """A checkpoint that reads texts of up to `max_length` tokens."""

    checkpoint: Checkpoint
    max_length: int
    batch_size: int

    def plain(self, text: str) -> str:
        """The text of the same length, in which nothing looks like a mark of the tokenizer."""
        return self._marks.sub(lambda mark: mark[0][:-1] + " ", text)

    @cached_property
    def _marks(self) -> re.Pattern[str]:
        longest_first = sorted(self.checkpoint.tokenizer.all_special_tokens, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def length(self, text: Text) -> int:
        return len(self._encoded([text])["input_ids"][0])

    def classified(self, texts: Sequence[Text]) -> list[list[float]]:
        """The probability of each label, for each text."""
        return self._said(self._encoded(texts)) if texts else []

    def told(self, texts: Sequence[Text]) -> list[list[TokenRisk]]:
        """The tokens of the second text of each pair."""
        if not texts:
            return []
        read = self._encoded(texts, offsets=True)
        return [
            [
                (start, end, token[_LETTUCE_HALLUCINATED])
                for second, (start, end), token in zip(
                    read.sequence_ids(at), read["offset_mapping"][at], said, strict=False
                )
                if second == 1 and start < end
            ]
            for at, said in enumerate(self._said(read))
        ]

    def _encoded(self, texts: Sequence[Text], *, offsets: bool = False) -> Encodings:
        firsts = [text if isinstance(text, str) else text[0] for text in texts]
        seconds = [text[1] for text in texts if not isinstance(text, str)]
        tokenizer = self.checkpoint.tokenizer
        return tokenizer(
            firsts,
            seconds or None,
            return_offsets_mapping=offsets,
            return_token_type_ids=self.checkpoint.segments,
            verbose=False,
        )

    def _said(self, read: Encodings) -> list[Any]:
        ids = read["input_ids"]
        found: dict[int, Any] = {}
        for places in _batches(ids, self.batch_size):
            with self.checkpoint.torch.inference_mode():
                logits = self._head(self._inputs(read, places), len(places))
                found.update(zip(places, logits.float().softmax(dim=-1).tolist(), strict=True))
        return [found[at] for at in range(len(ids))]

    def _inputs(self, read: Encodings, places: Sequence[int]) -> dict[str, Tensor]:
        """The columns that the model takes, filled up on the right to the longest of the batch."""
        one = self.checkpoint
        filling = {"input_ids": one.tokenizer.pad_token_id or 0, "attention_mask": 0}
        if one.segments:
            filling["token_type_ids"] = 0
        longest = max(len(read["input_ids"][at]) for at in places)
        rows = {
            name: [[*read[name][at], *[fill] * (longest - len(read[name][at]))] for at in places]
            for name, fill in filling.items()
        }
        return {name: one.torch.tensor(row, device=one.device) for name, row in rows.items()}

    def _head(self, inputs: dict[str, Tensor], texts: int) -> Tensor:
        one = self.checkpoint
        if one.family.head == "first_word":
            start = one.torch.zeros((texts, 1), dtype=one.torch.long, device=one.device)
            logits = one.model(**inputs, decoder_input_ids=start).logits
            return logits[:, 0, [_ZERO, _ONE]]
        logits = one.model(**inputs).logits
        return logits[:, 0] if one.family.head == "first_token" else logits


def _batches(ids: Sequence[Sequence[Any]], size: int) -> Iterator[list[int]]:
    """Places of texts, those of like length together: less of a batch is padding."""
    by_length = sorted(range(len(ids)), key=lambda at: -len(ids[at]))
    for start in range(0, len(ids), size):
        yield by_length[start : start + size]
