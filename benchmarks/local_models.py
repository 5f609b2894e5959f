"""What local models cost an answer on the CPU: networks of the published sizes, weights at random.

Time and memory do not depend on what weights say, so nothing is downloaded. Nothing follows from this
about being right. The texts are contracts of the demo; the tokenizer is trained on them so that an
English word takes about as many tokens as with the published ones.

    pip install -e 'packages/doctrail-core[nli]' && python benchmarks/local_models.py
    python benchmarks/local_models.py --only nli-deberta-v3-base --threads 4
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

from doctrail_core.grounding.nli import FamilyName, NliVerifier
from doctrail_core.grounding.verifier import Answer, Passage
from doctrail_core.text.sentences import sentences

CONTRACTS = Path(__file__).parents[1] / "packages/doctrail/src/doctrail/demo/contracts"
PASSAGES, CHARACTERS, CLAIMS = 5, 1000, 6
LENGTHS = range(60, 300)
TOKENS = 2500
"""With so many, a word of the contracts takes 1.3 to 1.4 tokens."""
MARKS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", help="measure this one alone")
    options.add_argument("--answers", type=int, default=3)
    options.add_argument("--threads", type=int, default=1)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    answers = list(islice(_answers(), given.answers + 1))
    print(f"| size of | parameters | CPU s per claim, {given.threads} thread(s) | per answer |")
    print("|---|---|---|---|")
    for name, (family, network) in SIZES.items():
        if given.only in {None, name}:
            _measure(name, family, network, answers)
    print(f"most memory at once: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


def _measure(
    name: str, family: FamilyName, network: Callable[[], Any], answers: list[Answer]
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / name
        _tokenizer().save_pretrained(folder)
        made = network()
        parameters = sum(weight.numel() for weight in made.parameters())
        made.save_pretrained(folder)
        if family == "hhem":
            _as_published(folder, made.config, Path(place) / "flan-t5-base")
        del made
        verifier = NliVerifier(folder, family=family)
    verifier.verify(answers[0])
    began = time.process_time()
    verdicts = sum(len(verifier.verify(answer).verdicts) for answer in answers[1:])
    took = time.process_time() - began
    per_answer = took / (len(answers) - 1)
    print(
        f"| {name} | {parameters / 1e6:.0f} M | {took / verdicts:.2f} | {per_answer:.1f} |",
        flush=True,
    )


def _as_published(folder: Path, config: Any, foundation: Path) -> None:
    """HHEM's checkpoint has neither a tokenizer nor a T5 configuration: they are in its foundation's."""
    config.save_pretrained(foundation)
    _tokenizer().save_pretrained(foundation)
    published = {
        "architectures": ["HHEMv2ForSequenceClassification"],
        "foundation": str(foundation),
    }
    (folder / "config.json").write_text(json.dumps(published))


def _answers() -> Iterator[Answer]:
    """Answers of some sentences that stand in their passages."""
    for path in sorted(CONTRACTS.glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        cut = [text[at : at + CHARACTERS] for at in range(0, len(text), CHARACTERS)][:PASSAGES]
        passages = tuple(Passage(f"{path.stem}#{n}", path.stem, each) for n, each in enumerate(cut))
        said = [each[slice(*span)] for each in cut for span in sentences(each)]
        claims = [claim for claim in said if len(claim) in LENGTHS and claim.endswith(".")]
        if len(claims) >= CLAIMS:
            yield Answer(" ".join(claims[:CLAIMS]), passages, "What does the contract say?")


def _tokenizer() -> Any:
    raw = tokenizers.Tokenizer(tokenizers.models.BPE())
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=TOKENS,
        special_tokens=list(MARKS),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train([str(path) for path in sorted(CONTRACTS.glob("*.txt"))], trainer)
    raw.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    roles = dict(zip(("pad", "cls", "eos", "unk"), MARKS, strict=True))
    named = {f"{role}_token": mark for role, mark in roles.items()}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **named)


def _deberta(hidden: int, layers: int, labels: tuple[str, ...]) -> Any:
    return transformers.DebertaV2ForSequenceClassification(
        transformers.DebertaV2Config(
            vocab_size=128100,
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 64,
            intermediate_size=hidden * 4,
            relative_attention=True,
            position_biased_input=False,
            position_buckets=256,
            pos_att_type=["p2c", "c2p"],
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            type_vocab_size=0,
            pooler_hidden_size=hidden,
            id2label=dict(enumerate(labels)),
        )
    )


def _roberta_large() -> Any:
    return transformers.RobertaForSequenceClassification(
        transformers.RobertaConfig(
            vocab_size=50265,
            hidden_size=1024,
            num_hidden_layers=24,
            num_attention_heads=16,
            intermediate_size=4096,
            max_position_embeddings=514,
            type_vocab_size=1,
            pad_token_id=0,
        )
    )


def _t5(kind: Any, hidden: int, layers: int, inner: int) -> Any:
    return kind(
        transformers.T5Config(
            vocab_size=32128,
            d_model=hidden,
            d_ff=inner,
            num_layers=layers,
            num_heads=hidden // 64,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
        )
    )


def _modernbert(hidden: int, layers: int, inner: int) -> Any:
    return transformers.ModernBertForTokenClassification(
        transformers.ModernBertConfig(
            vocab_size=50368,
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 64,
            intermediate_size=inner,
            pad_token_id=0,
            num_labels=2,
        )
    )


NLI = ("contradiction", "entailment", "neutral")
TWO = ("0", "1")
SIZES: dict[str, tuple[FamilyName, Callable[[], Any]]] = {
    "nli-deberta-v3-xsmall": ("nli", lambda: _deberta(384, 12, NLI)),
    "nli-deberta-v3-base": ("nli", lambda: _deberta(768, 12, NLI)),
    "nli-deberta-v3-large": ("nli", lambda: _deberta(1024, 24, NLI)),
    "HHEM-2.1-Open": ("hhem", lambda: _t5(transformers.T5ForTokenClassification, 768, 12, 2048)),
    "MiniCheck-RoBERTa-Large": ("minicheck", _roberta_large),
    "MiniCheck-DeBERTa-v3-Large": ("minicheck", lambda: _deberta(1024, 24, TWO)),
    "MiniCheck-Flan-T5-Large": (
        "minicheck",
        lambda: _t5(transformers.T5ForConditionalGeneration, 1024, 24, 2816),
    ),
    "FactCG-DeBERTa-v3-Large": ("factcg", lambda: _deberta(1024, 24, TWO)),
    "tinylettuce-ettin-17m": ("lettucedetect", lambda: _modernbert(256, 7, 384)),
    "lettucedect-base-modernbert": ("lettucedetect", lambda: _modernbert(768, 22, 1152)),
    "lettucedect-large-modernbert": ("lettucedetect", lambda: _modernbert(1024, 28, 2624)),
}


if __name__ == "__main__":
    main()
