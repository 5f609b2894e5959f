"""What tests across packages share."""

from doctrail_core.testing.fixtures import postgres

__all__ = ["postgres"]
