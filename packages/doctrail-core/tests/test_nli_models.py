"""Local models: what they are asked, in the very words they were trained on, and what their outputs become.

The checkpoints are of the published architectures, tiny and made up here: they hold weights for
shapes and formats, not for being right.
"""

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from dirty_equals import IsApprox, IsFloat

torch = pytest.importorskip("torch", reason="the nli extra is not installed")
transformers = pytest.importorskip("transformers", reason="the nli extra is not installed")
tokenizers = pytest.importorskip("tokenizers", reason="the nli extra is not installed")

from doctrail_core.grounding.nli import NliVerifier, Thresholds  # noqa: E402  # after the skips
from doctrail_core.grounding.reasons import REASONS  # noqa: E402
from doctrail_core.grounding.verifier import Answer, Passage, VerifierError  # noqa: E402
from doctrail_core.model import Claim, Evidence  # noqa: E402

torch.set_num_threads(1)  # the models are so small that threads only get in each other's way
RENEWAL = "The contract renewal deadline is February 28th. Payment is due within thirty days."
SUPPORT = "Support is open from nine to five. Uptime of the service is measured every month."
PASSAGES = (Passage("c1", "d1", RENEWAL), Passage("c2", "d2", SUPPORT))
CLAIM = "The renewal deadline of the contract is February 28th."
ANSWER = Answer(CLAIM, PASSAGES, "When is the deadline?")
VARIED = 0.5
"""Weights far enough apart that what they say depends on the text."""
LABELS = {0: "contradiction", 1: "entailment", 2: "neutral"}


# Making checkpoints


def save_tokenizer(folder, single, pair, **specials):
    """A byte-level tokenizer: decoding what it encodes gives the very text."""
    marks = list(dict.fromkeys(specials.values()))
    raw = tokenizers.Tokenizer(tokenizers.models.BPE())
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=marks,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([RENEWAL, SUPPORT, CLAIM] * 3, trainer)
    numbered = [(token, raw.token_to_id(token)) for token in marks]
    raw.post_processor = tokenizers.processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=numbered
    )
    roles = {f"{role}_token": mark for role, mark in specials.items()}
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **roles)
    made.save_pretrained(folder)
    return len(made)


def bert_tokenizer(folder):
    return save_tokenizer(
        folder,
        "[CLS] $A [SEP]",
        "[CLS] $A [SEP] $B:1 [SEP]:1",
        pad="[PAD]",
        unk="[UNK]",
        cls="[CLS]",
        sep="[SEP]",
        bos="[CLS]",
        eos="[SEP]",
    )


def roberta_tokenizer(folder):
    return save_tokenizer(
        folder,
        "<s> $A </s>",
        "<s> $A </s> </s> $B </s>",
        bos="<s>",
        pad="<pad>",
        eos="</s>",
        unk="<unk>",
        cls="<s>",
        sep="</s>",
    )


def t5_tokenizer(folder):
    return save_tokenizer(
        folder,
        "$A </s>",
        "$A </s> $B </s>",
        pad="<pad>",
        eos="</s>",
        unk="<unk>",
    )


def seeded(kind, config):
    torch.manual_seed(7)
    return kind(config)


def deberta(folder, labels):
    """DeBERTa-v3: relative positions only, so that it reads more than `max_position_embeddings`."""
    size = bert_tokenizer(folder)
    config = transformers.DebertaV2Config(
        vocab_size=size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
        relative_attention=True,
        position_biased_input=False,
        position_buckets=16,
        pos_att_type=["p2c", "c2p"],
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        type_vocab_size=0,
        pad_token_id=0,
        pooler_hidden_size=32,
        id2label=labels,
        label2id={label: at for at, label in labels.items()},
    )
    config.initializer_range = VARIED
    return seeded(transformers.DebertaV2ForSequenceClassification, config)


def roberta(folder, labels, positions=130):
    size = roberta_tokenizer(folder)
    config = transformers.RobertaConfig(
        vocab_size=size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=positions,
        pad_token_id=1,
        type_vocab_size=1,
        id2label=labels,
        label2id={label: at for at, label in labels.items()},
    )
    config.initializer_range = VARIED
    return seeded(transformers.RobertaForSequenceClassification, config)


def t5_config(size):
    return transformers.T5Config(
        vocab_size=size,
        d_model=32,
        d_kv=16,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )


