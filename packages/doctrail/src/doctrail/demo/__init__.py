"""The demo: real contracts, real frameworks, and two answers that went wrong in ways that happen."""
