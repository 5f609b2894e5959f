"""Bundles, checked by the program that ships inside them, which has nothing but Python and `cryptography`."""

import base64
import json
import subprocess
import sys
import venv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from doctrail_core.audit import segments
from doctrail_core.audit.bundle import Bundle, Signed, proof_of
from doctrail_core.audit.checkpoint import Checkpoint, Proof, signed
from doctrail_core.audit.folder import AuditFolder
from doctrail_core.audit.note import Note, SigningKey, read_note
from doctrail_core.audit.sealing import postings_of
from doctrail_core.audit.segments import Postings
from doctrail_core.audit.standalone import main
from doctrail_core.audit.verifying import Known, verify
from doctrail_core.audit.watch import begin, checkpoint_now
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.erasure.policy import Bounds, Period, Policy
from doctrail_core.erasure.retention import run_retention
from doctrail_core.folder import Folder
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.ledger.store import LATEST
from doctrail_core.ledger.tree import leaf_hash

ORIGIN = "log.example/rag"
ANSWERS = 600
WIDTH = 256


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, make_trail):
    """A log of some segments, with a checkpoint from when it was small."""
    patch = pytest.MonkeyPatch()
    patch.setattr(segments, "SEGMENT", WIDTH)
    home = Home(tmp_path_factory.mktemp("recorded") / "home")
    folder = Folder(home.path)
    for number in range(ANSWERS):
        if number == 20:
            _, early = begin(home, folder.ledger, ORIGIN)
        texts = {"doc_all": "everywhere"} if number % 100 == 3 else {f"doc_{number % 5}": "some"}
        if number == ANSWERS - 1:
            texts = {"doc_late": "at the end", "doc_all": "everywhere"}
        trail = make_trail(f"00000000-0000-4000-8000-{number:012}", texts=texts, minute=number)
        folder.ledger.append("retrieved", trail)
        folder.ledger.append("answered", trail)
        if number % 50 == 0:
            folder.flush(10)
    folder.ledger.note("derived", {"document": "doc_sum", "from": ["doc_late", "doc_1"]})
    checkpoint, note = checkpoint_now(home, folder.ledger, heartbeat=False)
    folder.close()
    yield home, Signed(AuditFolder(home).config().key, checkpoint, note), early
    patch.undo()


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python that has `cryptography` and what that needs, and nothing else."""
    place = tmp_path_factory.mktemp("auditor")
    venv.create(place, with_pip=False, symlinks=True)
    (packages,) = place.glob("lib/python*/site-packages")
    for name in ("cryptography", "cffi", "_cffi_backend*", "pycparser"):
        for found in Path(__import__("cryptography").__file__).parents[1].glob(name):
            (packages / found.name).symlink_to(found)
    return place / "bin" / "python"


@pytest.fixture
def pack(recorded, tmp_path):
    """Write a bundle of the log, of a time or of a document."""
    home, known, early = recorded
    earlier = [(Checkpoint.parse(early.text), early)]

    def write(*, document=None, times=None, earlier=earlier, to="bundle", narrow=True):
        bundle = Signed(known.key, known.checkpoint, known.note, earlier)
        with pytest.MonkeyPatch.context() as patch, open_ledger(home, drain=False) as log:
            if narrow:
                patch.setattr(segments, "SEGMENT", WIDTH)
            writer = Bundle(log, bundle, tmp_path / to)
            if document:
                writer.of_document(document)
            elif times:
                writer.of_time(*times, {"from": None, "before": None})
            else:
                writer.of_log()
        return tmp_path / to

    return write


@pytest.fixture
def check(capsys):
    """Run the verifier of a bundle in this process; what it says, and its exit code."""

    def run(folder, *words):
        code = main([str(folder), *map(str, words)])
        return code, capsys.readouterr().out

    return run


def rewrite(path, change):
    """Change the value of each line of a file of JSON."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(f"{json.dumps(changed)}\n" for changed in change(lines)))


def rewrite_json(path, change):
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said))


# The program by itself.


