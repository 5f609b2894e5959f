"""Lakes and indexes that are filled with segments: each row once, whatever happens, and the ledger's own answer."""

import os
import tempfile
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctrail_core.archive import ArchiveError
from doctrail_core.archive.asking import ask_index
from doctrail_core.archive.clickhouse.index import ClickHouseIndex
from doctrail_core.archive.clickhouse.schema import statements
from doctrail_core.archive.clickhouse.shard import Shard
from doctrail_core.archive.clickhouse.target import ClickHouse
from doctrail_core.archive.folder import Archive, log_of
from doctrail_core.archive.index import indexed
from doctrail_core.archive.lake import Lake
from doctrail_core.archive.manifest import PARTS
from doctrail_core.archive.targets import target_of
from doctrail_core.archive.verifying import states
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.store import LATEST
from doctrail_core.testing.clickhouse_server import ClickHouseServer
from doctrail_core.testing.saying import BEGIN, Said, expected, put, said_at_random

dd = pytest.importorskip("dask.dataframe")
deltalake = pytest.importorskip("deltalake")
duckdb = pytest.importorskip("duckdb")
for needed in ("chdb", "clickhouse_connect"):
    pytest.importorskip(needed)

WIDTH = 256
HOUR = timedelta(hours=1)
SAID = said_at_random(520)
DOCUMENTS = [f"document {number}" for number in range(9)]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A ledger with two segments sealed, and more to come."""
    home = Home(tmp_path_factory.mktemp("filled") / "home")
    put(home, SAID)
    archive = Archive(home, WIDTH)
    with open_ledger(home, drain=False) as ledger:
        for segment in (0, 1):
            archive.seal(ledger, segment)
    return home


@pytest.fixture
def archive(filled):
    return Archive(filled, WIDTH)


@pytest.fixture
def manifests(archive):
    return [archive.manifest(segment) for segment in archive.sealed()]


@pytest.fixture
def ledger(filled):
    with open_ledger(filled, drain=False) as ledger:
        yield ledger


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Three servers, to be used as one, two or three shards, by logs that know nothing of each other."""
    with ExitStack() as running:
        yield [
            running.enter_context(ClickHouseServer(tmp_path_factory.mktemp(f"shard{number}")))
            for number in range(3)
        ]


@pytest.fixture
def index(servers):
    with closing(ClickHouse([servers[0].new_database()])) as index:
        index.prepare()
        yield index


def fill(target, archive, manifests):
    target.prepare()
    for manifest in manifests:
        target.push(archive, manifest)


def rows_in(shards, part):
    return sum(shard.ask(f"SELECT count() FROM {part}")[0][0] for shard in shards)  # noqa: S608  # ours


def rows_sealed(manifests, part):
    return sum(manifest.parts[part].rows for manifest in manifests)


# --- ClickHouse


def test_a_segment_that_is_pushed_twice_is_there_once(index, archive, manifests):
    assert index.arrived(manifests) == set()
    for _ in range(2):
        fill(index, archive, manifests)
        assert index.arrived(manifests) == {0, 1}
        for part in PARTS:
            assert rows_in(index.shards, part) == rows_sealed(manifests, part)


def test_what_was_sent_and_not_noted_is_known_again(index, archive, manifests, monkeypatch):
    """Whoever pushes may die between the rows and the note that they are there."""
    for part in PARTS:
        with monkeypatch.context() as patch:
            patch.setattr(Shard, "_note", _dead)
            with pytest.raises(KeyboardInterrupt):
                index.push(archive, manifests[0])
        assert index.arrived(manifests) == set()
        shard, content = index.shards[0], manifests[0].parts[part].sha256
        table = archive.read(0, part)
        table = table.drop_columns(["leaf"]) if part == "entries" else table
        shard.put(manifests[0].log, 0, part, content, table)
    fill(index, archive, manifests)
    assert index.arrived(manifests) == {0, 1}
    for part in PARTS:
        assert rows_in(index.shards, part) == rows_sealed(manifests, part)


def _dead(*_):
    raise KeyboardInterrupt


def test_a_push_that_died_between_two_inserts_goes_on(index, archive, manifests, monkeypatch):
    monkeypatch.setattr("doctrail_core.archive.clickhouse.shard._ROWS_AT_ONCE", 50)
    real = index.shards[0]._client.insert_arrow
    left = iter(range(7))

    def dying(*args, **kwargs):
        real(*args, **kwargs)
        if next(left, None) is None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(index.shards[0]._client, "insert_arrow", dying)
        with pytest.raises(KeyboardInterrupt):
            fill(index, archive, manifests)
    there = rows_in(index.shards, "entries") + rows_in(index.shards, "links")
    assert 0 < there < rows_sealed(manifests, "entries") + rows_sealed(manifests, "links")
    fill(index, archive, manifests)
    for part in PARTS:
        assert rows_in(index.shards, part) == rows_sealed(manifests, part)


