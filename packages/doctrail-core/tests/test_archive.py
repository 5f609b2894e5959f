"""Segments: sealed once and whole, no name in them, every damage noticed, and asked as if they were the ledger."""

import json
import os
import subprocess
import sys
import tempfile
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctrail_core.archive import ArchiveError, libraries
from doctrail_core.archive.folder import Archive, log_of
from doctrail_core.archive.index import indexed
from doctrail_core.archive.manifest import PARTS, SEGMENT, Manifest
from doctrail_core.archive.parquet import ParquetIndex
from doctrail_core.archive.verifying import examine, states
from doctrail_core.audit import segments as committed
from doctrail_core.durable.home import Home
from doctrail_core.durable.keys import load_key
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.keyring import Tagger
from doctrail_core.ledger.store import LATEST
from doctrail_core.testing.saying import BEGIN, Said, expected, put, said_at_random

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("duckdb")

WIDTH = 256
HOUR = timedelta(hours=1)
DOCUMENTS = [f"document {number}" for number in range(9)]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A ledger of a good two segments."""
    home = Home(tmp_path_factory.mktemp("filled") / "home")
    put(home, said_at_random(380))
    return home


@pytest.fixture
def archive(filled, tmp_path):
    """An archive of its own for a ledger that all tests share."""
    return Archive(Home(tmp_path / "home"), WIDTH)


@pytest.fixture
def ledger(filled):
    with open_ledger(filled, drain=False) as ledger:
        yield ledger


@pytest.fixture
def sealed(archive, ledger):
    for segment in archive.full(ledger):
        assert archive.seal(ledger, segment)
    return archive


def files_of(archive):
    return {p.name: p.read_bytes() for p in sorted(archive.path.rglob("*")) if p.is_file()}


# --- sealing


def test_segments_are_those_of_the_committed_index():
    assert SEGMENT == committed.SEGMENT == 65_536


def test_a_segment_is_sealed_once(sealed, ledger):
    assert sealed.sealed() == [0, 1]
    before = files_of(sealed)
    assert not sealed.seal(ledger, 0)
    assert files_of(sealed) == before


def test_a_segment_holds_the_exact_bytes_in_order(sealed, ledger):
    table = sealed.read(1, "entries")
    assert list(zip(table["seq"].to_pylist(), table["body"].to_pylist(), strict=True)) == list(
        ledger.bodies(WIDTH, 2 * WIDTH)
    )


def test_the_manifest_has_the_root_that_the_tree_has_there(sealed, ledger):
    manifest = sealed.manifest(1)
    assert (manifest.start, manifest.end) == (WIDTH, 2 * WIDTH)
    assert manifest.root == ledger.subtree(WIDTH, 2 * WIDTH)
    assert manifest.log == log_of(ledger)
    for part in PARTS:
        data = sealed.file(1, part).read_bytes()
        known = manifest.parts[part]
        assert (known.size, known.sha256) == (len(data), sha256(data).hexdigest())
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_sealing_changes_nothing_in_the_ledger(tmp_path):
    home = Home(tmp_path / "home")
    put(home, said_at_random(300))
    before = home.database("ledger").read_bytes()
    with open_ledger(home, drain=False) as ledger:
        Archive(home, WIDTH).seal(ledger, 0)
    assert home.database("ledger").read_bytes() == before


def test_what_comes_later_changes_nothing_in_a_segment(tmp_path):
    home = Home(tmp_path / "home")
    said = said_at_random(600)
    put(home, said[:300])
    early, late = Archive(Home(tmp_path / "early"), WIDTH), Archive(Home(tmp_path / "late"), WIDTH)
    with open_ledger(home, drain=False) as ledger:
        early.seal(ledger, 0)
    put(home, said[300:])
    with open_ledger(home, drain=False) as ledger:
        late.seal(ledger, 0)
    assert files_of(early) == files_of(late)


def test_a_segment_that_is_not_full_is_refused(archive, ledger):
    with pytest.raises(ArchiveError, match="segment 2 is not full"):
        archive.seal(ledger, 2)
    with pytest.raises(ArchiveError, match="segment -1 is not full"):
        archive.seal(ledger, -1)
    assert archive.sealed() == []


def test_no_name_from_outside_is_in_a_segment(sealed):
    for name, data in files_of(sealed).items():
        if name.endswith(".parquet"):
            rows = pq.read_table(pa.BufferReader(data)).to_pylist()
            for word in ("document ", "response ", "user ", "session "):
                assert word not in str(rows)
                assert word.encode() not in data


def test_whoever_has_the_key_finds_a_document_by_its_tag(filled, sealed, ledger):
    tagger = Tagger(load_key(filled.keys))
    tables = [sealed.read(segment, "documents") for segment in sealed.sealed()]
    places = {row["tag"]: row["document"] for table in tables for row in table.to_pylist()}
    for document in DOCUMENTS:
        assert [places[tagger.tag("document", document)]] == ledger.document(document)


def test_links_say_what_was_known_at_the_end_of_their_segment(tmp_path):
    home = Home(tmp_path / "home")
    early = Said("retrieved", 0, (("d", "retrieved"),))
    filler = [Said("answered", n, (), hour=1) for n in range(2, 10)]
    late = Said("answered", 0, (("d", "cited"),), hour=2000)
    put(home, [early, *filler, late, *[Said("answered", n, ()) for n in range(10, 30)]], at_once=1)
    archive = Archive(home, 16)
    with open_ledger(home, drain=False) as ledger:
        for segment in archive.full(ledger):
            archive.seal(ledger, segment)
    links = [row for s in archive.sealed() for row in archive.read(s, "links").to_pylist()]
    told = ("segment", "month", "rank", "status", "complete")
    assert [tuple(link[name] for name in told) for link in links] == [
        (0, 202601, 0, "interrupted", False),
        (1, 202601, 3, "ok", True),
    ]


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_crash_leaves_no_segment_and_the_next_one_makes_it(archive, ledger, monkeypatch, call):
    """Wherever it dies: aside, nothing is missed."""
    for survived in range(20):
        _die_after(monkeypatch, call, survived)
        try:
            archive.seal(ledger, 0)
        except KeyboardInterrupt:
            assert archive.sealed() in ([], [0])
        else:
            break
        finally:
            monkeypatch.undo()
    else:
        pytest.fail("it never got through")
    assert archive.sealed() == [0]
    examine(archive, ledger, 0)


def _die_after(monkeypatch, call, survived):
    left = iter([None] * survived)
    owner = os if call == "fsync" else Path
    real = getattr(owner, call)

    def dying(*args):
        if next(left, "dead") == "dead":
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(owner, call, dying)


def test_what_a_killed_process_left_aside_is_removed(archive, ledger):
    left = archive.path / ".draft-of-the-dead"
    left.mkdir(parents=True)
    (left / "entries.parquet").write_bytes(b"half")
    assert archive.seal(ledger, 0)
    assert not left.exists()
    assert archive.sealed() == [0]


def test_two_do_not_seal_at_once(archive, ledger):
    script = "import fcntl,sys,time; f=open(sys.argv[1],'w'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); time.sleep(60)"
    archive.path.mkdir(parents=True)
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(archive.path / "lock")], stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline()
        with pytest.raises(ArchiveError, match="is sealing segments"):
            archive.seal(ledger, 0)
    finally:
        other.kill()
        other.communicate()
    assert archive.seal(ledger, 0)


def test_what_was_pruned_before_it_was_sealed_is_told(archive, ledger, monkeypatch):
    rows = ledger.store.entry_rows
    monkeypatch.setattr(
        ledger.store, "entry_rows", lambda start, end: (r for r in rows(start, end) if r.seq != 5)
    )
    with pytest.raises(ArchiveError, match=r"1 of the entries 0 to 255 were pruned"):
        archive.seal(ledger, 0)
    assert archive.sealed() == []


# --- looking at what was sealed


def test_all_is_well_with_what_was_just_sealed(sealed, ledger):
    assert [(each.segment, each.state) for each in states(sealed, ledger)] == [
        (0, "sealed"),
        (1, "sealed"),
    ]


def test_what_is_not_sealed_yet_is_open(archive, ledger):
    archive.seal(ledger, 1)
    assert [(each.segment, each.state) for each in states(archive, ledger)] == [
        (0, "open"),
        (1, "sealed"),
    ]


@pytest.mark.parametrize("part", PARTS)
def test_a_changed_byte_is_noticed_wherever_it_is(sealed, ledger, part):
    path = sealed.file(1, part)
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        (well, damaged) = states(sealed, ledger)
        assert (well.state, damaged.state) == ("sealed", "damaged")
        assert damaged.damage == f"{part}.parquet is not what was sealed: another SHA-256"


@pytest.mark.parametrize("name", ["entries.parquet", "links.parquet", "manifest.json"])
def test_a_missing_file_is_noticed(sealed, ledger, name):
    (sealed.path / "00000000" / name).unlink()
    (damaged, _) = states(sealed, ledger)
    assert damaged.state == "damaged"
    assert name in damaged.damage


@pytest.mark.parametrize(
    ("changes", "damage"),
    [
        ({"layout": 99}, "layout 99"),
        ({"log": "0" * 32}, "another log"),
        ({"root": "00" * 32}, "not the one in the manifest"),
        ({"from": 1}, "not of segment 0"),
        ({"parts": {}}, "cannot be read"),
        ({"segment": 1}, "not of segment 0"),
    ],
)
def test_a_manifest_that_says_something_else_is_noticed(sealed, ledger, changes, damage):
    path = sealed.path / "00000000" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    (damaged, _) = states(sealed, ledger)
    assert damaged.state == "damaged"
    assert damage in damaged.damage


def forge(archive, part, change, segment=0):
    """Change a table, and the manifest with it, as somebody would who knows how."""
    path = archive.file(segment, part)
    pq.write_table(change(archive.read(segment, part)), path)
    manifest = archive.path / f"{segment:08}" / "manifest.json"
    told = json.loads(manifest.read_text())
    data = path.read_bytes()
    told["parts"][part] |= {"size": len(data), "sha256": sha256(data).hexdigest()}
    manifest.write_text(json.dumps(told))


def replaced(table, name, place, value):
    values = table[name].to_pylist()
    values[place] = value
    return table.set_column(
        table.column_names.index(name), name, pa.array(values, type=table.schema.field(name).type)
    )


def test_a_rewritten_entry_is_noticed_though_all_hashes_agree(sealed, ledger):
    body = sealed.read(0, "entries")["body"][9].as_py()
    changed = body[:30] + bytes([body[30] ^ 1]) + body[31:]
    forge(sealed, "entries", lambda table: replaced(table, "body", 9, changed))
    with pytest.raises(ArchiveError, match="do not say what its entries' bytes do"):
        examine(sealed, ledger, 0)


@pytest.mark.parametrize("name", ["time", "kind", "writer", "leaf", "month", "response"])
def test_a_column_that_lies_about_the_bytes_is_noticed(sealed, ledger, name):
    other = sealed.read(0, "entries")[name]
    lie = next(value.as_py() for value in other if value.as_py() != other[0].as_py())
    forge(sealed, "entries", lambda table: replaced(table, name, 0, lie))
    with pytest.raises(ArchiveError, match="do not say what its entries' bytes do"):
        examine(sealed, ledger, 0)


def test_a_segment_of_another_ledger_is_noticed(tmp_path, sealed):
    other = Home(tmp_path / "other")
    put(other, said_at_random(380, seed=2))
    with (
        open_ledger(other, drain=False) as ledger,
        pytest.raises(ArchiveError, match="of another log"),
    ):
        examine(sealed, ledger, 0)


def test_a_ledger_that_was_rewritten_does_not_agree_with_its_segments(sealed, ledger, monkeypatch):
    monkeypatch.setattr(type(ledger), "subtree", property(lambda _: lambda *_: b"\0" * 32))
    (damaged, _) = states(sealed, ledger)
    assert damaged.damage == "its entries are not those of the ledger"


def test_a_pruned_ledger_still_vouches_for_what_was_sealed(sealed, ledger, monkeypatch):
    """The tree outlives the entries; only the first one, which names the log, is asked for."""
    bodies = ledger.store.bodies
    monkeypatch.setattr(
        ledger.store, "bodies", lambda *where: bodies(*where) if where == (0, 1) else iter(())
    )
    assert ledger.entry(1) is None
    examine(sealed, ledger, 0)


# --- asking


def test_segments_answer_as_the_ledger_does(sealed, ledger):
    store = indexed(ledger.store, ParquetIndex(sealed), WIDTH)
    plain = ledger.store
    said = said_at_random(380)
    for document in DOCUMENTS:
        ledger.store = plain
        own = list(ledger.affected(Query(document_id=document)))
        ledger.store = store
        assert list(ledger.affected(Query(document_id=document))) == own
        assert [hit.response_id for hit in own] == list(expected(said, document))


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


@settings(max_examples=40, deadline=None)
@given(
    said=_SAID,
    at_once=st.integers(1, 5),
    width=st.sampled_from([2, 8]),
    unsealed=st.sets(st.integers(0, 8)),
    since=st.integers(0, 2000),
    rank=st.integers(0, 3),
)
def test_whatever_was_sealed_the_answer_is_that_of_brute_force(
    said, at_once, width, unsealed, since, rank
):
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        put(home, said, at_once=at_once)
        archive = Archive(home, width)
        with open_ledger(home, drain=False) as ledger:
            for segment in set(archive.full(ledger)) - unsealed:
                archive.seal(ledger, segment)
            plain = ledger.store
            grade = ("retrieved", "in_prompt", "supports", "cited")[rank]
            for document in "abc":
                query = Query(
                    document_id=document, since=BEGIN + since * HOUR, grade=grade, closure=False
                )
                ledger.store = plain
                own = list(ledger.affected(query))
                ledger.store = indexed(plain, ParquetIndex(archive), width)
                assert list(ledger.affected(query)) == own
                found = {hit.response_id: _rank(hit.grade) for hit in own}
                assert found == expected(said, document, since=since, rank=rank)


def _rank(grade):
    return ("retrieved", "in_prompt", "supports", "cited").index(grade)


def test_pages_of_an_answer_go_on_where_the_last_one_ended(sealed, ledger):
    store = indexed(ledger.store, ParquetIndex(sealed), WIDTH)
    (document,) = ledger.document("document 3")
    whole = list(store.with_document(document, 0, LATEST, 0))
    assert len(whole) > 20
    for place in range(len(whole)):
        after = whole[place].seq
        assert list(store.with_document(document, 0, LATEST, 0, after)) == whole[place + 1 :]


def test_an_archive_that_begins_late_leaves_the_beginning_to_the_ledger(archive, ledger):
    archive.seal(ledger, 1)
    store = indexed(ledger.store, ParquetIndex(archive), WIDTH)
    (document,) = ledger.document("document 3")
    asked = (document, 0, LATEST, 0)
    assert list(store.with_document(*asked)) == list(ledger.store.with_document(*asked))


def test_damaged_segments_are_told_and_not_passed_over(sealed, ledger):
    sealed.file(0, "links").write_bytes(b"no Parquet")
    store = indexed(ledger.store, ParquetIndex(sealed), WIDTH)
    (document,) = ledger.document("document 3")
    with pytest.raises(ArchiveError, match="cannot be asked"):
        list(store.with_document(document, 0, LATEST, 0))


# --- what it needs


def test_neither_numpy_nor_pandas_is_needed(filled, tmp_path):
    script = dedent("""
        import sys
        from pathlib import Path
        sys.modules["numpy"] = sys.modules["pandas"] = None
        from doctrail_core.archive.folder import Archive
        from doctrail_core.archive.index import indexed
        from doctrail_core.archive.lake import Lake
        from doctrail_core.archive.parquet import ParquetIndex
        from doctrail_core.archive.verifying import states
        from doctrail_core.durable.home import Home
        from doctrail_core.ledger import open_ledger
        archive = Archive(Home(Path(sys.argv[2])), 256)
        with open_ledger(Home(Path(sys.argv[1])), drain=False) as ledger:
            archive.seal(ledger, 0)
            print([each.state for each in states(archive, ledger)])
            store = indexed(ledger.store, ParquetIndex(archive), 256)
            (document,) = ledger.document("document 1")
            print(len(list(store.with_document(document, 0, 1 << 57, 0))) > 1)
        lake = Lake(f"{sys.argv[2]}/lake")
        lake.prepare()
        lake.push(archive, archive.manifest(0))
        print(lake.arrived([archive.manifest(0)]))
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(filled.path), str(tmp_path / "home")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split("\n")[:3], done.stderr) == (["['sealed', 'open']", "True", "{0}"], "")


def test_what_is_not_installed_is_named(monkeypatch, archive, ledger):
    monkeypatch.setattr(
        libraries, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name))
    )
    with pytest.raises(ArchiveError, match=r"pip install 'doctrail-core\[lake\]' \(pyarrow\)"):
        archive.seal(ledger, 0)
    with pytest.raises(ArchiveError, match=r"pip install 'doctrail-core\[clickhouse\]'"):
        libraries.clickhouse()