@pytest.mark.parametrize("document", [None, "doc_all"])
def test_the_verifier_runs_with_nothing_but_python_and_cryptography(
    recorded, pack, python, document, tmp_path
):
    _, known, early = recorded
    folder = pack(document=document)
    kept = tmp_path / "kept"
    kept.write_text(str(early))
    words = [python, "-I", folder / "verify.py", "--key", str(known.key), "--checkpoint", kept]
    ran = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Nothing here contradicts the evidence" in ran.stdout
    missing = [python, "-I", "-c", "import doctrail_core"]
    assert subprocess.run(missing, capture_output=True, check=False).returncode == 1


def test_the_verifier_imports_nothing_of_ours():
    source = Path(sys.modules[main.__module__].__file__).read_text()
    modules = {
        line.split()[1].split(".")[0]
        for line in map(str.strip, source.splitlines())
        if line.startswith(("import ", "from "))
    }
    assert modules <= sys.stdlib_module_names | {"cryptography"}


# What a good bundle says.


def test_a_bundle_of_the_log_has_all_of_it(recorded, pack, check):
    _, known, _ = recorded
    code, said = check(pack(), "--key", known.key)
    assert code == 0
    assert f"Entries 0 to {known.checkpoint.size - 1} are in its tree" in said
    assert f"{ANSWERS} of them answers" in said
    assert "No record of 1 writers is missing" in said
    assert "bundle's own" not in said


def test_a_bundle_of_a_time_is_a_piece_of_the_log(recorded, pack, check):
    with open_ledger(recorded[0]) as log:
        times = [entry.time_us for entry in log.entries(300, 310)]
    code, said = check(pack(times=(times[0], times[9])))
    assert code == 0
    assert "bundle's own" in said


def test_nothing_of_a_time_is_no_bundle(pack):
    with pytest.raises(LookupError, match="nothing is on record"):
        pack(times=(0, 1))


def test_a_document_that_nobody_knows_is_no_bundle(pack):
    with pytest.raises(LookupError, match="no document 'doc'"):
        pack(document="doc")


@pytest.mark.parametrize("document", ["doc_all", "doc_1", "doc_late"])
def test_a_bundle_of_a_document_lists_exactly_its_responses(recorded, pack, check, document):
    home, _, _ = recorded
    with open_ledger(home) as log:
        (place,) = log.document(document)
        expected = [
            log.response_id_of(hit.body[2:18])
            for hit in log.store.with_document(place, 0, LATEST, 0)
        ]
    code, said = check(pack(document=document))
    assert code == 0
    listed = [line.split()[1] for line in said.splitlines() if line.startswith("  ")]
    assert listed == expected
    assert f"{len(expected)} responses had the document, and no others" in said


def test_full_segments_are_shown_by_their_index_and_not_by_their_entries(recorded, pack):
    _, known, _ = recorded
    folder = pack(document="doc_late")
    (piece,) = json.loads((folder / "bundle.json").read_text())["ranges"]
    assert piece["start"] == known.checkpoint.size // WIDTH * WIDTH
    shown = len((folder / piece["file"]).read_text().splitlines())
    assert shown == known.checkpoint.size - piece["start"]
    indexed = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    assert len(indexed) == known.checkpoint.size // WIDTH
    assert all("before" in each["documents"][0] for each in indexed[:2])


def test_the_same_is_shown_without_any_index(pack, check):
    indexed = check(pack(document="doc_all"))
    plain = check(pack(document="doc_all", to="plain", narrow=False))
    assert indexed == plain
    assert plain[0] == 0


def test_proofs_are_files_that_other_tools_read(recorded, pack):
    _, known, _ = recorded
    folder = pack(document="doc_all")
    proofs = [Proof.parse(path.read_bytes()) for path in (folder / "proofs").iterdir()]
    assert proofs
    assert all(proof.extra and proof.shows(proof.extra, known.key) for proof in proofs)


def test_a_bundle_names_nothing_but_what_it_is_about(recorded, pack):
    folder = pack(document="doc_late")
    whole = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"doc_late" in whole
    for other in (b"doc_1", b"user-1", b"session-1"):
        assert other not in whole


def test_what_was_made_of_a_document_is_told_not_to_be_listed(recorded, pack, check):
    with open_ledger(recorded[0]) as log:
        (made,) = log.document("doc_sum")
    told = f"Documents made from it, bound by entries {made}: their responses are NOT listed."
    assert told in check(pack(document="doc_1"))[1]
    assert "NOT listed" not in check(pack(document="doc_2", to="other"))[1]


