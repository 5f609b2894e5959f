"""Learns from a user's own labels what the embedded verifier's findings are worth on their texts.

Fitting needs scikit-learn (`doctrail-core[calibrate]`); what comes out is a small JSON file that is
applied without it.
"""

from doctrail_core.grounding.calibration.calibrator import Calibrator, CalibratorError
from doctrail_core.grounding.calibration.fitting import FitError, fit
from doctrail_core.grounding.calibration.labels import LabelError, Labelled, read_labels
from doctrail_core.grounding.calibration.verifier import CalibratedVerifier

__all__ = [
    "CalibratedVerifier",
    "Calibrator",
    "CalibratorError",
    "FitError",
    "LabelError",
    "Labelled",
    "fit",
    "read_labels",
]
