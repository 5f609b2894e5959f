"""Evidence: what lets somebody else check that the ledger is what it was, and says what it said.

The log's own key signs checkpoints of it; who keeps one of them elsewhere can tell a log that was
changed since. What stays only in the operator's hands proves nothing against the operator.
"""
