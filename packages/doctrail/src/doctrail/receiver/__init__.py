"""Spans of other instrumentations, received as OTLP, become trails."""