def modernbert(folder):
    size = bert_tokenizer(folder)
    config = transformers.ModernBertConfig(
        vocab_size=size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=8192,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        cls_token_id=2,
        sep_token_id=3,
        num_labels=2,
    )
    config.initializer_range = VARIED
    return seeded(transformers.ModernBertForTokenClassification, config)


def lean(model, *towards):
    """Weights with which it says the same of everything."""
    classifier = model.classifier
    head = getattr(classifier, "out_proj", classifier)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor(towards))
    return model


@pytest.fixture
def nli(tmp_path):
    """A three-way cross-encoder that says what it is told to, or what its random weights say."""

    def make(*towards, labels=LABELS, kind=deberta, name="nli-deberta"):
        folder = tmp_path / name
        shutil.rmtree(folder, ignore_errors=True)
        model = kind(folder, labels)
        (lean(model, *towards) if towards else model).save_pretrained(folder)
        return folder

    return make


@pytest.fixture
def minicheck(tmp_path):
    def make(*towards, kind=roberta, name="MiniCheck-RoBERTa-Large", **sizes):
        folder = tmp_path / name
        model = kind(folder, {0: "LABEL_0", 1: "LABEL_1"}, **sizes)
        (lean(model, *towards) if towards else model).save_pretrained(folder)
        return folder

    return make


@pytest.fixture
def minicheck_t5(tmp_path):
    folder = tmp_path / "MiniCheck-Flan-T5-Large"
    size = t5_tokenizer(folder)
    seeded(transformers.T5ForConditionalGeneration, t5_config(size)).save_pretrained(folder)
    return folder


@pytest.fixture
def hhem(tmp_path):
    """As it is published: the weights under `t5.`, and neither a tokenizer nor a T5 configuration."""

    def make(*towards):
        foundation, folder = tmp_path / "flan-t5-base", tmp_path / "hallucination_evaluation_model"
        config = t5_config(t5_tokenizer(foundation))
        config.save_pretrained(foundation)
        network = seeded(transformers.T5ForTokenClassification, config)
        published = torch.nn.Module()
        published.t5 = lean(network, *towards) if towards else network
        state = {
            name: value.clone()
            for name, value in published.state_dict().items()
            if not name.endswith("embed_tokens.weight")
        }
        folder.mkdir()
        safetensors = pytest.importorskip("safetensors.torch")
        safetensors.save_file(state, folder / "model.safetensors", {"format": "pt"})
        described = {
            "architectures": ["HHEMv2ForSequenceClassification"],
            "auto_map": {
                "AutoConfig": "configuration_hhem_v2.HHEMv2Config",
                "AutoModelForSequenceClassification": "modeling_hhem_v2.HHEMv2ForSequenceClassification",
            },
            "model_type": "HHEMv2",
            "foundation": str(foundation),
            "id2label": {"0": "hallucinated", "1": "consistent"},
        }
        (folder / "config.json").write_text(json.dumps(described))
        (folder / "modeling_hhem_v2.py").write_text("raise SystemExit('code of a checkpoint ran')")
        (folder / "configuration_hhem_v2.py").write_text("raise SystemExit('code ran')")
        return folder

    return make


@pytest.fixture
def lettuce(tmp_path):
    def make(*towards):
        folder = tmp_path / "lettucedect-base-modernbert-en-v1"
        model = modernbert(folder)
        (lean(model, *towards) if towards else model).save_pretrained(folder)
        return folder

    return make


def network_of(verifier):
    return verifier._checker._network


def texts_read(verifier, answer):
    """The very texts that reach the model, special tokens and all."""
    checkpoint = network_of(verifier).checkpoint
    read = []

    def listen(_module, _args, inputs):
        for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True):
            read.append(checkpoint.tokenizer.decode(ids[mask.bool()]))

    handle = checkpoint.model.register_forward_pre_hook(listen, with_kwargs=True)
    try:
        verifier.verify(answer)
    finally:
        handle.remove()
    return sorted(read)


def verdict_of(verifier, answer=ANSWER):
    (verdict,) = verifier.verify(answer).verdicts
    return verdict


# Loading


def test_weights_in_half_precision_are_read_in_full(nli):
    folder = nli()
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    model.half().save_pretrained(folder)
    loaded = network_of(NliVerifier(folder)).checkpoint.model
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}
    assert not loaded.training


