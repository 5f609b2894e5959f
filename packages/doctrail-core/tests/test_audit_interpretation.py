"""How to interpret a log: who has nothing but the document reads the entries, and nothing in it goes stale."""

import json
import re
from dataclasses import fields
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.audit.folder import AuditFolder
from doctrail_core.audit.interpretation import HEADER_FIELDS, MEANINGS, interpretation
from doctrail_core.audit.tiers import TIERS
from doctrail_core.capture.settings import Settings
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.entry import HEADER, KINDS, STATUSES, ChunkUse, Entry, decode, encode
from doctrail_core.ledger.journal import LedgerJournal


@pytest.fixture
def journal(home, faults):
    journal = LedgerJournal(home, faults)
    yield journal
    journal.close()


@pytest.fixture
def written(home):
    def write(**settings):
        with open_ledger(home) as log:
            return interpretation(log, home, Settings(home=home.path, **settings))

    return write


def rows(page, heading):
    """The rows of the table that begins with this heading."""
    _, _, rest = page.partition(f"| {heading} |")
    lines = rest.split("\n")[2:]
    table = lines[: lines.index("") if "" in lines else len(lines)]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


class Reader:
    """Reads entries by nothing but the document."""

    def __init__(self, page):
        header = rows(page, "offset")
        self.fields = {name: (int(at), int(size)) for at, size, name, _ in header}
        self.flags = {name: int(flag) for flag, name, _ in rows(page, "flag")}
        self.kinds = {int(row[0]): row[1] for row in rows(page, "code")}
        self.packed = re.search("Of kinds (.*), numbers follow", page)[1].split(", ")
        endings = re.search("how the response ended: (.*?)\\. The others", page)[1]
        self.statuses = dict(ending.split(" ") for ending in endings.split(", "))
        uses = [(int(bits), meaning) for bits, meaning in rows(page, "bits")]
        self.grades = {bits: m.split("`")[1] for bits, m in uses if "grade" in m}
        self.indirect, self.carried = (bits for bits, meaning in uses if "added" in meaning)
        self.length = max(at + size for at, size in self.fields.values())

    def read(self, data):
        head = {name: data[at : at + size] for name, (at, size) in self.fields.items()}
        found = {name: int.from_bytes(part) for name, part in head.items()}
        found["kind"] = self.kinds[found["kind"]]
        if found["kind"] not in self.packed:
            return found | {"body": json.loads(data[self.length :])}
        self.rest = data[self.length :]
        flags = self.number()
        found["status"] = self.statuses[str(flags & 3)]
        for name, size in (("trace", 16), ("query tag", 16), ("answer", 32)):
            if flags & self.flags[name]:
                found[name], self.rest = self.rest[:size], self.rest[size:]
        if flags & self.flags["covers"]:
            found["covers"] = [found["counter"] - self.number() for _ in range(self.number())]
        for name in ("session", "user"):
            if flags & self.flags[name]:
                found[name] = self.number()
        found["duration"] = self.number()
        found["models"] = [self.number() for _ in range(self.number())]
        found["framework"], found["service"] = self.number(), self.number()
        found["chunks"] = [(self.number(), self.number()) for _ in range(self.number())]
        if flags & self.flags["body"]:
            found["body"] = json.loads(self.rest)
        return found

    def number(self):
        value = shift = 0
        while True:
            byte, self.rest = self.rest[0], self.rest[1:]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value


NUMBERS = st.integers(0, 2**40)
ENTRIES = st.builds(
    Entry,
    kind=st.sampled_from(list(KINDS.values())[:4]),
    time_us=st.integers(0, 2**60),
    writer=st.integers(0, 2**32 - 1),
    counter=st.just(500),
    response=st.none() | st.binary(min_size=16, max_size=16).filter(any),
    covers=st.lists(st.integers(0, 499), max_size=3).map(tuple),
    duration_us=NUMBERS,
    status=st.sampled_from(STATUSES),
    chunks=st.lists(
        st.builds(ChunkUse, NUMBERS, st.integers(0, 3), st.booleans(), st.booleans()), max_size=4
    ).map(tuple),
    trace=st.none() | st.binary(min_size=16, max_size=16),
    query_tag=st.none() | st.binary(min_size=16, max_size=16),
    answer_commitment=st.none() | st.binary(min_size=32, max_size=32),
    session=st.none() | NUMBERS,
    user=st.none() | NUMBERS,
    models=st.lists(NUMBERS, max_size=3).map(tuple),
    framework=st.none() | st.integers(1, 2**40),
    service=st.none() | st.integers(1, 2**40),
    body=st.just({}) | st.dictionaries(st.text(), st.integers(), min_size=1),
)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    from doctrail_core.durable.faults import Faults
    from doctrail_core.durable.home import Home

    home = Home(tmp_path_factory.mktemp("home"))
    journal = LedgerJournal(home, Faults(home))
    journal.note("heartbeat", {})
    journal.flush(20)
    journal.close()
    with open_ledger(home) as log:
        return Reader(interpretation(log, home, Settings(home=home.path)))


