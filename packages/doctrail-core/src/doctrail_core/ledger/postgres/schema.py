"""The tables of the ledger on a server, and how places of a log are told apart in them."""

from pathlib import Path
from typing import LiteralString

from doctrail_core.durable.postgres import ServerSchema

__all__ = ["REFERENCE", "SCHEMA", "everywhere"]

SCHEMA = ServerSchema(
    name="ledger",
    namespace="doctrail_ledger",
    lock=0x64746C31,
    revisions=("ledger_0001",),
    versions=Path(__file__).with_name("versions"),
)

REFERENCE: LiteralString = """
    about IS NULL
    AND substring(body FROM 3 FOR 16) <> '\\x00000000000000000000000000000000'::bytea
    AND substring(body FROM 3 FOR 16)
"""
"""The response that an entry is the first of, as its index has it."""

_PLACE_BITS = 40


def everywhere(log: int, place: int) -> int:
    """A number for a place of a log that no place of another log has: one index has those of all."""
    return log << _PLACE_BITS | place
