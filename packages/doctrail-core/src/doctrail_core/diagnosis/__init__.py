"""Whose fault a wrong answer was."""

from doctrail_core.diagnosis.diagnosing import diagnose
from doctrail_core.diagnosis.probe import Probe, searchers

__all__ = ["Probe", "diagnose", "searchers"]
