"""Checks an answer by its words and values alone: no model, no download, no network."""

from doctrail_core.grounding.embedded.verifier import EmbeddedVerifier

__all__ = ["EmbeddedVerifier"]
