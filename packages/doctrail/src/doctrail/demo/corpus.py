"""The contracts that the demo reads: real agreements under CC BY 4.0, see contracts/NOTICE."""

from dataclasses import dataclass
from importlib.resources import files

__all__ = ["Contract", "contracts"]


@dataclass(frozen=True, slots=True)
class Contract:
    """One agreement. `document_id` is its short name, `source` the file it comes from."""

    document_id: str
    source: str
    text: str


def contracts() -> list[Contract]:
    """All agreements, by name."""
    folder = files("doctrail.demo").joinpath("contracts")
    named = sorted((f for f in folder.iterdir() if f.name.endswith(".txt")), key=lambda f: f.name)
    return [
        Contract(f.name.removesuffix(".txt"), f"contracts/{f.name}", f.read_text(encoding="utf-8"))
        for f in named
    ]