def test_a_server_that_was_killed_has_every_row_once_after_the_next_push(
    tmp_path, archive, manifests
):
    with ClickHouseServer(tmp_path / "clickhouse") as server:
        with closing(ClickHouse([server.url()])) as index:
            index.prepare()
            index.push(archive, manifests[0])
            server.kill()
            with pytest.raises(ArchiveError):
                index.push(archive, manifests[1])
        server.start()
        with closing(ClickHouse([server.url()])) as index:
            assert index.arrived(manifests) == {0}
            fill(index, archive, manifests)
            for part in PARTS:
                assert rows_in(index.shards, part) == rows_sealed(manifests, part)


@pytest.mark.parametrize("part", PARTS)
def test_rows_that_a_server_has_lost_are_missed_and_sent_again(index, archive, manifests, part):
    """It may have said that it had them, and lost them in a power cut; it would also know the insert again."""
    fill(index, archive, manifests)
    for _ in range(2):
        lost = f"ALTER TABLE {part} DELETE WHERE segment = 0 SETTINGS mutations_sync = 2"
        index.shards[0]._client.command(lost)
        assert index.arrived(manifests) == {1}
        fill(index, archive, manifests)
        assert index.arrived(manifests) == {0, 1}
        assert rows_in(index.shards, part) == rows_sealed(manifests, part)


def test_a_repair_that_died_is_begun_anew(index, archive, manifests, monkeypatch):
    fill(index, archive, manifests)
    index.shards[0]._client.command(
        "ALTER TABLE links DELETE WHERE document % 2 = 0 SETTINGS mutations_sync = 2"
    )
    for method in ("_remove", "_insert"):
        with monkeypatch.context() as patch:
            patch.setattr(Shard, method, _dead)
            with pytest.raises(KeyboardInterrupt):
                fill(index, archive, manifests)
    fill(index, archive, manifests)
    assert index.arrived(manifests) == {0, 1}
    assert rows_in(index.shards, "links") == rows_sealed(manifests, "links")


def test_the_leaf_hash_is_worked_out_from_the_bytes(index, archive, manifests):
    fill(index, archive, manifests)
    leaves = [row[0] for row in index.shards[0].ask("SELECT leaf FROM entries ORDER BY seq")]
    assert leaves == [
        leaf for n in (0, 1) for leaf in archive.read(n, "entries")["leaf"].to_pylist()
    ]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shards_together_have_every_row_once(servers, tmp_path, count):
    home = Home(tmp_path / "home")
    put(home, SAID)
    archive = Archive(home, WIDTH)
    urls = [server.new_database() for server in servers[:count]]
    with open_ledger(home, drain=False) as ledger:
        for segment in archive.full(ledger):
            archive.seal(ledger, segment)
        manifests = [archive.manifest(segment) for segment in archive.sealed()]
        with closing(ClickHouse(urls)) as index:
            fill(index, archive, manifests)
            fill(index, archive, manifests)
            for part in PARTS:
                assert rows_in(index.shards, part) == rows_sealed(manifests, part)
            if count > 1:
                assert all(rows_in([shard], "links") for shard in index.shards)
            own = {d: list(ledger.affected(Query(document_id=d))) for d in DOCUMENTS}
            ledger.store = indexed(
                ledger.store, ClickHouseIndex(index, log_of(ledger), WIDTH), WIDTH
            )
            for document, hits in own.items():
                assert list(ledger.affected(Query(document_id=document))) == hits
                assert [hit.response_id for hit in hits] == list(expected(SAID, document))


def test_a_segment_that_one_shard_lacks_is_not_there(servers, archive, manifests, monkeypatch):
    urls = [server.new_database() for server in servers[:2]]
    with closing(ClickHouse(urls)) as index:
        index.prepare()
        with monkeypatch.context() as patch:
            patch.setattr(index.shards[1], "put", _dead)
            with pytest.raises(KeyboardInterrupt):
                index.push(archive, manifests[0])
        assert index.arrived(manifests) == set()
        index.push(archive, manifests[0])
        assert index.arrived(manifests) == {0}


