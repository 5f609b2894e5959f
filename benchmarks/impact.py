"""How long it takes to ask which answers had a document, and what a ledger in SQLite weighs.

Puts answers with 5 chunks each into a ledger through the real sequencer, then asks for the document that is asked for most
(30 days, a year) and for one with a few links. Every figure is the median of some tries, each with a new connection;
`first` is the first try. Run: `python benchmarks/impact.py --responses 2000000` for 10^7 links (takes a while), or fewer.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from itertools import islice
from pathlib import Path

from impact_load import BEGIN, DOCUMENTS, HOT, YEAR, payloads

from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.place import LedgerPlace

__all__ = ["load", "rare_document", "timed"]

_BATCH = 5_000
_TRIES = 5


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(options.home or Path(folder) / "home")
        figures: dict[str, object] = {"responses": options.responses}
        if not home.database("ledger").exists():
            figures |= load(home, options.responses, whose=options.whose)
        figures |= _weigh(home, options.responses)
        figures |= _ask(home)
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def load(home: Home, responses: int, *, whose: bool) -> dict[str, object]:
    home.ensure("ledger")
    records = payloads(responses, whose=whose)
    rates: list[float] = []
    with closing(LedgerPlace(home).open()) as writer:
        while batch := list(islice(records, _BATCH)):
            begin = time.perf_counter()
            writer.commit(batch, {}, ())
            rates.append(len(batch) / (time.perf_counter() - begin))
    tenth = max(1, len(rates) // 10)
    return {
        "with sessions and users": whose,
        "sequenced a second, first tenth": round(statistics.median(rates[:tenth])),
        "sequenced a second, last tenth": round(statistics.median(rates[-tenth:])),
    }


def _weigh(home: Home, responses: int) -> dict[str, object]:
    sizes = {path.name: path.stat().st_size for path in home.path.glob("*.db")}
    with open_ledger(home, drain=False) as ledger:
        answers = [len(body) for _, body in ledger.bodies() if body[1] == 2]  # noqa: PLR2004  # answered
    return {
        "bytes per response, ledger.db": round(sizes["ledger.db"] / responses),
        "bytes per response, keys.db": round(sizes["keys.db"] / responses, 1),
        "bytes of an entry, median": statistics.median(answers),
    }


def _ask(home: Home) -> dict[str, object]:
    rare = rare_document(home)
    month = (BEGIN + YEAR / 2, BEGIN + YEAR / 2 + timedelta(days=30))
    questions: dict[str, Callable[[], int]] = {
        "rare document, a year": lambda: _count(home, Query(document_id=rare)),
        "rare document, a year, exact": lambda: _count(
            home, Query(document_id=rare, closure=False)
        ),
        "hot document, 30 days": lambda: _count(
            home, Query(document_id=HOT, since=month[0], until=month[1], closure=False)
        ),
        "hot document, 30 days, with detours": lambda: _count(
            home, Query(document_id=HOT, since=month[0], until=month[1])
        ),
        "hot document, a year": lambda: _count(home, Query(document_id=HOT, closure=False)),
    }
    return {question: timed(ask) for question, ask in questions.items()}


def rare_document(home: Home) -> str:
    """A document with a link or a few."""
    with open_ledger(home, drain=False) as ledger:
        for number in range(DOCUMENTS - 1, 0, -1):
            if ledger.document(name := f"document-{number:06}"):
                return name
    raise LookupError("no document is on record")


def _count(home: Home, query: Query) -> int:
    with open_ledger(home, drain=False) as ledger:
        return sum(1 for _ in ledger.affected(query))


def timed(ask: Callable[[], int]) -> dict[str, object]:
    times: list[float] = []
    found = 0
    for _ in range(_TRIES):
        begin = time.perf_counter()
        found = ask()
        times.append((time.perf_counter() - begin) * 1e3)
    return {"hits": found, "ms": round(statistics.median(times), 2), "first": round(times[0], 2)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=int, default=100_000)
    parser.add_argument("--whose", action="store_true", help="with sessions and users")
    parser.add_argument(
        "--home", type=Path, help="make the ledger there and leave it; ask it if it is there"
    )
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
