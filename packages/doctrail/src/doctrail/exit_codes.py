"""What the exit code of a command says. Scripts rely on these; they are in the README."""

__all__ = ["BROKEN_PIPE", "FAULT", "INTERRUPTED", "NOTHING", "OK", "UNREADABLE", "USAGE"]

OK = 0
"""Done, found, healthy."""
NOTHING = 1
"""Nothing was found, or `check` or `doctor` found something to look at."""
USAGE = 2
"""The command line or a setting means nothing."""
UNREADABLE = 3
"""A store or file cannot be read or written, or a verifier does not answer."""
FAULT = 70
"""A fault of doctrail itself."""
INTERRUPTED = 130
"""Stopped from the keyboard."""
BROKEN_PIPE = 141
"""Whoever read the output went away."""
