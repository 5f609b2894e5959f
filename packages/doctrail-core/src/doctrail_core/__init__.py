"""The core of doctrail."""