def test_a_folder_that_is_not_empty_is_left_alone(pack, tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "mine").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        pack()
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == ["mine"]


# Checkpoints that somebody kept.


def test_a_checkpoint_that_was_kept_is_compared(recorded, pack, check, tmp_path):
    (tmp_path / "kept").write_text(str(recorded[2]))
    for folder in (pack(), pack(document="doc_1", to="other")):
        code, said = check(folder, "--checkpoint", tmp_path / "kept")
        assert code == 0
        assert "It begins with all of the" in said


def test_a_checkpoint_of_which_nothing_is_shown_is_not_passed_over(recorded, pack, check, tmp_path):
    (tmp_path / "kept").write_text(str(recorded[2]))
    code, said = check(pack(document="doc_1", earlier=()), "--checkpoint", tmp_path / "kept")
    assert "NOT compared" in said
    assert code == 1


@pytest.mark.parametrize("more", [-1, 1])
def test_a_checkpoint_of_another_history_contradicts_the_bundle(
    recorded, pack, check, tmp_path, more
):
    home, known, _ = recorded
    key = AuditFolder(home).signing_key()
    other = signed(Checkpoint(ORIGIN, known.checkpoint.size + more, bytes(32)), key)
    (tmp_path / "kept").write_text(str(other))
    code, said = check(pack(), "--checkpoint", tmp_path / "kept")
    assert (code, said[:7]) == (1, "BROKEN:")


def test_a_bundle_under_another_key_is_refused(pack, check):
    key = SigningKey.generate(ORIGIN).verifier
    code, said = check(pack(), "--key", key)
    assert code == 1
    assert f"not signed by {ORIGIN}" in said


# What was tampered with.


@pytest.mark.parametrize("places", [[], [1], [10**6]])
def test_a_document_that_the_log_does_not_bind_is_not_said_to_be_in_no_answer(pack, check, places):
    folder = pack(document="doc_late", narrow=False)
    rewrite_json(folder / "bundle.json", lambda said: said["about"].update(places=places))
    code, said = check(folder)
    assert (code, said[:7]) == (1, "BROKEN:")


@pytest.mark.parametrize("about", [{"what": "log"}, {"what": "time"}, {"what": "something"}])
def test_a_bundle_that_shows_nothing_does_not_hold(pack, check, about):
    folder = pack()
    empty = {"start": 5, "end": 5, "before": [], "after": [], "tiles": {}}
    rewrite_json(folder / "bundle.json", lambda said: said.update(about=about, ranges=[]))
    assert check(folder)[0] != 0
    rewrite_json(folder / "bundle.json", lambda said: said.update(ranges=[empty]))
    assert check(folder)[0] != 0


def test_a_bundle_of_a_time_tells_that_it_may_not_have_all_of_it(pack, check):
    folder = pack(times=(0, LATEST))
    code, said = check(folder)
    assert code == 0
    assert "that no other entry is of that time is NOT shown" in said


def first(lines):
    return lines[1:]


def last(lines):
    return lines[:-1]


def twice(lines):
    return [*lines[:5], lines[4], *lines[5:]]


def swapped(lines):
    return [*lines[:3], lines[4], lines[3], *lines[5:]]


def turned(lines):
    data = bytearray(base64.b64decode(lines[7]["entry"]))
    data[20] ^= 1
    lines[7]["entry"] = base64.b64encode(data).decode()
    return lines


@pytest.mark.parametrize("change", [first, last, twice, swapped, turned])
def test_entries_that_were_tampered_with_are_noticed(pack, check, change):
    for document in (None, "doc_late"):
        folder = pack(document=document, to=f"to-{document}")
        (piece,) = json.loads((folder / "bundle.json").read_text())["ranges"]
        rewrite(folder / piece["file"], change)
        code, said = check(folder)
        assert code in (1, 2)
        assert said.startswith("BROKEN:")


def without_the_strongest(lines):
    """As an operator would do who wants one answer out of it."""
    for line in lines:
        for said in line["documents"]:
            if len(said["mentions"]) > 1:
                said["mentions"] = said["mentions"][:-1]
                return lines
    raise AssertionError("nothing to leave out")


