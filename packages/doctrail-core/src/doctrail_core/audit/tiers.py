"""What a ledger can be said to prove, by who holds its checkpoints. Each step takes somebody else's doing.

The words stand here once: docs/evidence.md and the document on how to interpret a log say the same.
"""

from dataclasses import dataclass

__all__ = ["TIERS", "Tier"]


@dataclass(frozen=True, slots=True)
class Tier:
    """One step.

    Attributes:
        name: T0 to T3.
        called: What it may be called.
        needs: What has to be done for it.
        proves: What follows from it.
        leaves: What does not, at this step.
    """

    name: str
    called: str
    needs: str
    proves: str
    leaves: str


TIERS: tuple[Tier, ...] = (
    Tier(
        "T0",
        "integrity check",
        "nothing but the ledger itself; `doctrail audit verify` on the machine that writes it",
        "that the ledger is whole: no bit rot, no edit by somebody who did not also recompute the tree, no gap in the"
        " numbers of a writer, and an index that says what the entries say",
        "whoever can write the ledger can rewrite all of it, the tree, the indexes and what is kept beside them; never call it"
        " tamper-evident",
    ),
    Tier(
        "T1",
        "tamper-evident from each checkpoint on",
        "signed checkpoints that somebody else holds: an auditor who pulls and keeps them, a bucket of another account under"
        " Object Lock in compliance mode, a git repository that others have cloned; a time stamp (RFC 3161) adds when",
        "that every entry up to the checkpoint is what it was when the checkpoint was taken away: none changed, removed,"
        " reordered or inserted",
        "entries newer than the last checkpoint that was taken away; two histories shown to two auditors who never compare;"
        " a time stamp alone is no T1, since two histories can both be stamped",
    ),
    Tier(
        "T2",
        "tamper-evident, with one history for everybody",
        "T1, and a witness that cosigns checkpoints and asks for a proof that each only adds to the one before",
        "as T1, and that no other history was shown to anybody who asks for the cosignature of that witness",
        "entries newer than the last cosigned checkpoint; a witness that works for the operator",
    ),
    Tier(
        "T3",
        "tamper-evident, at a time that law presumes",
        "T1 or T2, and time stamps by a qualified trust service (eIDAS): the anchor `rfc3161` with the certificates of one",
        "as below, and the time of each checkpoint, with the presumption that eIDAS article 41 gives to qualified time"
        " stamps; have a lawyer confirm what that is worth to you",
        "all that is not in the ledger",
    ),
)