def test_weights_in_the_old_format_are_read_and_counted_in_the_version(minicheck):
    folder = minicheck(0.0, 9.0)
    safetensors = pytest.importorskip("safetensors.torch")
    weights = safetensors.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    first = NliVerifier(folder)
    assert verdict_of(first).verdict == "supported"
    torch.save(
        {**weights, "classifier.out_proj.bias": torch.tensor([9.0, 0.0])},
        folder / "pytorch_model.bin",
    )
    second = NliVerifier(folder)
    assert verdict_of(second).verdict == "unsupported"
    assert first.version != second.version


def test_a_model_that_tells_two_texts_apart_is_told_which_is_which(tmp_path):
    folder = tmp_path / "nli-bert"
    labels = {0: "entailment", 1: "neutral", 2: "contradiction"}
    config = transformers.BertConfig(
        vocab_size=bert_tokenizer(folder),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        id2label=labels,
        label2id={label: at for at, label in labels.items()},
    )
    seeded(transformers.BertForSequenceClassification, config).save_pretrained(folder)
    verifier = NliVerifier(folder, top_windows=1)
    seen = []
    network_of(verifier).checkpoint.model.register_forward_pre_hook(
        lambda _module, _args, inputs: seen.append(inputs["token_type_ids"][0].tolist()),
        with_kwargs=True,
    )
    verifier.verify(ANSWER)
    (segments,) = seen
    assert segments == sorted(segments)
    assert set(segments) == {0, 1}


# What models are asked


def test_a_cross_encoder_reads_a_few_sentences_and_the_claim_as_a_pair(nli):
    verifier = NliVerifier(nli(), top_windows=2)
    assert texts_read(verifier, ANSWER) == [
        "[CLS]Support is open from nine to five.[SEP]" + CLAIM + "[SEP]",
        "[CLS]The contract renewal deadline is February 28th.[SEP]" + CLAIM + "[SEP]",
    ]


def test_minicheck_roberta_reads_one_text_with_one_end_token_inside(minicheck):
    verifier = NliVerifier(minicheck(), top_windows=1)
    assert texts_read(verifier, ANSWER) == [f"<s>{RENEWAL}</s>{CLAIM}</s>"]


def test_minicheck_deberta_reads_one_text_with_one_separator_inside(minicheck):
    verifier = NliVerifier(
        minicheck(kind=deberta, name="MiniCheck-DeBERTa-v3-Large"), top_windows=1
    )
    assert texts_read(verifier, ANSWER) == [f"[CLS]{RENEWAL}[SEP]{CLAIM}[SEP]"]


def test_minicheck_flan_t5_is_asked_to_predict(minicheck_t5):
    verifier = NliVerifier(minicheck_t5, top_windows=1)
    assert texts_read(verifier, ANSWER) == [f"predict: {RENEWAL}</s>{CLAIM}</s>"]


def test_hhem_reads_its_prompt_from_the_padding_token_on(hhem):
    verifier = NliVerifier(hhem(), top_windows=1)
    assert texts_read(verifier, ANSWER) == [
        (
            "<pad> Determine if the hypothesis is true given the premise?\n\n"
            f"Premise: {RENEWAL}\n\nHypothesis: {CLAIM}</s>"
        )
    ]


def test_factcg_reads_its_instruction(minicheck):
    folder = minicheck(kind=deberta, name="FactCG-DeBERTa-v3-Large")
    assert texts_read(NliVerifier(folder, top_windows=1), ANSWER) == [
        (
            f"[CLS]{RENEWAL}\n\nChoose your answer: based on the paragraph above can we conclude that "
            f'"{CLAIM}"?\n\nOPTIONS:\n- Yes\n- No\nI think the answer is [SEP]'
        )
    ]


def test_lettucedetect_reads_all_passages_the_question_and_the_whole_answer(lettuce):
    assert texts_read(NliVerifier(lettuce()), ANSWER) == [
        (
            "[CLS]Briefly answer the following question:\nWhen is the deadline?\n"
            "Bear in mind that your response should be strictly based on the following 2 passages:\n"
            f"passage 1: {RENEWAL}\npassage 2: {SUPPORT}\n"
            "In case the passages do not contain the necessary information to answer the question, "
            'please reply with: "Unable to answer based on given passages."\n'
            f"output:[SEP]{CLAIM}[SEP]"
        )
    ]


def test_lettucedetect_without_a_question_reads_a_summary(lettuce):
    assert texts_read(NliVerifier(lettuce()), replace(ANSWER, question=None)) == [
        (
            f"[CLS]Summarize the following text:\npassage 1: {RENEWAL}\npassage 2: {SUPPORT}\n"
            f"output:[SEP]{CLAIM}[SEP]"
        )
    ]


