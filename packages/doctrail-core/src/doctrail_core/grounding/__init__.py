"""Checks answers against what arrived: claims, verdicts, evidence."""