def with_another_grade(lines):
    for line in lines:
        for said in line["documents"]:
            for mention in said["mentions"]:
                if mention[1] == 1:
                    mention[1] = 0
                    return lines
    raise AssertionError("nothing to change")


def without_a_segment(lines):
    return lines[:1] + lines[2:]


def with_an_absence(lines):
    """Another segment's proof that the document is not there."""
    (absent,) = [line for line in lines if "before" in line["documents"][0]][:1] or [lines[0]]
    lines[1]["documents"] = absent["documents"]
    return lines


def of_another_document(lines):
    for line in lines:
        line["documents"][0]["document"] += 1
    return lines


@pytest.mark.parametrize(
    "change",
    [without_the_strongest, with_another_grade, without_a_segment, of_another_document],
)
def test_what_an_index_says_cannot_be_changed(pack, check, change):
    folder = pack(document="doc_all")
    rewrite(folder / "index.jsonl", change)
    code, said = check(folder)
    assert code == 1
    assert said.startswith("BROKEN:")


def test_the_absence_of_one_segment_says_nothing_of_another(pack, check):
    folder = pack(document="doc_late")
    rewrite(folder / "index.jsonl", with_an_absence)
    assert check(folder)[0] == 1


@pytest.mark.parametrize("change", [first, last, turned])
def test_entries_that_an_index_names_must_be_there_as_they_are(pack, check, change):
    folder = pack(document="doc_all")
    rewrite(folder / "entries.jsonl", change)
    code, said = check(folder)
    assert code in (1, 2)
    assert said.startswith("BROKEN:")


@pytest.mark.parametrize("hashes", ["before", "after"])
def test_hashes_beside_a_piece_are_part_of_what_is_checked(recorded, pack, check, hashes):
    with open_ledger(recorded[0]) as log:
        times = [entry.time_us for entry in log.entries(300, 310)]
    folder = pack(times=(times[0], times[9]))

    def change(said):
        said["ranges"][0][hashes][0] = base64.b64encode(bytes(32)).decode()

    rewrite_json(folder / "bundle.json", change)
    assert check(folder)[0] == 1


def test_a_piece_cannot_claim_to_be_elsewhere(pack, check):
    folder = pack()

    def change(said):
        said["ranges"][0]["end"] -= 1

    rewrite_json(folder / "bundle.json", change)
    assert check(folder)[0] == 1


def test_a_log_that_does_not_begin_with_what_was_signed_before_is_noticed(recorded, pack, check):
    key = AuditFolder(recorded[0]).signing_key()
    other = signed(Checkpoint(ORIGIN, 40, bytes(32)), key)
    folder = pack(earlier=[(Checkpoint.parse(other.text), other)])
    code, said = check(folder)
    assert code == 1
    assert "does not begin with what was signed at 40" in said


def test_a_checkpoint_that_was_changed_is_noticed(pack, check):
    folder = pack()
    note = (folder / "checkpoint").read_text()
    size = note.split("\n")[1]
    (folder / "checkpoint").write_text(note.replace(size, str(int(size) - 1)))
    code, said = check(folder)
    assert (code, said) == (1, f"BROKEN: a signature under the name {ORIGIN} is not by its key.\n")


@pytest.fixture
def miscounted(check, tmp_path, make_trail):
    """Bundle a log in which a writer's numbers are not right, though its own key signed it."""

    def make(step):
        home = Home(tmp_path / "home")
        folder = Folder(home.path)
        begin(home, folder.ledger, ORIGIN)
        for number in (1, 2, 3):
            if number == 2:
                folder.ledger._next += step
            trail = make_trail(f"00000000-0000-4000-8000-{number:012}")
            folder.ledger.append("answered", trail)
        checkpoint, note = checkpoint_now(home, folder.ledger, heartbeat=False)
        folder.close()
        with open_ledger(home) as log:
            known = Signed(AuditFolder(home).config().key, checkpoint, note)
            Bundle(log, known, tmp_path / "out").of_log()
        return check(tmp_path / "out")

    return make


def test_a_record_that_is_missing_is_missed(miscounted):
    assert miscounted(1) == (1, "BROKEN: record 2 of writer 1 is missing.\n")


