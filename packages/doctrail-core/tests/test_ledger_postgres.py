"""The ledger on a server: several logs in one database, and what happens when the server does not work."""

import json
import os
import random
import secrets
import threading
import uuid
from contextlib import closing
from itertools import count

import pytest

from doctrail_core.durable.errors import StaleStoreError, StoreError
from doctrail_core.durable.home import Home
from doctrail_core.durable.postgres import connect
from doctrail_core.durable.served import host_of, served, without_password
from doctrail_core.ledger import batch, open_ledger
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.ledger.place import LedgerPlace
from doctrail_core.ledger.postgres.schema import SCHEMA
from doctrail_core.ledger.postgres.store import _WITH_DOCUMENT
from doctrail_core.ledger.record import encode
from doctrail_core.testing.ledger_stores import answer, event, fact, keep
from doctrail_core.testing.postgres_server import PostgresServer, binaries

for module in ("alembic", "psycopg", "sqlalchemy"):
    pytest.importorskip(module, reason="the postgres extra is not installed")

alone = pytest.mark.usefixtures("own")
needs_server = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server is installed")


@pytest.fixture(scope="module")
def shared(postgres):
    """The address of a database that has the logs of most of these tests."""
    return postgres.new_database()


@pytest.fixture
def address(request, postgres, shared):
    """That, or one of a test's own, where it changes more than its logs."""
    return postgres.new_database() if "own" in request.fixturenames else shared


@pytest.fixture
def own():
    """Asks for a database of the test's own."""


@pytest.fixture
def homes(tmp_path, address):
    """Homes on one server that share the installation's key, as those of several hosts do."""
    key = os.urandom(32)

    def make(name):
        home = Home(tmp_path / name, address)
        home.ensure("ledger")
        home.keys.write_bytes(key)
        return home

    return make


@pytest.fixture
def home(homes):
    return homes("home")


def ask(address, query, *parameters):
    with closing(connect(address)) as connection:
        cursor = connection.execute(query, parameters)
        return cursor.fetchall() if cursor.description else []


def ids(home, document_id, **options):
    with open_ledger(home, **options) as ledger:
        return [hit.response_id for hit in ledger.responses_with(document_id)]


# --- the same log, wherever it is kept


def records():
    yield [answer("r1", fact("d"), fact("e", grade="cited"), user_id="u", session_id="s")]
    yield [event("derived", {"document": "f", "from": ["d"]}), answer("r2", fact("f"))]
    yield [answer("r3", fact("d", grade="retrieved"), kind="retrieved", status="interrupted")]
    yield [answer("r3", fact("d")), event("flagged", {}, "r3"), event("reused", {"of": "r1"}, "r2")]
    yield [answer(f"more-{number}", fact(f"d{number % 7}"), hour=number) for number in range(300)]


def test_both_stores_keep_the_same_bytes_of_the_same_records(tmp_path, homes, monkeypatch):
    one = _kept(Home(tmp_path / "sqlite"), monkeypatch, _uuids())
    server_home, uuids = homes("postgres"), _uuids()
    served(server_home, make=True)
    chosen = json.loads(server_home.server.read_text())
    server_home.server.write_text(json.dumps(chosen | {"log": next(uuids).hex}))
    other = _kept(server_home, monkeypatch, uuids)
    assert len(one["rows"]) > 600
    for part, found in one.items():
        assert found == other[part], part


def _uuids():
    return (uuid.UUID(int=number << 64) for number in count(1))


