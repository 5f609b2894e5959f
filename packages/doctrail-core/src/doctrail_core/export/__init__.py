"""What is on record, in forms that others read: PROV of one answer, OpenLineage of many, and how to read the log.

Nothing here is evidence. An export is made from what the stores say now; what proves that is the audit bundle.
"""

__all__ = ["ExportError"]


class ExportError(Exception):
    """An export cannot be made or delivered; the message says what to do."""
