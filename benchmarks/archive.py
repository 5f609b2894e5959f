"""What it costs to seal a ledger, to push it and to ask what was filled with it, and how large all of it is.

`python benchmarks/archive.py seal` makes a ledger of `--responses` answers (see `impact_load.py`), seals what is full of it,
pushes that to Delta tables and to ClickHouse (chdb behind its HTTP, in a process of its own), and asks each for a rare and
for the hottest document. Rates are of whole calls.

`python benchmarks/archive.py index` fills ClickHouse with `--links` links, five to a response, and with the entries that
they begin with: the tables that a push makes, a segment an insert, with the rows made by ClickHouse itself, as to make
a ledger of 20 million responses takes hours. Of 100,000 documents, drawn by Zipf's law (exponent 0.8), the hottest has 1.65 %
of the links; times are spread over a year. It is asked as `doctrail affected --index` asks it: every hit comes to Python,
with the entry that its response begins with. Beside that, what ClickHouse alone takes to count them.
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
from typing import Any

from impact_load import BEGIN, DOCUMENTS, HOT, YEAR, payloads

from doctrail_core.archive.asking import SEGMENTS
from doctrail_core.archive.clickhouse.index import ClickHouseIndex
from doctrail_core.archive.clickhouse.target import ClickHouse
from doctrail_core.archive.folder import Archive, log_of
from doctrail_core.archive.index import indexed
from doctrail_core.archive.lake import Lake
from doctrail_core.archive.manifest import PARTS, SEGMENT
from doctrail_core.archive.parquet import ParquetIndex
from doctrail_core.archive.verifying import states
from doctrail_core.durable.columns import microseconds
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.sqlite import LedgerWriter
from doctrail_core.ledger.store import LATEST
from doctrail_core.testing.clickhouse_server import ClickHouseServer

_TRIES = 5
_BATCH = 5_000
_CHUNKS = 5
_MONTH = timedelta(days=30)

_TIME = (
    f"fromUnixTimestamp64Micro(toInt64({microseconds(BEGIN)}"
    " + seq * {step} + cityHash64(seq) % {step}), 'UTC') AS time"
)
_ZIPF = f"toUInt64(pow(rand64() / 18446744073709551616. * (pow({DOCUMENTS}, 0.2) - 1) + 1, 5))"
_LINKS = f"""
    INSERT INTO links SELECT 'log', {{segment}}, toYYYYMM(time), document, seq, time, rank,
        false, false, 'ok', true, false
    FROM (
        SELECT intDiv(number, {_CHUNKS}) AS seq, {_ZIPF} AS document, {_TIME},
            [1, 1, 1, 0, 3][number % {_CHUNKS} + 1] AS rank
        FROM numbers({{first}}, {{rows}})
    )
"""  # noqa: S608  # our numbers
_ENTRIES = f"""
    INSERT INTO entries SELECT 'log', {{segment}}, toYYYYMM(time), seq, seq, 'answered', reference, time, 1, seq,
        concat(unhex('0102'), reference, reinterpretAsFixedString(seq), randomString(60))
    FROM (
        SELECT number AS seq, randomFixedString(16) AS reference, {_TIME} FROM numbers({{first}}, {{rows}})
    )
"""  # noqa: S608  # our numbers
_COUNTED = """
    SELECT uniqExact(seq) FROM links WHERE log = 'log' AND document = {document:UInt64}
        AND time >= fromUnixTimestamp64Micro({begin:Int64}, 'UTC')
        AND time < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