def test_an_index_cannot_be_filled_as_another_number_of_shards(servers, archive, manifests):
    urls = [server.new_database() for server in servers[:2]]
    with closing(ClickHouse(urls)) as index:
        fill(index, archive, manifests)
    one_of_two = pytest.raises(ArchiveError, match="was filled as shard 1 of 2, not as 1 of 1")
    with closing(ClickHouse(urls[:1])) as index, one_of_two:
        index.prepare()
    turned_round = pytest.raises(ArchiveError, match="name the same servers in the same order")
    with closing(ClickHouse(urls[::-1])) as index, turned_round:
        index.prepare()


def test_logs_share_an_index_and_know_nothing_of_each_other(index, archive, manifests, tmp_path):
    fill(index, archive, manifests)
    home = Home(tmp_path / "home")
    put(home, said_at_random(520, seed=2))
    other = Archive(home, WIDTH)
    with open_ledger(home, drain=False) as ledger:
        other.seal(ledger, 0)
        log = log_of(ledger)
        theirs = ClickHouseIndex(index, log, WIDTH)
        assert theirs.segments() == set()
        index.push(other, other.manifest(0))
        assert theirs.segments() == {0}
        assert index.arrived(manifests) == {0, 1}
        own = list(ledger.affected(Query(document_id="document 1")))
        ledger.store = indexed(ledger.store, theirs, WIDTH)
        assert list(ledger.affected(Query(document_id="document 1"))) == own


_SAID = st.lists(
    st.builds(
        Said,
        st.sampled_from(["retrieved", "answered", "assessed"]),
        st.integers(0, 6),
        st.lists(
            st.tuples(
                st.sampled_from(["a", "b", "c"]),
                st.sampled_from(["retrieved", "in_prompt", "supports", "cited"]),
            ),
            max_size=3,
            unique_by=lambda pair: pair[0],
        ).map(tuple),
        st.integers(0, 2000),
    ),
    min_size=1,
    max_size=30,
)


@pytest.fixture(scope="module")
def two_shards(servers):
    with closing(ClickHouse([server.new_database() for server in servers[:2]])) as index:
        index.prepare()
        yield index


@settings(max_examples=8, deadline=None)
@given(
    said=_SAID,
    at_once=st.integers(1, 5),
    sealed=st.integers(0, 5),
    since=st.integers(0, 2000),
    rank=st.integers(0, 3),
)
def test_the_answer_of_two_shards_is_that_of_brute_force(
    two_shards, said, at_once, sealed, since, rank
):
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        put(home, said, at_once=at_once)
        archive = Archive(home, width := 8)
        with open_ledger(home, drain=False) as ledger:
            for segment in archive.full(ledger)[:sealed]:
                archive.seal(ledger, segment)
                two_shards.push(archive, archive.manifest(segment))
            plain = ledger.store
            asked = ClickHouseIndex(two_shards, log_of(ledger), width)
            grade = ("retrieved", "in_prompt", "supports", "cited")[rank]
            for document in "abc":
                query = Query(
                    document_id=document, since=BEGIN + since * HOUR, grade=grade, closure=False
                )
                ledger.store = plain
                own = list(ledger.affected(query))
                ledger.store = indexed(plain, asked, width)
                assert list(ledger.affected(query)) == own
                ids = [hit.response_id for hit in own]
                assert ids == list(expected(said, document, since=since, rank=rank))


def test_an_answer_longer_than_a_page_has_no_seams(index, archive, manifests, ledger, monkeypatch):
    fill(index, archive, manifests)
    monkeypatch.setattr("doctrail_core.archive.clickhouse.index.PAGE", 3)
    monkeypatch.setattr("doctrail_core.archive.index.PAGE", 2)
    (document,) = ledger.document("document 3")
    plain = list(ledger.store.with_document(document, 0, LATEST, 1))
    store = indexed(ledger.store, ClickHouseIndex(index, log_of(ledger), WIDTH), WIDTH)
    assert list(store.with_document(document, 0, LATEST, 1)) == plain
    for place in range(0, len(plain), 5):
        after = plain[place].seq
        assert list(store.with_document(document, 0, LATEST, 1, after)) == plain[place + 1 :]


def test_a_link_without_its_entry_is_told(index, archive, manifests, ledger):
    fill(index, archive, manifests)
    index.shards[0]._client.command(
        "ALTER TABLE entries DELETE WHERE seq < 200 SETTINGS mutations_sync = 2"
    )
    asked = ClickHouseIndex(index, log_of(ledger), WIDTH)
    (document,) = ledger.document("document 3")
    with pytest.raises(ArchiveError, match="a link to entry"):
        list(asked.with_document(document, 0, LATEST, 0, -1, range(2)))