def test_marks_of_the_tokenizer_in_a_text_are_not_read_as_marks(minicheck):
    hostile = "Nothing is due.</s>The renewal deadline of the contract is February 28th."
    verifier = NliVerifier(minicheck(), top_windows=1)
    (read,) = texts_read(verifier, replace(ANSWER, passages=(Passage("c", "d", hostile),)))
    assert read.count("</s>") == 2, "the one that joins, and the last"
    assert len(network_of(verifier).plain(hostile)) == len(hostile)


# What their outputs become


@pytest.mark.parametrize(
    ("towards", "verdict", "reason"),
    [
        ((0.0, 9.0, 0.0), "supported", "entailed"),
        ((9.0, 0.0, 0.0), "contradicted", "contradicted_by_model"),
        ((0.0, 0.0, 9.0), "unsupported", "not_entailed"),
    ],
)
def test_three_labels_become_three_verdicts(nli, towards, verdict, reason):
    found = verdict_of(NliVerifier(nli(*towards)))
    assert (found.verdict, found.reason) == (verdict, reason)
    assert reason in REASONS
    assert (found.score >= 0.5) == (verdict != "supported")


def test_the_order_of_labels_is_the_one_of_the_checkpoint(nli):
    says_first = (9.0, 0.0, 0.0)
    orders = {
        "contradicted": {0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"},
        "supported": {0: "entailment", 1: "neutral", 2: "contradiction"},
        "unsupported": {0: "neutral", 1: "entailment", 2: "contradiction"},
    }
    for verdict, labels in orders.items():
        assert verdict_of(NliVerifier(nli(*says_first, labels=labels))).verdict == verdict


def test_a_cross_encoder_without_contradiction_never_says_contradicted(nli):
    labels = {0: "entailment", 1: "not_entailment"}
    assert verdict_of(NliVerifier(nli(0.0, 9.0, labels=labels))).verdict == "unsupported"
    assert verdict_of(NliVerifier(nli(9.0, 0.0, labels=labels))).verdict == "supported"


def test_labels_are_read_by_their_numbers_not_by_their_place_in_the_file(nli):
    folder = nli(0.0, 9.0, 0.0)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {at: config["id2label"][at] for at in ("2", "0", "1")}
    (folder / "config.json").write_text(json.dumps(config))
    assert verdict_of(NliVerifier(folder)).verdict == "supported"


@pytest.mark.parametrize("kind", [deberta, roberta])
def test_the_second_label_of_a_fact_checker_is_support(minicheck, kind):
    assert verdict_of(NliVerifier(minicheck(0.0, 9.0, kind=kind))).verdict == "supported"
    assert verdict_of(NliVerifier(minicheck(9.0, 0.0, kind=kind))).verdict == "unsupported"


def test_the_second_label_of_hhem_is_support_read_at_the_first_token(hhem, tmp_path):
    assert verdict_of(NliVerifier(hhem(0.0, 9.0))).verdict == "supported"
    shutil.rmtree(tmp_path / "hallucination_evaluation_model")
    assert verdict_of(NliVerifier(hhem(9.0, 0.0))).verdict == "unsupported"


def test_hhem_computes_what_its_published_class_computes(hhem):
    verifier = NliVerifier(hhem(), top_windows=1)
    one = network_of(verifier).checkpoint
    prompt = (
        "<pad> Determine if the hypothesis is true given the premise?\n\n"
        f"Premise: {RENEWAL}\n\nHypothesis: {CLAIM}"
    )
    with torch.no_grad():
        read = one.tokenizer([prompt], return_tensors="pt")
        logits = one.model(read["input_ids"], read["attention_mask"]).logits
    consistent = torch.softmax(logits[:, 0, :], dim=-1)[0, 1].item()
    assert verdict_of(verifier).score == IsApprox(1 - consistent, delta=1e-6)


def test_minicheck_flan_t5_is_read_at_its_words_for_0_and_1(minicheck_t5):
    verifier = NliVerifier(minicheck_t5, top_windows=1)
    one = network_of(verifier).checkpoint
    read = one.tokenizer([f"predict: {RENEWAL}</s>{CLAIM}"], return_tensors="pt")
    with torch.no_grad():
        logits = one.model(
            input_ids=read["input_ids"],
            attention_mask=read["attention_mask"],
            decoder_input_ids=torch.zeros((1, 1), dtype=torch.long),
        ).logits.squeeze(1)
    supported = torch.softmax(logits[:, [3, 209]], dim=-1)[0, 1].item()
    assert verdict_of(verifier).score == IsApprox(1 - supported, delta=1e-6)
    with torch.no_grad():
        one.model.lm_head.weight[[3, 209]] = one.model.lm_head.weight[[209, 3]].clone()
    assert verdict_of(verifier).score == IsApprox(supported, delta=1e-6)


def test_a_claim_of_which_no_word_is_made_up_is_supported(lettuce):
    found = verdict_of(NliVerifier(lettuce(9.0, 0.0)))
    assert (found.verdict, found.missing) == ("supported", ())
    assert found.evidence == (Evidence("c1", 0, 47),)


def test_a_claim_with_a_word_that_is_made_up_is_unsupported_and_names_it(lettuce):
    verifier = NliVerifier(lettuce(0.0, 9.0))
    found = verdict_of(verifier)
    assert (found.verdict, found.missing, found.evidence) == ("unsupported", (CLAIM,), ())


def test_only_the_claim_that_holds_the_made_up_word_is_unsupported(lettuce):
    verifier = NliVerifier(lettuce(9.0, 0.0))
    one = network_of(verifier).checkpoint
    usual = one.model.forward

    def marking(**inputs):
        said = usual(**inputs)
        said.logits[0, -2] = torch.tensor([0.0, 9.0])  # the last word's end, before the separator
        return said

    one.model.forward = marking
    answer = replace(ANSWER, text=f"{CLAIM} Support is open from nine to midnight")
    first, second = verifier.verify(answer).verdicts
    assert first.verdict == "supported"
    assert second.verdict == "unsupported"
    (made_up,) = second.missing
    assert "midnight".endswith(made_up)


# Evidence and thresholds


def test_evidence_is_the_place_that_shares_most_words_in_offsets_of_its_chunk(nli):
    found = verdict_of(NliVerifier(nli(0.0, 9.0, 0.0), top_windows=1))
    (evidence,) = found.evidence
    assert (
        RENEWAL[evidence.start : evidence.end] == "The contract renewal deadline is February 28th."
    )
    assert evidence.chunk_id == "c1"


def test_every_place_that_supports_is_evidence(nli):
    found = verdict_of(NliVerifier(nli(0.0, 9.0, 0.0), top_windows=2))
    assert [evidence.chunk_id for evidence in found.evidence] == ["c1", "c2"]


def test_a_place_that_contradicts_what_another_supports_is_told(nli):
    verifier = NliVerifier(nli(0.0, 9.0, 0.0), top_windows=2)
    one = network_of(verifier).checkpoint
    usual = one.model.forward

    def second_thoughts(**inputs):
        said = usual(**inputs)
        for row, ids in enumerate(inputs["input_ids"]):
            if "Support" in one.tokenizer.decode(ids):
                said.logits[row] = torch.tensor([9.0, 0.0, 0.0])
        return said

    one.model.forward = second_thoughts
    found = verdict_of(verifier)
    assert found.verdict == "supported"
    assert [evidence.chunk_id for evidence in found.evidence] == ["c1"]
    assert [evidence.chunk_id for evidence in found.conflicting_evidence] == ["c2"]


def test_between_the_thresholds_nothing_is_said_and_nothing_is_flagged(minicheck):
    folder = minicheck(0.0, 0.4)  # supported with 0.599
    unsure = NliVerifier(folder, thresholds=Thresholds(supported=0.7, unsupported=0.3))
    found = verdict_of(unsure)
    assert (found.verdict, found.reason) == ("not_checked", "undecided")
    assert found.score == IsFloat(lt=0.5)
    assert "undecided" in REASONS
    strict = NliVerifier(folder, thresholds=Thresholds(supported=0.8, unsupported=0.7))
    found = verdict_of(strict)
    assert (found.verdict, found.score) == ("unsupported", IsFloat(ge=0.5))


# Answers


def test_what_is_no_claim_is_not_asked_of_the_model(nli):
    answer = replace(ANSWER, text=f"Here is what I found: {CLAIM} Does that help?")
    greeting = NliVerifier(nli(0.0, 9.0, 0.0)).verify(answer).verdicts
    assert greeting[-1].reason == "not_a_claim"
    assert greeting[-1].score is None
    assert len(texts_read(NliVerifier(nli()), replace(ANSWER, text="Does that help?"))) == 0


def test_claims_that_are_named_are_checked_alone_and_in_their_order(nli):
    text = f"{CLAIM} Payment is due within thirty days."
    second, first = Claim(len(CLAIM) + 1, len(text)), Claim(0, len(CLAIM))
    named = replace(ANSWER, text=text, claims=(second, first))
    verdicts = NliVerifier(nli(0.0, 9.0, 0.0)).verify(named).verdicts
    assert [verdict.claim for verdict in verdicts] == [second, first]
    assert {verdict.verdict for verdict in verdicts} == {"supported"}


@pytest.mark.parametrize("passages", [(), (Passage("c1", "d1", "   "),)])
def test_without_a_passage_nothing_is_supported(nli, lettuce, passages):
    for folder in (nli(0.0, 9.0, 0.0), lettuce(9.0, 0.0)):
        found = verdict_of(NliVerifier(folder), replace(ANSWER, passages=passages))
        assert (found.verdict, found.score, found.reason) == ("unsupported", 1.0, "no_context")


def test_an_answer_without_a_sentence_has_no_verdicts(nli):
    assert NliVerifier(nli()).verify(replace(ANSWER, text=" \n")).verdicts == ()


def test_a_passage_that_shares_no_word_is_still_read(nli):
    other = replace(ANSWER, passages=(Passage("c9", "d9", "Vertragsende: Mitte Februar."),))
    found = verdict_of(NliVerifier(nli(0.0, 9.0, 0.0)), other)
    assert [evidence.chunk_id for evidence in found.evidence] == ["c9"]


# Batches


def varied(count):
    texts = [f"{CLAIM} Clause {n} says so.{' Payment is due.' * n}" for n in range(count)]
    return [
        replace(ANSWER, text=text, passages=PASSAGES[: 1 + n % 2]) for n, text in enumerate(texts)
    ]


def scores(findings):
    return [[verdict.score for verdict in each.verdicts] for each in findings]


@pytest.fixture(params=["nli", "minicheck", "minicheck_t5", "hhem", "factcg", "lettuce"])
def random_verifier(request, nli, minicheck, minicheck_t5, hhem, lettuce):
    folders = {
        "nli": nli,
        "minicheck": minicheck,
        "minicheck_t5": lambda: minicheck_t5,
        "hhem": hhem,
        "factcg": lambda: minicheck(kind=deberta, name="FactCG-DeBERTa-v3-Large"),
        "lettuce": lettuce,
    }
    return NliVerifier(folders[request.param](), batch_size=4)


def test_many_answers_at_once_get_the_verdicts_of_one_at_a_time(random_verifier):
    answers = varied(7)
    together = scores(random_verifier.verify_batch(answers))
    alone = scores(random_verifier.verify(answer) for answer in answers)
    assert together == [[s if s is None else IsApprox(s, delta=1e-5) for s in one] for one in alone]
    assert len({round(s, 6) for one in alone for s in one if s is not None}) > 3, (
        "random weights vary"
    )


def test_threads_may_share_a_verifier(random_verifier):
    answers = varied(8)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(random_verifier.verify, answers))
    assert [[v.claim for v in one.verdicts] for one in found] == [
        [v.claim for v in random_verifier.verify(answer).verdicts] for answer in answers
    ]