@given(entry=ENTRIES)
def test_who_has_only_the_document_reads_what_an_entry_says(reader, entry):
    data = encode(entry)
    known, found = decode(data), reader.read(data)
    assert found["kind"] == known.kind
    assert found["response"] == int.from_bytes(known.response or b"")
    assert (found["time"], found["writer"], found["counter"]) == (
        *(known.time_us, known.writer, known.counter),
    )
    assert found["status"] == known.status
    assert found.get("trace") == known.trace
    assert found.get("query tag") == known.query_tag
    assert found.get("answer") == known.answer_commitment
    assert tuple(found.get("covers", ())) == known.covers
    assert (found.get("session"), found.get("user")) == (known.session, known.user)
    assert (found["duration"], tuple(found["models"])) == (known.duration_us, known.models)
    assert (found["framework"], found["service"]) == (known.framework or 0, known.service or 0)
    assert found.get("body", {}) == known.body
    for (place, bits), use in zip(found["chunks"], known.chunks, strict=True):
        assert place == use.chunk
        how = (use.rank, bool(bits & reader.indirect), bool(bits & reader.carried))
        assert how == (use.rank, use.indirect, use.carried)
        grade = reader.grades[bits & ~(reader.indirect | reader.carried)]
        assert ["retrieved", "in_prompt", "supports", "cited"].index(grade) == use.rank


def test_every_kind_of_entry_and_every_byte_of_its_header_is_explained(reader):
    assert list(MEANINGS) == list(KINDS.values())
    assert len(HEADER_FIELDS) == len(HEADER.unpack(bytes(HEADER.size)))
    assert reader.length == HEADER.size
    assert reader.kinds == dict(KINDS)


def test_it_tells_what_the_log_holds(home, journal, make_trail, written):
    journal.append("answered", make_trail(str(UUID(int=7))))
    journal.note("erased", {"documents": [1], "reason": "a | b\n# c"})
    page = written(service="contracts | x", durability="strict")
    counts = {row[1]: row[2] for row in rows(page, "code")}
    assert (counts["answered"], counts["chunk"], counts["erased"]) == ("1", "1", "1")
    settings = dict(rows(page, "setting"))
    assert settings["durability"] == "strict"
    assert settings["database"] == "SQLite"
    assert settings.keys() == {field.name for field in fields(Settings)} - {"home"}
    assert '"reason": "a | b\\n# c"' in page
    assert "| service | contracts \\| x |" in page
    with open_ledger(home) as log:
        assert log.root().hex() in page


def test_it_tells_the_latest_of_each_thing_that_was_configured(journal, written):
    for days in (30, 60):
        journal.note("configured", {"retention": {"ceiling": f"{days} days"}, "what": "retention"})
    journal.note("configured", {"what": "access policy", "bundle": "b-7"})
    page = written()
    assert "60 days" in page
    assert "30 days" not in page
    assert "b-7" in page


def test_it_names_nobody_and_no_secret(home, journal, make_trail, written):
    journal.append("answered", make_trail("response-of-ada", user_id="ada", session_id="s-1"))
    page = written(database="postgresql://user:secret@db.example/ledger")
    for name in ("response-of-ada", "doc_4", "a.pdf", "secret", "db.example", str(home.path)):
        assert name not in page
    assert "| database | PostgreSQL |" in page


def test_it_says_that_nothing_signs_the_log_or_who_does(home, journal, written):
    journal.note("heartbeat", {})
    assert "Nothing signs this log" in written()
    config = AuditFolder(home).make("ledger.example/rag")
    page = written()
    assert f"| key | {config.key} |" in page
    assert "No anchor is configured here" in page


def test_it_says_which_anchors_there_are_and_which_fail(home, journal, written, tmp_path):
    from doctrail_core.audit.anchors import publish_all
    from doctrail_core.audit.signing import sign_checkpoint

    journal.note("heartbeat", {})
    folder = AuditFolder(home)
    folder.make("ledger.example/rag")
    config = json.loads((folder.path / "config.json").read_text())
    (tmp_path / "share").mkdir()
    config["anchors"] = [
        {"kind": "directory", "name": name, "path": str(tmp_path / name)}
        for name in ("share", "lost")
    ]
    (folder.path / "config.json").write_text(json.dumps(config))
    with open_ledger(home) as log:
        _, note = sign_checkpoint(folder, log)
    publish_all(home, str(note).encode())
    states = {row[0]: row[3] for row in rows(written(), "anchor")}
    assert states["share"] == "works"
    assert states["lost"].startswith("fails since 20")


def test_it_says_what_each_tier_proves(journal, written):
    journal.note("heartbeat", {})
    page = written()
    told = rows(page, "tier")
    assert [row[0] for row in told] == ["T0", "T1", "T2", "T3"] == [tier.name for tier in TIERS]
    assert "never call it tamper-evident" in told[0][4]
