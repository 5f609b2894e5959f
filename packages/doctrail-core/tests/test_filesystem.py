"""A home folder lies on this machine, or nothing is recorded in it."""

import pytest

from doctrail_core import Lineage, Settings
from doctrail_core.durable import filesystem
from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.filesystem import NotLocalError, check_is_local, type_of_file_system
from doctrail_core.durable.frame import frame
from doctrail_core.durable.spool import Spool
from doctrail_core.ledger import open_ledger

ROOT = "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    def mount(*lines: str) -> None:
        table = tmp_path / "mountinfo"
        table.write_text("".join(f"{line}\n" for line in lines))
        monkeypatch.setattr(filesystem, "_MOUNTS", table)

    return mount


def mounted(point: object, kind: str) -> str:
    return f"30 21 0:40 / {point} rw,nosuid shared:7 master:2 - {kind} somewhere:/share rw,vers=4.2"


def test_the_file_system_of_this_machine_is_known(tmp_path):
    assert type_of_file_system(tmp_path)
    assert type_of_file_system(tmp_path / "not" / "there" / "yet") == type_of_file_system(tmp_path)
    check_is_local(tmp_path)


def test_the_nearest_mount_counts_and_of_those_at_one_place_the_last(tmp_path, mounts):
    mounts(
        ROOT,
        mounted("/data", "autofs"),
        mounted("/data", "nfs4"),
        mounted("/data/local", "xfs"),
        mounted(r"/with\040space", "cifs"),
    )
    found = {
        place: type_of_file_system(tmp_path.joinpath(place))
        for place in ("/", "/database", "/data", "/data/x/y", "/data/local/x", "/with space/x")
    }
    assert found == {
        "/": "ext4",
        "/database": "ext4",
        "/data": "nfs4",
        "/data/x/y": "nfs4",
        "/data/local/x": "xfs",
        "/with space/x": "cifs",
    }


def test_a_link_is_followed_to_where_it_leads(tmp_path, mounts):
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far")
    mounts(ROOT, mounted(tmp_path / "far", "nfs"))
    with pytest.raises(NotLocalError):
        check_is_local(tmp_path / "link" / "home")


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "ceph"]
)
def test_other_machines_are_refused_by_name(kind, tmp_path, mounts):
    mounts(ROOT, mounted(tmp_path, kind))
    with pytest.raises(NotLocalError, match=rf"{kind}.*Set DOCTRAIL_HOME to a folder on a local"):
        check_is_local(tmp_path)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "fuse.ntfs"])
def test_this_machine_is_not(kind, tmp_path, mounts):
    mounts(ROOT, mounted(tmp_path, kind))
    check_is_local(tmp_path)


def test_a_system_that_does_not_tell_is_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(filesystem, "_MOUNTS", tmp_path / "no proc")
    check_is_local(tmp_path)


def test_nothing_is_written_over_a_network(home, mounts):
    mounts(ROOT, mounted(home.path.parent, "nfs4"))
    with pytest.raises(OSError, match=r"network file system \(nfs4\)"):
        Spool(home, "ledger").append(b"one")
    assert not home.path.exists()


def test_what_lies_there_already_is_not_moved_into_a_database_there(home, mounts):
    home.ensure("ledger")
    waiting = home.spool("ledger") / "dead.00000001.spool"
    waiting.write_bytes(frame(b"{}"))
    mounts(ROOT, mounted(home.path.parent, "nfs4"))
    with pytest.raises(StoreError, match="nothing is recorded yet"):
        open_ledger(home)
    assert waiting.exists()


def test_the_application_goes_on_and_what_is_wrong_is_said_once(home, mounts, caplog):
    mounts(ROOT, mounted(home.path.parent, "nfs4"))
    recording = Lineage(Settings(home=home.path))
    for _ in range(3):
        with recording.scope(question="Who?") as answer:
            answer.answer = "Nobody."
            _search()
    recording.close()
    said = [r.getMessage() for r in caplog.records if "lies on a network file system" in r.message]
    assert len(said) == 2, "one for the ledger, one for the trails"


def _search() -> None:
    from doctrail_core.manual import retrieval

    with retrieval("Who?") as search:
        search.found(["Nobody."])