"""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = options.measure(Path(folder), options)
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


# --- a real ledger, sealed and pushed


def _seal(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    home = Home(folder / "home")
    _fill(home, options.responses)
    archive = Archive(home)
    with open_ledger(home, drain=False) as ledger:
        entries = len(archive.full(ledger)) * SEGMENT
        sealing = _seconds(lambda: [archive.seal(ledger, n) for n in archive.full(ledger)])
        looking = _seconds(lambda: [state.state for state in states(archive, ledger)])
    manifests = [archive.manifest(segment) for segment in archive.sealed()]
    size = {part: sum(m.parts[part].size for m in manifests) for part in PARTS}
    rows = {part: sum(m.parts[part].rows for m in manifests) for part in PARTS}
    figures: dict[str, object] = {
        "segments": len(manifests),
        "entries": entries,
        "links": rows["links"],
        "entries sealed a second": round(entries / sealing),
        "entries looked at a second": round(entries / looking),
        "bytes of a link, Parquet": round(size["links"] / rows["links"], 2),
        "bytes of an entry, Parquet": round(size["entries"] / rows["entries"], 1),
        "bytes of a document's tag, Parquet": round(size["documents"] / rows["documents"], 1),
    }
    with ClickHouseServer(folder / "clickhouse") as server:
        with closing(Lake(str(folder / "lake"))) as lake:
            figures["links a second to Delta"] = round(rows["links"] / _push(lake, archive))
        figures["bytes in Delta"] = _size(folder / "lake")
        with closing(ClickHouse([server.url()])) as target:
            figures["links a second to ClickHouse"] = round(rows["links"] / _push(target, archive))
            figures |= _weigh(target)
        figures |= _ask_all(home, archive, server)
    return figures


def _fill(home: Home, responses: int) -> None:
    home.ensure("ledger")
    records = payloads(responses, whose=True)
    with closing(LedgerWriter(home)) as writer:
        while batch := list(islice(records, _BATCH)):
            writer.commit(batch, {}, ())


def _push(target: Lake | ClickHouse, archive: Archive) -> float:
    target.prepare()
    return _seconds(
        lambda: [target.push(archive, archive.manifest(segment)) for segment in archive.sealed()]
    )


def _ask_all(home: Home, archive: Archive, server: ClickHouseServer) -> dict[str, object]:
    figures: dict[str, object] = {}
    with open_ledger(home, drain=False) as ledger:
        plain, log = ledger.store, log_of(ledger)
        with closing(ClickHouse([server.url()])) as target:
            stores = {
                "SQLite": plain,
                SEGMENTS: indexed(plain, ParquetIndex(archive)),
                "ClickHouse": indexed(plain, ClickHouseIndex(target, log)),
            }
            for name, store in stores.items():
                ledger.store = store
                for what, query in _questions().items():
                    figures[f"{name}: {what}"] = _milliseconds(lambda q=query: _count(ledger, q))
    return figures


def _questions() -> dict[str, Query]:
    month = (BEGIN + YEAR / 4, BEGIN + YEAR / 4 + _MONTH)
    return {
        "rare document, a year": Query(document_id=f"document-{DOCUMENTS - 1:06}", closure=False),
        "hot document, 30 days": Query(
            document_id=HOT, since=month[0], until=month[1], closure=False
        ),
        "hot document, a year": Query(document_id=HOT, closure=False),
    }


def _count(ledger: LedgerReader, query: Query) -> int:
    return sum(1 for _ in ledger.affected(query))


# --- an index of many links


def _index(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    responses = options.links // _CHUNKS
    segments = max(1, responses // SEGMENT)
    step = int(YEAR / timedelta(microseconds=1)) // (segments * SEGMENT)
    with (
        ClickHouseServer(folder / "clickhouse") as server,
        closing(ClickHouse([server.url()])) as target,
    ):
        target.prepare()
        client = target.shards[0]._client  # noqa: SLF001  # to have rows made where they will be
        links = _seconds(lambda: _make(client, _LINKS, segments, step, _CHUNKS))
        _make(client, _ENTRIES, segments, step, 1)
        _settle(target)
        count = segments * SEGMENT * _CHUNKS
        figures = {"links": count, "links made and put a second": round(count / links)}
        return figures | _weigh(target) | _ask_index(target, segments, options.links)


def _make(client: Any, statement: str, segments: int, step: int, rows: int) -> None:
    width = SEGMENT * rows
    for segment in range(segments):
        first = segment * width
        client.command(statement.format(segment=segment, step=step, first=first, rows=width))


def _settle(target: ClickHouse) -> None:
    """Wait until no parts are being merged."""
    while target.shards[0].ask("SELECT count() FROM system.merges")[0][0]:
        time.sleep(1)


def _ask_index(target: ClickHouse, segments: int, links: int) -> dict[str, object]:
    index, shard = ClickHouseIndex(target, "log"), target.shards[0]
    half = microseconds(BEGIN + YEAR / 2)
    month = (half, half + _MONTH // timedelta(microseconds=1))
    questions = {
        "rare document, a year": (DOCUMENTS - 1, 0, LATEST),
        "warm document, 30 days": (100, *month),
        "hot document, 30 days": (1, *month),
        "hot document, a year": (1, 0, LATEST),
    }
    figures: dict[str, object] = {}
    for name, (document, begin, end) in questions.items():
        if name == "hot document, a year" and links > 10**7:
            continue
        asked = (document, begin, end, 0, -1, range(segments))
        figures[name] = _milliseconds(lambda a=asked: sum(1 for _ in index.with_document(*a)))
        figures[f"{name}, counted"] = _milliseconds(
            lambda d=document, b=begin, e=end: shard.ask(_COUNTED, document=d, begin=b, end=e)[0][0]
        )
    return figures


# --- measuring


def _weigh(target: ClickHouse) -> dict[str, object]:
    query = (
        "SELECT table, sum(rows), sum(bytes_on_disk), count() FROM system.parts"
        " WHERE active AND table IN ('links', 'entries') GROUP BY table"
    )
    found = {table: (rows, size, parts) for table, rows, size, parts in target.shards[0].ask(query)}
    return {
        f"bytes of one of {table}, ClickHouse": round(size / rows, 2)
        for table, (rows, size, _) in sorted(found.items())
    } | {f"parts of {table}": parts for table, (_, _, parts) in sorted(found.items())}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _seconds(do: Callable[[], object]) -> float:
    begin = time.perf_counter()
    do()
    return time.perf_counter() - begin


def _milliseconds(ask: Callable[[], int]) -> dict[str, float]:
    """The first try, the median of some, and how many hits there were."""
    taken: list[float] = []
    hits = 0
    for _ in range(_TRIES):
        begin = time.perf_counter()
        hits = ask()
        taken.append(1_000 * (time.perf_counter() - begin))
    return {"hits": hits, "first": round(taken[0], 1), "median": round(statistics.median(taken), 1)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_subparsers(required=True)
    seal = what.add_parser("seal", help="a real ledger, sealed and pushed")
    seal.add_argument("--responses", type=int, default=200_000)
    seal.set_defaults(measure=_seal)
    index = what.add_parser("index", help="an index of many links")
    index.add_argument("--links", type=int, default=10**8)
    index.set_defaults(measure=_index)
    for each in (seal, index):
        each.add_argument("--folder", type=Path, help="where to put what is measured, for a while")
        each.add_argument("--json", type=Path, help="write the figures there, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
