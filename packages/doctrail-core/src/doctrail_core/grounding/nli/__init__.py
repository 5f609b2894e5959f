"""Checks an answer with a local model: cross-encoders, fact checkers and token classifiers of transformers."""

from doctrail_core.grounding.nli.families import FamilyName
from doctrail_core.grounding.nli.judging import Thresholds
from doctrail_core.grounding.nli.verifier import NliVerifier

__all__ = ["FamilyName", "NliVerifier", "Thresholds"]