def test_a_record_that_is_there_twice_is_noticed(miscounted):
    assert miscounted(-1) == (1, "BROKEN: record 1 of writer 1 is there twice.\n")


def test_the_end_of_the_log_cannot_be_left_out(pack, check):
    folder = pack(document="doc_1")

    def change(said):
        said["ranges"] = []

    rewrite_json(folder / "bundle.json", change)
    code, said = check(folder)
    assert code == 1
    assert "nothing is in the bundle" in said


def test_a_document_that_is_absent_has_no_mentions(pack, check):
    folder = pack(document="doc_late")

    def change(lines):
        lines[1]["documents"][0]["mentions"] = [[300, 1]]
        return lines

    rewrite(folder / "index.jsonl", change)
    code, said = check(folder)
    assert code == 1
    assert "other mentions of the document than these" in said


def dishonest(change):
    """An index that an operator committed to, with what `change` makes of the mentions of a document."""

    def made(log, segment):
        postings, changed = postings_of(log, segment), Postings()
        for document in range(log.size()):
            for seq, how in change(postings.mentions(document)):
                changed.add(seq, {document: how})
        return changed

    return made


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda mentions: [(seq, how | 2) for seq, how in mentions], "does not mention"),
        (lambda mentions: [(seq ^ 1, how) for seq, how in mentions], "BROKEN"),
        (lambda mentions: [(seq + 100, how) for seq, how in mentions], "is not between "),
    ],
)
def test_a_committed_index_that_says_what_entries_do_not_is_noticed(
    check, tmp_path, make_trail, monkeypatch, change, told
):
    monkeypatch.setattr(segments, "SEGMENT", WIDTH)
    for module in ("sealing", "bundle"):
        name = f"doctrail_core.audit.{module}.postings_of"
        monkeypatch.setattr(name, dishonest(change))
    home = Home(tmp_path / "home")
    folder = Folder(home.path)
    begin(home, folder.ledger, ORIGIN)
    for number in range(2 * WIDTH + 150):
        trail = make_trail(f"00000000-0000-4000-8000-{number:012}")
        folder.ledger.append("answered", trail)
    folder.flush(10)
    checkpoint, note = checkpoint_now(home, folder.ledger, heartbeat=False)
    folder.close()
    with open_ledger(home) as log:
        known = Signed(AuditFolder(home).config().key, checkpoint, note)
        Bundle(log, known, tmp_path / "out").of_document("doc_4")
        report = verify(log, Known(known.key, [note]))
    code, said = check(tmp_path / "out")
    assert code in (1, 2)
    assert told in said
    assert not report.is_sound


@pytest.mark.parametrize("name", ["bundle.json", "checkpoint", "earlier.json", "index.jsonl"])
def test_files_that_are_nonsense_are_told_and_nothing_breaks(pack, check, name):
    folder = pack(document="doc_late")
    for text in ("null", "\x00", '{"format": 1}', '[{"note": 1}]', "7", '"'):
        (folder / name).write_text(text)
        code, said = check(folder)
        assert code in (1, 2), said
        assert said.startswith("BROKEN:")


def test_what_a_bundle_says_does_not_reach_the_terminal_as_it_is(pack, check):
    folder = pack(document="doc_late")

    def change(said):
        said["responses"] = dict.fromkeys(said["responses"], "\x1b[31mred\n\u202egnp")

    rewrite_json(folder / "names.json", change)
    code, said = check(folder)
    assert code == 0
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_a_bundle_names_no_file_outside_of_it(pack, check, tmp_path):
    folder = pack()
    (tmp_path / "outside").write_text("{}")

    def change(said):
        said["ranges"][0]["file"] = "../outside"

    rewrite_json(folder / "bundle.json", change)
    code, said = check(folder)
    assert code == 1
    assert "no file outside" in said


# Proofs of single entries.


def test_every_entry_has_a_proof(recorded):
    home, known, _ = recorded
    with open_ledger(home) as log:
        for seq in (0, 1, 255, 256, known.checkpoint.size - 1):
            proof = proof_of(log, seq, known.checkpoint, known.note)
            assert Proof.parse(str(proof)).shows(log.body(seq) or b"", known.key)
        with pytest.raises(LookupError, match="newer than the checkpoint"):
            proof_of(log, known.checkpoint.size, known.checkpoint, known.note)


