"""Trail parts as OpenTelemetry spans."""