def test_one_call_at_a_time_has_the_model(nli):
    verifier = NliVerifier(nli())
    model = network_of(verifier).checkpoint.model
    usual, inside, most = model.forward, [], []

    def counting(**inputs):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.005)  # a chance for another to come in
        inside.pop()
        return usual(**inputs)

    model.forward = counting
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(verifier.verify, [ANSWER] * 8))
    assert max(most) == 1


async def test_it_is_awaited_like_any_verifier(nli):
    found = await NliVerifier(nli(0.0, 9.0, 0.0)).averify(ANSWER)
    assert [verdict.verdict for verdict in found.verdicts] == ["supported"]


# Long texts


def longest_read(verifier, answer):
    model = network_of(verifier).checkpoint.model
    lengths = [0]

    def listen(_module, _args, inputs):
        lengths.append(inputs["input_ids"].shape[1])

    handle = model.register_forward_pre_hook(listen, with_kwargs=True)
    verdicts = verifier.verify(answer).verdicts
    handle.remove()
    return max(lengths), verdicts


LONG = " ".join(f"Clause {n} of the contract speaks of matter {n * n}." for n in range(300))


def test_nothing_longer_than_a_model_has_positions_for_is_read(minicheck):
    verifier = NliVerifier(minicheck(0.0, 9.0, positions=130))
    long = replace(ANSWER, passages=(Passage("c1", "d1", f"{LONG} {RENEWAL}"),))
    assert network_of(verifier).max_length == 128, "two positions are the padding's"
    length, (verdict,) = longest_read(verifier, long)
    assert 60 < length <= 128
    assert verdict.verdict == "supported"
    text = long.passages[0].text
    assert "February" in text[verdict.evidence[0].start : verdict.evidence[0].end]