def test_a_signed_checkpoint_is_read_back(recorded):
    _, known, early = recorded
    assert isinstance(read_note(str(early)), Note)
    assert read_note(str(known.note)) == known.note


# Logs of which part is gone.


@pytest.fixture
def pruned(tmp_path, make_trail):
    """A log of which the older half was pruned, but for the document that is in use."""
    home = Home(tmp_path / "home")
    folder = Folder(home.path)
    begin(home, folder.ledger, ORIGIN)
    policy = Policy(ledger=Bounds(Period(days=1), Period(days=60)))
    folder.ledger.note("configured", {"retention": policy.to_json()})
    for number in range(600):
        texts = {"doc_old": "some"} if number < 300 else {"doc_new": "some"}
        if number in (7, 550):
            texts = {"doc_kept": "held"}
        trail = make_trail(
            f"00000000-0000-4000-8000-{number:012}", texts=texts, minute=(number // 300) * 100_000
        )
        folder.ledger.append("answered", trail)
    folder.flush(10)
    now = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(minutes=100_300)
    run_retention(home, now=now)
    checkpoint, note = checkpoint_now(home, folder.ledger, heartbeat=False)
    folder.close()
    return home, Signed(AuditFolder(home).config().key, checkpoint, note)


def test_of_what_was_pruned_it_is_said_that_nothing_is_shown(pruned, check, tmp_path):
    home, known = pruned
    with open_ledger(home) as log:
        assert log.minimum() >= 256
        assert verify(log, Known(known.key, [known.note])).is_sound
        written = Bundle(log, known, tmp_path / "log").of_log()
        Bundle(log, known, tmp_path / "document").of_document("doc_kept")
    assert 0 < written.unshown < 256  # names that are still in use stayed
    code, said = check(tmp_path / "log")
    assert code == 0
    assert f"{written.unshown} entries were pruned: of them NOTHING is shown." in said
    code, said = check(tmp_path / "document")
    assert code == 0
    assert "responses had the document, and no others of those that are shown" in said
    assert "\n0 responses" not in said


def test_no_entry_can_be_passed_off_as_pruned(pack, check):
    folder = pack(document="doc_late")
    (piece,) = json.loads((folder / "bundle.json").read_text())["ranges"]

    def hide(lines):
        (hidden,) = [n for n, line in enumerate(lines) if entry_of(line)[1:2] == b"\x02"][-1:]
        leaf = base64.b64encode(leaf_hash(entry_of(lines[hidden]))).decode()
        lines[hidden] = {"seq": lines[hidden]["seq"], "leaf": leaf}
        return lines

    rewrite(folder / piece["file"], hide)
    code, said = check(folder)
    assert code == 1
    assert "no entry says that they were pruned" in said


def entry_of(line):
    return base64.b64decode(line["entry"])


# Logs that PostgreSQL keeps.


def test_a_log_in_postgresql_is_signed_verified_and_bundled_as_any_other(
    postgres, tmp_path, make_trail, check, monkeypatch
):
    monkeypatch.setattr(segments, "SEGMENT", WIDTH)
    home = Home(tmp_path / "home", postgres.new_database())
    home.ensure("ledger")
    journal = LedgerJournal(home, Faults(home))
    begin(home, journal, ORIGIN)
    for number in range(300):
        trail = make_trail(f"00000000-0000-4000-8000-{number:012}", minute=number)
        journal.append("answered", trail)
    checkpoint, note = checkpoint_now(home, journal, heartbeat=False)
    checkpoint, note = checkpoint_now(home, journal, heartbeat=True)
    journal.close()
    known = Signed(AuditFolder(home).config().key, checkpoint, note)
    with open_ledger(home) as log:
        report = verify(log, Known(known.key, AuditFolder(home).notes()))
        Bundle(log, known, tmp_path / "bundle").of_document("doc_4")
    assert [each.words for each in report.findings if each.outcome == "broken"] == []
    assert {"index", "tables", "checkpoints"} <= {
        each.check for each in report.findings if each.outcome == "holds"
    }
    code, said = check(tmp_path / "bundle")
    assert code == 0
    assert "300 responses had the document, and no others" in said
