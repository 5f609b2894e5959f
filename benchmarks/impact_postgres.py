"""How long it takes to ask which answers had a document, and what a ledger in PostgreSQL weighs.

As `impact.py`, with the same answers, on a server of its own from the system's binaries. Questions are asked over one
connection that is open; `connecting` is what a new one costs. `search` is what the server takes alone, without what
is told of each hit. With `--copies`, the server itself adds so many copies of all answers but those that had the rare
document, each with a reference of its own, at the same times: 20,000 answers and 99 copies make 10^7 links.
Run: `python benchmarks/impact_postgres.py --responses 20000 --copies 99`, or `--responses 2000000` (takes a while).
"""

import argparse
import json
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from impact import load, rare_document, timed
from impact_load import BEGIN, HOT, YEAR

from doctrail_core.durable.columns import microseconds
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.postgres.schema import everywhere
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.testing.postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable

_SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "work_mem": "64MB"}
_SIZES = """
    SELECT coalesce(parent.relname, c.relname), sum(pg_total_relation_size(c.oid))
    FROM pg_class c
    LEFT JOIN pg_inherits ON inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = inhparent
    WHERE c.relnamespace = 'doctrail_ledger'::regnamespace AND c.relkind = 'r'
    GROUP BY 1 HAVING sum(pg_total_relation_size(c.oid)) > 1000000 ORDER BY 2 DESC
"""


_COPY_ENTRIES = """
    INSERT INTO doctrail_ledger.entry (log, seq, about, body)
    SELECT log, seq + {far}, NULL, overlay(body PLACING uuid_send(gen_random_uuid()) FROM 3 FOR 16)
    FROM doctrail_ledger.entry JOIN doctrail_ledger.response USING (log, seq)
    WHERE seq < {size} AND NOT places @> ARRAY[{rare}::bigint]
"""
_COPY_RESPONSES = """
    INSERT INTO doctrail_ledger.response (log, seq, time_us, state, places, flags)
    SELECT log, seq + {far}, time_us, state, places, flags FROM doctrail_ledger.response
    WHERE seq < {size} AND NOT places @> ARRAY[{rare}::bigint]
"""


def main() -> None:
    options = _options()
    with (
        PostgresServer(durable=True, settings=_SETTINGS) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        home = Home(Path(folder) / "home", server.new_database())
        responses = options.responses * (1 + options.copies)
        figures: dict[str, object] = {"responses": responses}
        figures |= load(home, options.responses, whose=options.whose)
        database = str(home.address).rpartition("/")[2]
        figures |= _copy(server, home, options.copies)
        server.execute("VACUUM", database=database)
        figures |= _weigh(server.execute(_SIZES, database=database), responses)
        server.execute("VACUUM ANALYZE", database=database)
        figures |= _ask(home)
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def _copy(server: PostgresServer, home: Home, copies: int) -> dict[str, object]:
    with open_ledger(home, drain=False) as ledger:
        size = ledger.size()
        (rare,) = ledger.document(rare_document(home))
    given = {"size": size, "rare": everywhere(1, rare)}
    begin = time.perf_counter()
    for number in range(copies):
        copy = (_COPY_ENTRIES, _COPY_RESPONSES)
        statements = (each.format(far=size * (1 + number), **given) for each in copy)
        server.execute(*statements, database=str(home.address).rpartition("/")[2])
    return {"seconds to copy": round(time.perf_counter() - begin)}


def _weigh(sizes: str, responses: int) -> dict[str, object]:
    by_table = {name: int(size) for name, size in (line.split("|") for line in sizes.splitlines())}
    return {
        "bytes per response": round(sum(by_table.values()) / responses),
        "of these": {name: round(size / responses) for name, size in by_table.items()},
    }


def _ask(home: Home) -> dict[str, object]:
    rare = rare_document(home)
    half = BEGIN + YEAR / 2
    month = {"since": half, "until": half + timedelta(days=30)}
    with open_ledger(home, drain=False) as ledger:
        questions: dict[str, Callable[[], int]] = {
            "connecting": lambda: _connect(home),
            "rare document, a year": lambda: _count(ledger, Query(document_id=rare)),
            "rare document, a year, exact": lambda: _count(
                ledger, Query(document_id=rare, closure=False)
            ),
            "hot document, 30 days, search": lambda: _search(ledger, half),
            "hot document, 30 days": lambda: _count(
                ledger, Query(document_id=HOT, closure=False, **month)
            ),
            "hot document, a year": lambda: _count(ledger, Query(document_id=HOT, closure=False)),
        }
        return {question: timed(ask) for question, ask in questions.items()}


def _connect(home: Home) -> int:
    open_ledger(home, drain=False).close()
    return 0


def _count(ledger: LedgerReader, query: Query) -> int:
    return sum(1 for _ in ledger.affected(query))


def _search(ledger: LedgerReader, since: datetime) -> int:
    (document,) = ledger.document(HOT)
    begin, end = microseconds(since), microseconds(since + timedelta(days=30))
    return sum(1 for _ in ledger.store.with_document(document, begin, end, 0))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=int, default=100_000)
    parser.add_argument("--copies", type=int, default=0)
    parser.add_argument("--whose", action="store_true", help="with sessions and users")
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