def test_replicated_tables_are_made_on_a_cluster_by_the_same_columns():
    plain, replicated = statements(None), statements("main")
    for single, several in zip(plain, replicated, strict=True):
        assert several == single.replace(" (", " ON CLUSTER `main` (", 1).replace(
            "ENGINE = MergeTree", "ENGINE = ReplicatedMergeTree"
        )
    with pytest.raises(ValueError, match="is no name of a cluster"):
        statements("main` (x) --")


def test_the_engine_knows_the_statements_for_clusters_as_such(index):
    """No cluster is here to run them, but nothing about their form is refused."""
    for statement in statements("main"):
        explained = index.shards[0].ask(f"EXPLAIN AST {statement}")
        assert explained[0][0].startswith("CreateQuery")


def test_what_a_server_refuses_is_told_without_the_password(index):
    with pytest.raises(ArchiveError) as raised:
        ClickHouse(["clickhouse://anna:hunter2@127.0.0.1:1/default"])
    assert "hunter2" not in str(raised.value)
    assert "clickhouse://127.0.0.1:1/default: " in str(raised.value)
    with pytest.raises(ArchiveError, match=r"clickhouse://127.0.0.1.*nonsense"):
        index.shards[0].ask("SELECT nonsense")


def test_an_address_that_cannot_be_read_is_told_without_the_password():
    with pytest.raises(ArchiveError, match="shard 0 is none that can be used") as caught:
        Shard("clickhouse://otto:hush/1@host/db")
    assert caught.value.__cause__ is None
    assert "hush" not in str(caught.value)


def test_the_password_may_lie_in_the_environment(monkeypatch):
    asked = []

    class Library:
        class driver:  # noqa: N801
            class exceptions:  # noqa: N801
                Error = ValueError

        @staticmethod
        def get_client(**options):
            asked.append(options)

    monkeypatch.setattr("doctrail_core.archive.clickhouse.shard.clickhouse", lambda: Library)
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "hunter2")
    monkeypatch.setenv("CLICKHOUSE_USER", "anna")
    Shard("clickhouse://host/db?cluster=main&secure=1")
    Shard("clickhouse://otto:other@host/db")
    assert [(o["dsn"], o.get("username"), o.get("password")) for o in asked] == [
        ("clickhouse://host/db?secure=1", "anna", "hunter2"),
        ("clickhouse://otto:other@host/db", None, None),
    ]


# --- Delta


@pytest.fixture
def lake(tmp_path, archive, manifests):
    lake = Lake(str(tmp_path / "lake"))
    fill(lake, archive, manifests)
    return lake


def _delta(lake, part):
    return deltalake.DeltaTable(f"{lake.name}/{part}")


def test_a_segment_that_is_pushed_to_a_lake_twice_is_there_once(lake, archive, manifests):
    before = [_delta(lake, part).version() for part in PARTS]
    fill(lake, archive, manifests)
    assert lake.arrived(manifests) == {0, 1}
    for part, version in zip(PARTS, before, strict=True):
        table = _delta(lake, part)
        assert table.version() == version
        assert table.to_pyarrow_dataset().count_rows() == rows_sealed(manifests, part)


def test_a_lake_without_tables_has_nothing(tmp_path, manifests):
    assert Lake(str(tmp_path / "none")).arrived(manifests) == set()


def test_a_push_to_a_lake_that_died_half_way_goes_on(tmp_path, archive, manifests, monkeypatch):
    lake = Lake(str(tmp_path / "lake"))
    lake.prepare()
    real, left = lake._append, iter([None])

    def dying(*args):
        next(left)
        real(*args)

    monkeypatch.setattr(lake, "_append", dying)
    with pytest.raises(StopIteration):
        lake.push(archive, manifests[0])
    monkeypatch.undo()
    assert lake.arrived(manifests) == set()
    fill(lake, archive, manifests)
    for part in PARTS:
        count = _delta(lake, part).to_pyarrow_dataset().count_rows()
        assert count == rows_sealed(manifests, part)


def test_of_two_that_push_the_same_segment_at_once_one_fails(tmp_path, archive, manifests):
    lake = Lake(str(tmp_path / "lake"))
    lake.prepare()
    seen_by_both = [lake._table("links") for _ in range(2)]
    rows = archive.read(0, "links")
    lake._append(seen_by_both[0], rows, "doctrail/log/0")
    with pytest.raises(ArchiveError, match=r"[Cc]oncurrent"):
        lake._append(seen_by_both[1], rows, "doctrail/log/0")
    assert _delta(lake, "links").to_pyarrow_dataset().count_rows() == len(rows)