def _kept(home, monkeypatch, uuids):
    """All that a ledger says of the same records, with the same keys and numbers."""
    monkeypatch.setattr(batch, "uuid4", lambda: next(uuids))
    monkeypatch.setattr(secrets, "token_bytes", random.Random(7).randbytes)  # noqa: S311  # repeatable
    home.ensure("ledger")
    home.keys.write_bytes(b"k" * 32)
    keep(home, *records())
    with open_ledger(home, drain=False) as ledger:
        store, size = ledger.store, ledger.size()
        return {
            "rows": list(store.entry_rows(0, size)),
            "tiles": [store.tiles(level, 0, size) for level in (0, 1, 2)],
            "frontier": bytes(store.frontier()),
            "names": [store.name(seq) for seq in range(size)],
            "hits": [list(ledger.affected(Query(document_id=name))) for name in ("d", "e", "d3")],
            "consistency": ledger.consistency(size // 2, size),
        }


# --- several homes, one database


def test_an_impact_answer_has_the_logs_of_all_hosts_and_says_which(homes):
    one, other = homes("one"), homes("other")
    keep(one, [answer("0198a6b2-93ac-7cc1-a0fc-3ad9f8ba8a7e", fact("d"), user_id="anna")])
    keep(other, [answer("0198a6b2-93ac-7cc1-a0fc-3ad9f8ba8a7f", fact("d"), user_id="bert")])
    with open_ledger(one) as ledger:
        own, foreign = ledger.responses_with("d")
    assert (own.response_id[-1], own.user_id, own.document_id) == ("e", "anna", "d")
    # Its keys are with the other host: what is no id of its own cannot be told here.
    assert (foreign.response_id[-1], foreign.user_id, foreign.document_id) == ("f", None, "d")
    assert {own.log, foreign.log} == {served(home).log for home in (one, other)}
    assert own.log == served(one).log


def test_what_one_host_made_of_a_document_counts_in_the_answers_of_others(homes):
    made = event("derived", {"document": "summary", "from": ["policy"]})
    keep(homes("ingesting"), [made, event("derived", {"document": "digest", "from": ["summary"]})])
    keep(homes("answering"), [answer("r1", fact("digest", text="short")), answer("r2", fact("x"))])
    keep(homes("later"), [answer("r3", fact("again", text="short"))])
    for name in ("ingesting", "answering", "later"):
        with open_ledger(homes(name)) as ledger:
            found = {hit.response_id for hit in ledger.affected(Query(document_id="policy"))}
            exact = list(ledger.affected(Query(document_id="policy", closure=False)))
        assert len(found) == 2, name
        assert exact == []
    with open_ledger(homes("ingesting")) as ledger:
        hits = list(ledger.affected(Query(document_id="policy")))
    assert [(hit.how, hit.derived_from) for hit in hits] == [
        ("in_prompt", "summary"),
        ("in_prompt", None),
    ]


def test_a_list_over_several_logs_goes_on_where_it_was_left(homes):
    for name in ("one", "two", "three"):
        keep(homes(name), [answer(f"{name}{number}", fact("d")) for number in range(3)])
    with open_ledger(homes("two")) as ledger:
        whole = list(ledger.affected(Query(document_id="d")))
        assert len(whole) == 9
        for place, hit in enumerate(whole):
            rest = list(ledger.affected(Query(document_id="d", after=hit.cursor)))
            assert rest == whole[place + 1 :]


def test_a_log_under_another_key_is_not_asked(tmp_path, home, address):
    keep(home, [answer("r1", fact("d"))])
    stranger = Home(tmp_path / "stranger", address)
    keep(stranger, [answer("r2", fact("d"))])
    assert ids(home, "d") == ["r1"]
    assert ids(stranger, "d") == ["r2"]


@alone
def test_names_and_keys_never_reach_the_server(home, address):
    planted = answer("planted-r", fact("planted-d", source="planted-x"), user_id="planted-u")
    keep(home, [planted])
    tables = ask(
        address,
        "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables"
        " WHERE schemaname = 'doctrail_ledger'",
    )
    assert len(tables) > 10
    rows = "".join(str(ask(address, f"TABLE {table}")) for (table,) in tables)
    assert "answered" not in rows
    assert "planted" not in rows
    assert b"planted".hex() not in rows


def test_two_processes_cannot_write_one_log(home):
    with (
        closing(LedgerPlace(home).open()),
        pytest.raises(StoreError, match="another process writes to the same log"),
    ):
        LedgerPlace(home).open()
    LedgerPlace(home).open().close()


def test_what_somebody_else_wrote_makes_a_writer_begin_anew(home, address):
    keep(home, [answer("r1", fact("d"))])
    with closing(LedgerPlace(home).open()) as writer:
        ask(address, "UPDATE doctrail_ledger.log SET frontier = NULL WHERE id = %s", writer.log)
        with pytest.raises(StaleStoreError, match="wrote to the same log"):
            writer.commit([encode(answer("r2"))], {"file": 1}, ())
    assert LedgerPlace(home).cursors() == {}


@alone
def test_hosts_may_begin_at_the_same_time(homes):
    made = [homes(f"home-{number}") for number in range(4)]
    failed = []

    def begin(home):
        for _ in range(20):  # as the sequencer does: a transaction in the way is tried again
            try:
                return keep(home, [answer(f"of {home.path.name}", fact("d"))])
            except StoreError as error:
                failed.append(error)
        return None

    threads = [threading.Thread(target=begin, args=(home,)) for home in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids(made[0], "d", drain=False)[:1]) == ["of home-0"]
    with open_ledger(made[0]) as ledger:
        assert len(list(ledger.responses_with("d"))) == 4


# --- a server that does not work


def test_a_server_that_is_away_is_named_and_nothing_is_lost(tmp_path, faults, make_trail):
    home = Home(tmp_path / "home", "postgresql://u:hush@127.0.0.1:1/d")
    with closing(LedgerJournal(home, faults)) as journal:
        journal.append("answered", make_trail())
        with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/d: .*cannot be reached") as caught:
            journal.flush()
    assert "hush" not in "".join(_chain(caught.value))
    assert "hush" not in home.faults.read_text("utf-8")
    assert "hush" not in home.server.read_text("utf-8")
    assert list(home.spool("ledger").glob("*.spool"))


def _chain(error):
    while error is not None:
        yield repr(error)
        error = error.__cause__ or error.__context__


@needs_server
def test_records_wait_while_the_server_is_down_and_come_once(tmp_path, faults, make_trail):
    with PostgresServer(durable=True) as server:
        home = Home(tmp_path / "home", server.new_database())
        with closing(LedgerJournal(home, faults)) as journal:
            journal.append("answered", make_trail("r1"))
            journal.flush()
            server.kill()
            journal.append("answered", make_trail("r2"))
            with pytest.raises(StoreError, match="waits in the spool"):
                journal.flush()
            server.start()
            journal.flush()
            assert ids(home, "doc_4") == ["r1", "r2"]


def test_a_connection_that_is_cut_in_a_commit_brings_nothing_twice(home, address):
    with closing(LedgerPlace(home).open()) as writer:
        writer.commit([encode(answer("r1", fact("d")))], {"file": 1}, ())
        cut = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        ask(address, cut)
        with pytest.raises(StoreError, match="waits in the spool"):
            writer.commit([encode(answer("r2", fact("d")))], {"file": 2}, ())
    with closing(LedgerPlace(home).open()) as writer:
        assert writer.cursors() == {"file": 1}
        writer.commit([encode(answer("r2", fact("d")))], {"file": 2}, ())
    assert ids(home, "d") == ["r1", "r2"]


def test_a_wrong_password_is_said_and_not_repeated(postgres, tmp_path):
    role = f"r{uuid.uuid4().hex}"
    postgres.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
    rules = postgres.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{before}")
    postgres.execute("SELECT pg_reload_conf()")
    try:
        for given, advice in (("wrong", "does not let this user in"), ("", "wants a password")):
            address = f"postgresql://{role}:{given}@127.0.0.1:{postgres.port}/postgres"
            with pytest.raises(StoreError, match=advice) as caught:
                LedgerPlace(Home(tmp_path / "home", address)).open()
            assert "wrong" not in "".join(_chain(caught.value))
    finally:
        rules.write_text(before)
        postgres.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    "bad",
    [
        "mysql://u:hush@h/d",
        "postgresql://u:hush@h/d?no_such=1",
        "host=h password=hush",
        "postgresql://u:hush@[::1/d",
        "postgresql://u:a/hush@h/d",
        "postgresql://u:1/hush@h/d",
        "postgresql://u:a@hush@h/d",
        "postgresql://u:a@h/hush@h/d",
        "postgresql:/u:hush@h/d",
    ],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(tmp_path, bad):
    with pytest.raises(StoreError, match="DOCTRAIL_DATABASE") as caught:
        LedgerPlace(Home(tmp_path / "home", bad)).open()
    assert "hush" not in "".join(_chain(caught.value))
    assert "hush" not in repr(Home(tmp_path, bad))
    assert "hush" not in Home(tmp_path / "home").server.read_text()


@pytest.mark.parametrize("password", ["p%40ss", "p#ss", "p?ss", "p:ss", "p&x=ss", ""])
def test_a_password_is_neither_kept_nor_shown(password):
    address = f"postgresql://u:{password}@h1:1,h2:2/d?password=hush&target_session_attrs=read-write"
    assert without_password(address) == (
        "postgresql://u@h1:1,h2:2/d?target_session_attrs=read-write"
    )
    assert host_of(address) == "h1:1,h2:2/d"


@alone
def test_a_server_that_cannot_be_written_to_is_told_apart(home, address):
    keep(home, [answer("r1", fact("d"))])
    name = address.rpartition("/")[2]
    ask(address, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with (
        closing(LedgerPlace(home).open()) as writer,
        pytest.raises(StoreError, match="target_session_attrs=read-write"),
    ):
        writer.commit([encode(answer("r2"))], {}, ())
    assert ids(home, "d") == ["r1"]


@alone
def test_a_full_disk_is_told_apart_and_records_stay(home, address):
    keep(home, [answer("r1", fact("d"))])
    full = """
        CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END $$
    """
    ask(address, full)
    trigger = "CREATE TRIGGER full_disk BEFORE INSERT ON doctrail_ledger.entry EXECUTE FUNCTION"
    ask(address, f"{trigger} public.full_disk()")
    with closing(LedgerPlace(home).open()) as writer:
        with pytest.raises(StoreError, match=r"disk is full.*waits in the spool"):
            writer.commit([encode(answer("r2", fact("d")))], {"file": 3}, ())
        assert writer.cursors() == {}
        ask(address, "DROP TRIGGER full_disk ON doctrail_ledger.entry")
        writer.commit([encode(answer("r2", fact("d")))], {"file": 3}, ())
    assert ids(home, "d") == ["r1", "r2"]


@alone
def test_a_commit_that_comes_with_a_warning_is_not_taken_for_safe(home, address):
    warn = """
        CREATE FUNCTION public.warn() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE WARNING 'canceling wait for synchronous replication'; RETURN NULL; END $$
    """
    with closing(LedgerPlace(home).open()) as writer:
        ask(address, warn)
        trigger = (
            "CREATE CONSTRAINT TRIGGER warn AFTER INSERT ON doctrail_ledger.entry"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.warn()"
        )
        ask(address, trigger)
        with pytest.raises(StaleStoreError, match="synchronous replication"):
            writer.commit([encode(answer("r1", fact("d")))], {"file": 3}, ())


def test_commits_wait_for_the_disk_whatever_the_server_is_set_to(postgres, home, address):
    assert ask(address, "SHOW synchronous_commit") == [("off",)]
    with closing(LedgerPlace(home).open()) as writer:
        assert writer._run("SHOW synchronous_commit") == [("on",)]


@alone
def test_who_may_not_make_tables_is_told_what_to_grant(postgres, tmp_path, address):
    role = f"r{uuid.uuid4().hex}"
    ask(address, f"CREATE ROLE {role} LOGIN")
    other = address.replace("doctrail@", f"{role}@")
    with pytest.raises(StoreError, match="GRANT CREATE ON DATABASE"):
        LedgerPlace(Home(tmp_path / "home", other)).open()


def test_a_database_that_does_not_have_all_characters_is_refused(postgres, tmp_path):
    other = postgres.new_database(TEMPLATE="template0", ENCODING="'LATIN1'")
    with pytest.raises(StoreError, match=r"encoding is LATIN1.*--encoding=UTF8"):
        LedgerPlace(Home(tmp_path / "home", other)).open()


# --- schema


@alone
def test_a_database_of_a_newer_doctrail_is_left_as_it_is(home, address):
    keep(home, [answer("r1", fact("d"))])
    ask(address, "UPDATE doctrail_ledger.alembic_version SET version_num = 'ledger_9999'")
    for use in (LedgerPlace(home).open, lambda: open_ledger(home, drain=False)):
        with pytest.raises(
            StoreError, match=r"newer doctrail \(its schema is\s+ledger_9999.*Upgrade"
        ):
            use()


def test_the_revisions_that_are_known_are_those_of_the_scripts():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(SCHEMA.versions.parent))
    config.set_main_option("version_locations", str(SCHEMA.versions))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert tuple(s.revision for s in scripts.walk_revisions())[::-1] == SCHEMA.revisions


@alone
def test_months_have_tables_of_their_own_and_odd_ones_share_one(home, address):
    keep(home, [answer("r1", fact("d")), answer("r2", fact("d"), hour=24 * 365 * 500)])
    keep(home, [answer("r3", fact("d"), hour=24 * 30)])
    found = ask(
        address,
        "SELECT relname FROM pg_class JOIN pg_inherits ON inhrelid = oid"
        " WHERE inhparent = 'doctrail_ledger.response'::regclass ORDER BY relname",
    )
    assert [name for (name,) in found] == ["response_202601", "response_202603", "response_other"]
    assert ids(home, "d") == ["r1", "r2", "r3"]


@alone
def test_impact_is_a_search_of_an_index_in_the_months_that_are_meant(home, address):
    many = [answer(f"r{n}", fact(f"d{n}"), hour=n) for n in range(0, 3000, 2)]
    keep(home, many)
    ask(address, "ANALYZE doctrail_ledger.response, doctrail_ledger.entry")
    with closing(connect(address, SCHEMA.namespace)) as connection:
        connection.execute("SET enable_seqscan TO off")  # which is cheaper for so few
        plan = connection.execute(
            "EXPLAIN " + _WITH_DOCUMENT,
            {"place": 1 << 40, "begin": 1_770_000_000_000_000, "end": 1_772_000_000_000_000}
            | {"after": -1, "rank": 0},
        ).fetchall()
    steps = "\n".join(step for (step,) in plan)
    assert "response_202602_places_idx" in steps
    assert "response_202603" not in steps
    assert "entry_pkey" in steps
    assert "Seq Scan" not in steps


# --- a home begins with a server or without, and stays so


def test_a_home_with_files_of_its_own_is_not_given_to_a_server(tmp_path, address):
    keep(Home(tmp_path / "home"), [answer("r1", fact("d"))])
    with pytest.raises(StoreError, match=r"ledger\.db has records already.*DOCTRAIL_HOME"):
        LedgerPlace(Home(tmp_path / "home", address)).open()
    assert ids(Home(tmp_path / "home"), "d") == ["r1"]


def test_who_reads_before_anything_was_moved_does_not_make_files_of_it(
    tmp_path, address, faults, make_trail
):
    home = Home(tmp_path / "home", address)
    journal = LedgerJournal(home, faults)
    journal.append("answered", make_trail("r1"))
    assert ids(Home(home.path), "doc_4") == ["r1"]
    assert not home.database("ledger").exists()
    journal.close()


def test_records_under_an_address_that_is_none_wait_for_one_that_is(
    tmp_path, address, faults, make_trail
):
    home = Home(tmp_path / "home", "postgresql://u:a/hush@h/d")
    journal = LedgerJournal(home, faults)
    journal.append("answered", make_trail("r1"))
    journal.close()
    with pytest.raises(StoreError, match="none that can be used"):
        open_ledger(Home(home.path))
    assert "hush" not in home.server.read_text()
    assert ids(Home(home.path, address), "doc_4") == ["r1"]
    assert not home.database("ledger").exists()


def test_a_home_remembers_its_server(home):
    keep(home, [answer("r1", fact("d"))])
    again = Home(home.path)
    keep(again, [answer("r2", fact("d"))])
    assert ids(again, "d") == ["r1", "r2"]
    assert not again.database("ledger").exists()
    assert home.server.stat().st_mode & 0o777 == 0o600


def test_a_file_that_names_no_server_is_refused(home):
    keep(home, [answer("r1", fact("d"))])
    home.server.write_text("{}")
    with pytest.raises(StoreError, match=r"server\.json cannot be read"):
        open_ledger(Home(home.path))


def test_what_a_child_records_comes_too(home, faults, make_trail):
    journal = LedgerJournal(home, faults)
    journal.append("answered", make_trail("r1"))
    journal.flush()
    child = os.fork()
    if not child:
        try:
            journal.append("answered", make_trail("r2"))
            journal.flush()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    journal.append("answered", make_trail("r3"))
    journal.close()
    assert sorted(ids(home, "doc_4")) == ["r1", "r2", "r3"]
