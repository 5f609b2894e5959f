"""A whole installation whose records a server keeps: answers, trails, sessions, commands."""

import json
from contextlib import closing

import pytest

from doctrail.health import examine
from doctrail_core.capture.events import RetrievalEnded, RetrievalStarted, RetrievedChunk
from doctrail_core.capture.settings import Settings
from doctrail_core.composition import Lineage
from doctrail_core.durable.home import Home
from doctrail_core.erasure.erasing import erase_document, erase_user
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.tree import Frontier, leaf_hash
from doctrail_core.trails import open_trails


@pytest.fixture(scope="module")
def address(postgres):
    return postgres.new_database()


@pytest.fixture
def lineage(tmp_path, address):
    settings = Settings(home=tmp_path / "home", database=address, spans="none")
    with closing(Lineage(settings)) as lineage:
        yield lineage


def answered(lineage, question, answer, **scope):
    """A response that read one chunk."""
    with lineage.scope(question=question, **scope) as response:
        run = f"{response.response_id}/search"
        found = [RetrievedChunk("It is due in May.", "doc_4#0", "doc_4", 0)]
        lineage.record(RetrievalStarted(run, response.response_id, "Retriever", question, "test"))
        lineage.record(RetrievalEnded(run, found))
        response.answer = answer
    return response.response_id


def test_answers_are_kept_on_the_server_and_nowhere_else(tmp_path, lineage):
    first = answered(lineage, "When is it due?", "In May.", session_id="s", user_id="anna")
    second = answered(lineage, "And the other?", "In June.", session_id="s")
    assert lineage.flush()
    home = Home(tmp_path / "home")
    with open_ledger(home) as ledger, open_trails(home) as trails:
        assert [e.kind for e in ledger.entries_of(first)] == ["answered"]
        assert [e.kind for e in ledger.entries_of(second)] == ["answered"]
        assert [found.response_id for found in trails.find("in june")] == [second]
        turns = [trails.get(each).turn for each in (first, second)]
    assert turns == [1, 2]
    assert lineage.get(first).question == "When is it due?"
    assert sorted(path.name for path in home.path.glob("*.db")) == ["keys.db"]
    assert list(home.spool("ledger").glob("*.spool")) == []


def test_a_later_process_goes_on_with_a_session(tmp_path, lineage, address):
    answered(lineage, "When is it due?", "In May.", session_id="t")
    assert lineage.flush()
    settings = Settings(home=tmp_path / "home", database=address, spans="none")
    with closing(Lineage(settings)) as later:
        response = answered(later, "And then?", "Never.", session_id="t")
        assert later.get(response).turn == 2


def test_the_doctor_looks_at_the_server(tmp_path, lineage, postgres, address):
    answered(lineage, "When is it due?", "In May.")
    assert lineage.flush()
    health = examine(str(tmp_path / "home"), {})
    assert health.remarks == ()
    for store in health.stores:
        assert store.path == f"127.0.0.1:{postgres.port}/{address.rpartition('/')[2]}"
        assert store.schema_version == 1
        assert store.bytes > 10_000
        assert store.records
        assert (store.waiting_bytes, store.trouble) == (0, None)


def test_the_doctor_says_that_a_server_is_away(tmp_path, lineage):
    answered(lineage, "When is it due?", "In May.")
    assert lineage.flush()
    home = Home(tmp_path / "home")
    kept = json.loads(home.server.read_text())
    home.server.write_text(json.dumps(kept | {"address": "postgresql://u@127.0.0.1:1/d"}))
    health = examine(str(home.path), {})
    assert [remark for remark in health.remarks if "cannot be reached" in remark]


def test_a_password_comes_from_the_environment_for_the_same_server_alone(
    tmp_path, lineage, monkeypatch, address
):
    answered(lineage, "When is it due?", "In May.")
    assert lineage.flush()
    home = Home(tmp_path / "home")
    with_password = address.replace("doctrail@", "doctrail:hush@")
    for given in (with_password, "postgresql://u:other@127.0.0.1:1/d"):
        monkeypatch.setenv("DOCTRAIL_DATABASE", given)
        with open_ledger(home) as ledger:
            assert ledger.size() > 0


def test_a_server_that_moved_is_found_by_those_who_only_read(tmp_path, lineage, address):
    answered(lineage, "When is it due?", "In May.")
    assert lineage.flush()
    moved = f"{address}?application_name=moved"
    settings = Settings(home=tmp_path / "home", database=moved, spans="none")
    with closing(Lineage(settings)) as later:
        answered(later, "And then?", "Never.")
        assert later.flush()
    kept = json.loads(Home(tmp_path / "home").server.read_text())
    assert kept["address"] == moved


def test_what_is_erased_is_gone_from_the_tables_and_every_other_home_is_named(
    tmp_path, lineage, postgres, address
):
    answered(lineage, "Is PLANTED due?", "In May.", user_id="anna")
    other = Lineage(Settings(home=tmp_path / "other", database=address, spans="none"))
    with closing(other):
        answered(other, "And then?", "Never.")
        assert other.flush()
    assert lineage.flush()
    home = Home(tmp_path / "home")
    receipt = erase_document(home, "doc_4", reason="it should never have been indexed")
    assert receipt.impact.responses == 1  # of its own log
    assert [line for line in receipt.not_covered if "Erase in each of them" in line]
    erase_user(home, "anna", reason="she asked for it")
    with open_ledger(home) as ledger, open_trails(home) as trails:
        assert ledger.document("doc_4")  # who presents the id is still answered
        assert [entry.kind for entry in ledger.events("erased")] == ["erased", "erased"]
        assert list(trails.find("PLANTED")) == []
        assert ledger.root() == root_of([leaf_hash(body) for _, body in ledger.bodies()])
    name = address.rpartition("/")[2]
    tables = postgres.execute(
        "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname ~ '^doctrail_'",
        database=name,
    )
    kept = "".join(postgres.execute(f"TABLE {table}", database=name) for table in tables.split())
    assert "Never." in kept
    assert "PLANTED" not in kept
    assert "anna" not in kept


def root_of(leaves):
    frontier = Frontier()
    frontier.append_all(leaves)
    return frontier.root()