NEWEST = """
    SELECT seq, rank FROM {links} WHERE log = '{log}' AND document = {document}
    QUALIFY row_number() OVER (PARTITION BY seq ORDER BY segment DESC) = 1 ORDER BY seq
"""


def test_duckdb_reads_segments_and_lakes_and_finds_the_newest_links(
    lake, archive, manifests, ledger
):
    links = _delta(lake, "links").to_pyarrow_dataset()  # noqa: F841  # DuckDB finds it by its name
    files = f"read_parquet('{archive.path}/*/links.parquet')"
    for document_id in DOCUMENTS:
        (document,) = ledger.document(document_id)
        own = _as_sealed(archive, document)
        asked = {"log": log_of(ledger), "document": document}
        assert duckdb.sql(NEWEST.format(links=files, **asked)).fetchall() == own
        assert duckdb.sql(NEWEST.format(links="links", **asked)).fetchall() == own


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # dask uses it
def test_dask_reads_segments_and_lakes_and_finds_the_newest_links(lake, archive, ledger):
    sources = {
        "segments": [str(archive.file(segment, "links")) for segment in archive.sealed()],
        "lake": _delta(lake, "links").file_uris(),
    }
    for document_id in DOCUMENTS[:3]:
        (document,) = ledger.document(document_id)
        own = _as_sealed(archive, document)
        for name, files in sources.items():
            frame = dd.read_parquet(files, columns=["document", "seq", "segment", "rank"])
            found = frame[frame.document == document].compute()
            newest = found.sort_values("segment").groupby("seq").tail(1).sort_values("seq")
            assert list(zip(newest.seq, newest["rank"], strict=True)) == own, name


def _as_sealed(archive, document):
    """What the two segments know: the newest of the links, by plain Python."""
    newest = {}
    for segment in archive.sealed():
        for row in archive.read(segment, "links").to_pylist():
            if row["document"] == document:
                newest[row["seq"]] = row["rank"]
    assert len(newest) > 10
    return sorted(newest.items())


# --- which target


def test_addresses_name_a_target(servers, tmp_path):
    assert isinstance(target_of([str(tmp_path)]), Lake)
    with closing(target_of([server.url() for server in servers[:2]])) as target:
        assert isinstance(target, ClickHouse)
        assert [shard.number for shard in target.shards] == [0, 1]
    with pytest.raises(ArchiveError, match="only be the shards of one ClickHouse"):
        target_of([str(tmp_path), servers[0].url()])


@pytest.mark.parametrize("place", ["segments", "ClickHouse"])
def test_an_index_is_asked_by_its_name(filled, ledger, archive, manifests, servers, place):
    own = list(ledger.affected(Query(document_id="document 1")))
    name = "segments" if place == "segments" else servers[0].new_database()
    if place == "ClickHouse":
        with closing(target_of([name])) as target:
            fill(target, archive, manifests)
    plain = ledger.store
    ask_index(ledger, filled, [name], WIDTH)
    assert ledger.store is not plain
    assert list(ledger.affected(Query(document_id="document 1"))) == own


def test_what_cannot_be_asked_is_told(filled, ledger, tmp_path):
    with pytest.raises(ArchiveError, match="cannot be asked; name clickhouse://"):
        ask_index(ledger, filled, [str(tmp_path)])


def test_logs_that_share_a_server_are_asked_in_one_index(postgres, servers, tmp_path):
    address, key = postgres.new_database(), os.urandom(32)
    name = servers[0].new_database()
    homes = [Home(tmp_path / each, address) for each in ("one", "two")]
    for seed, home in enumerate(homes):
        home.ensure("ledger")
        home.keys.write_bytes(key)
        put(home, said_at_random(300, seed=seed), at_once=50)
        archive = Archive(home, WIDTH)
        with open_ledger(home, drain=False) as ledger, closing(target_of([name])) as target:
            archive.seal(ledger, 0)
            assert next(states(archive, ledger)).state == "sealed"
            fill(target, archive, [archive.manifest(0)])
    for home in homes:
        with open_ledger(home, drain=False) as ledger:
            plain = list(ledger.affected(Query(document_id="document 1")))
            ask_index(ledger, home, [name], WIDTH)
            assert list(ledger.affected(Query(document_id="document 1"))) == plain
            assert len({hit.log for hit in plain}) == 2