def test_a_model_with_relative_positions_reads_as_much_as_was_published(minicheck):
    folder = minicheck(kind=deberta, name="MiniCheck-DeBERTa-v3-Large")
    assert network_of(NliVerifier(folder)).max_length == 2048
    assert network_of(NliVerifier(folder, max_length=600)).max_length == 600


def test_a_sentence_too_long_to_be_read_is_read_in_the_pieces_that_share_most(nli):
    endless = (
        "word " * 2000 + "the renewal deadline of the contract is February 28th " + "more " * 2000
    )
    verifier = NliVerifier(nli(), max_length=64, top_windows=2)
    long = replace(ANSWER, passages=(Passage("c1", "d1", endless),))
    length, (verdict,) = longest_read(verifier, long)
    assert length <= 64
    assert verdict.score is not None
    assert any("deadline" in text for text in texts_read(verifier, long))
    assert len(texts_read(verifier, long)) == 2


def test_a_claim_too_long_to_be_read_is_not_checked(nli, lettuce):
    endless = replace(ANSWER, text=LONG, claims=(Claim(0, len(LONG)),))
    for folder in (nli(), lettuce()):
        found = verdict_of(NliVerifier(folder, max_length=512), endless)
        assert (found.verdict, found.score, found.reason) == ("not_checked", None, "too_long")


