"""Why a verdict is what it is: the codes that verifiers give, in plain words."""

from collections.abc import Mapping
from types import MappingProxyType

from doctrail_core.model import NOT_A_CLAIM

__all__ = ["REASONS"]

REASONS: Mapping[str, str] = MappingProxyType(
    {
        # supported
        "covered": "what it says stands in the evidence",
        "entailed": "a model takes it to follow from the evidence",
        # contradicted
        "value_conflict": "the evidence has another value in the same place",
        "negation_differs": "the evidence says the same with or without a negation",
        "contradicted_by_model": "a model takes the evidence to contradict it",
        # unsupported
        "value_absent": "a value of it is nowhere in what arrived",
        "name_absent": "a name of it is nowhere in what arrived",
        "little_overlap": "it says things that nothing that arrived speaks of",
        "no_context": "nothing arrived that could support it",
        "not_entailed": "a model finds no evidence that it follows from",
        # not checked
        NOT_A_CLAIM: "it claims nothing",
        "statement_of_absence": "it says that something is not in the sources",
        "partial_overlap": "the evidence has part of its words; whether it says the same is open",
        "weak_value": "a value of it is in what arrived, but not surely in the same place",
        "relative_date": "its date depends on when it was said",
        "derived_number": "a number of it may be worked out from others",
        "modality_differs": "it and the evidence differ in what must, may or could be, or on what condition",
        "quantifier_differs": "it and the evidence differ in how many or how often",
        "needs_context": "it refers to another sentence, or ties together what no sentence does",
        "attribution": "it says who said something",
        "other_language": "it or the evidence is in a language that this verifier does not read",
        "table": "it or the evidence is a table or structured data",
        "code": "it or the evidence is code or a formula",
        "other_prompt_text": "it may come from a part of the prompt that was not retrieved",
        "undecided": "a model is not sure enough of it either way",
        "too_long": "it, or what arrived, is too long to be checked as a whole",
        "quote_not_found": "the evidence that the judge quoted is not in the chunk that it named",
        "quote_conflicts": "the evidence that the judge quoted says otherwise than the judge",
        "quote_unrelated": "the evidence that the judge quoted has no word in common with it",
        "malformed": "the judge's verdict on it could not be read",
        # any
        "learned": "a calibrator fitted on labels says so",
        "judged": "a judge model said so",
    }
)
