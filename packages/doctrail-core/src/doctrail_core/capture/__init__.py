"""From a host's events to a trail."""
