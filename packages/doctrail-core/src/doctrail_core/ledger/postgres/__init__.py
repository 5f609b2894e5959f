"""The ledger in PostgreSQL: the logs of several homes in one database, each written by its own home."""