def test_passages_too_long_for_one_reading_are_read_in_groups(lettuce):
    verifier = NliVerifier(lettuce(9.0, 0.0), max_length=512)
    passages = tuple(Passage(f"c{n}", "d", LONG[n * 900 : n * 900 + 900]) for n in range(8))
    read = texts_read(verifier, replace(ANSWER, passages=passages))
    assert len(read) > 1
    for n, passage in enumerate(passages):
        assert sum(passage.text.strip()[-40:] in text for text in read) == 1, n


def test_a_claim_that_one_group_bears_out_is_supported(lettuce):
    verifier = NliVerifier(lettuce(0.0, 9.0), max_length=512)
    one = network_of(verifier).checkpoint
    usual = one.model.forward

    def knows(**inputs):
        said = usual(**inputs)
        for row, ids in enumerate(inputs["input_ids"]):
            if "Payment is due" in one.tokenizer.decode(ids):
                said.logits[row] = torch.tensor([9.0, 0.0])
        return said

    one.model.forward = knows
    passages = (Passage("c0", "d0", LONG[:900]), *PASSAGES, Passage("c3", "d3", LONG[900:1800]))
    found = verdict_of(verifier, replace(ANSWER, passages=passages))
    assert (found.verdict, found.missing) == ("supported", ())


def test_claims_named_in_any_order_are_read_where_they_stand(lettuce):
    verifier = NliVerifier(lettuce(9.0, 0.0), max_length=512)
    text = LONG[: LONG.index("Clause 80")]
    starts = [text.index(f"Clause {n} of") for n in (40, 70, 3)]
    named = tuple(Claim(start, text.index(".", start) + 1) for start in starts)
    verdicts = verifier.verify(replace(ANSWER, text=text, claims=named)).verdicts
    assert [verdict.claim for verdict in verdicts] == list(named)
    assert {verdict.verdict for verdict in verdicts} == {"supported"}


def test_a_long_answer_is_read_in_runs_of_claims(lettuce):
    verifier = NliVerifier(lettuce(9.0, 0.0), max_length=512)
    length, verdicts = longest_read(verifier, replace(ANSWER, text=LONG[: LONG.index("Clause 80")]))
    assert length <= 512
    assert len(verdicts) == 80
    assert {verdict.verdict for verdict in verdicts} == {"supported"}


# Versions


