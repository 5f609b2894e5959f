"""The steps that a ledger on a server took; a released one never changes."""
