"""The write path: one framed write per record, and one elected writer for each database.

What was appended to a spool survives the death of the process; the sequencer moves it into its
database exactly once. Nothing in here knows what a record means.
"""