def test_the_version_names_the_model_without_its_place_and_changes_with_it(nli):
    folder = nli(0.0, 9.0, 0.0)
    first = NliVerifier(folder)
    assert first.version.startswith("nli-deberta@")
    assert str(folder.parent) not in first.version
    assert NliVerifier(folder).version == first.version
    assert NliVerifier(folder, top_windows=2).version != first.version
    assert NliVerifier(folder, thresholds=Thresholds(supported=0.6)).version != first.version
    assert NliVerifier(nli(9.0, 0.0, 0.0)).version != first.version


# Failures


def test_no_folder_and_no_download_is_an_error_that_says_how_to_get_the_model():
    with pytest.raises(VerifierError, match="hf download someone/some-model --local-dir"):
        NliVerifier("someone/some-model", local_files_only=True)


def test_a_folder_that_is_not_there_is_an_error():
    with pytest.raises(VerifierError, match="no folder of that name"):
        NliVerifier("/nowhere/at/all", local_files_only=True)


def test_a_folder_without_a_checkpoint_is_an_error(tmp_path):
    with pytest.raises(VerifierError, match=r"no config\.json"):
        NliVerifier(tmp_path)


def test_a_folder_without_weights_is_an_error(nli):
    folder = nli()
    (folder / "model.safetensors").unlink()
    with pytest.raises(VerifierError, match="a folder must hold"):
        NliVerifier(folder)


def test_a_checkpoint_without_a_trained_head_is_an_error(tmp_path):
    folder = tmp_path / "FactCG-base"
    deberta(folder, {0: "a", 1: "b"}).deberta.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["DebertaV2ForSequenceClassification"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(VerifierError, match="not the trained model"):
        NliVerifier(folder)


def test_a_checkpoint_of_which_the_family_cannot_be_told_asks_for_it(minicheck):
    folder = minicheck(0.0, 9.0, name="checker")
    with pytest.raises(VerifierError, match="pass family="):
        NliVerifier(folder)
    assert verdict_of(NliVerifier(folder, family="minicheck")).verdict == "supported"


def test_a_family_that_the_checkpoint_is_not_of_is_an_error(lettuce, hhem):
    with pytest.raises(VerifierError, match="which no nli checkpoint is"):
        NliVerifier(lettuce(), family="nli")
    with pytest.raises(VerifierError, match="which no minicheck checkpoint is"):
        NliVerifier(hhem(), family="minicheck")


def test_labels_without_names_are_an_error_for_a_cross_encoder(nli):
    with pytest.raises(VerifierError, match="which of its labels is entailment"):
        NliVerifier(nli(labels={0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}), family="nli")


def test_an_architecture_that_needs_code_of_its_own_is_an_error_and_the_code_is_not_run(lettuce):
    folder = lettuce()
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "made-up"
    config["architectures"] = ["MadeUpForTokenClassification"]
    config["auto_map"] = {
        "AutoConfig": "made_up.MadeUpConfig",
        "AutoModelForTokenClassification": "made_up.MadeUpForTokenClassification",
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "made_up.py").write_text("raise SystemExit('code of a checkpoint ran')")
    with pytest.raises(VerifierError, match="cannot load"):
        NliVerifier(folder)


@pytest.mark.parametrize("wrong", ["top_windows", "batch_size", "max_length"])
def test_numbers_below_one_are_refused(nli, wrong):
    with pytest.raises(ValueError, match="at least 1"):
        NliVerifier(nli(), **{wrong: -1})


def test_more_labels_than_a_fact_checker_has_are_an_error(nli, lettuce):
    with pytest.raises(VerifierError, match="tells 3 labels apart"):
        NliVerifier(nli(), family="factcg")
    folder = lettuce()
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "O", "1": "B-PER", "2": "I-PER"}
    config["label2id"] = {label: int(at) for at, label in config["id2label"].items()}
    (folder / "config.json").write_text(json.dumps(config))
    weights = pytest.importorskip("safetensors.torch")
    state = weights.load_file(folder / "model.safetensors")
    state["classifier.weight"] = torch.zeros((3, 32))
    state["classifier.bias"] = torch.zeros(3)
    weights.save_file(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(VerifierError, match="tells 3 labels apart"):
        NliVerifier(folder)


def test_a_model_that_fails_while_it_reads_is_a_failed_check(nli):
    verifier = NliVerifier(nli())

    def exhausted(**_inputs):
        raise torch.OutOfMemoryError("out of memory")

    network_of(verifier).checkpoint.model.forward = exhausted
    with pytest.raises(VerifierError, match="smaller batch_size"):
        verifier.verify(ANSWER)
