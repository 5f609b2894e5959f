"""Anchors: each keeps what it was given, refuses what contradicts it, and one that fails loses nothing."""

import errno
import json
import os
import stat
import subprocess
import sys
from base64 import b64decode, b64encode
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.audit.anchors import (
    AnchorError,
    AnchorReceipt,
    ContradictionError,
    confirm,
    failing,
    publish_all,
    publish_due,
    receipts,
)
from doctrail_core.audit.anchors.anchor import head, place_of
from doctrail_core.audit.anchors.directory import DirectoryAnchor
from doctrail_core.audit.anchors.git import GitAnchor
from doctrail_core.audit.anchors.packing import latest, pack
from doctrail_core.audit.anchors.rfc3161 import Rfc3161Anchor
from doctrail_core.audit.anchors.s3 import S3Anchor
from doctrail_core.audit.anchors.witness import WitnessAnchor
from doctrail_core.audit.checkpoint import Checkpoint, signed
from doctrail_core.audit.note import (
    COSIGNATURE,
    Signature,
    SigningKey,
    VerifierKey,
    read_note,
)
from doctrail_core.ledger.tree import (
    EMPTY_ROOT,
    Frontier,
    consistency,
    leaf_hash,
    root_of,
)

ORIGIN = "ledger.example/rag"
KEY = SigningKey(ORIGIN, b"k" * 32)


class Log:
    """A log of made-up entries, whose operator can rewrite it at will and has the key."""

    def __init__(self, size: int) -> None:
        self.leaves = [leaf_hash(f"entry {n}".encode()) for n in range(size)]

    def grow(self, number: int) -> None:
        self.leaves += [leaf_hash(f"later {n}".encode()) for n in range(number)]

    def subtree(self, start: int, end: int) -> bytes:
        frontier = Frontier()
        frontier.append_all(self.leaves[start:end])
        return frontier.root()

    def root(self, size: int) -> bytes:
        return root_of(size, self.subtree)

    def checkpoint(self, size: int | None = None) -> bytes:
        known = len(self.leaves) if size is None else size
        return str(signed(Checkpoint(ORIGIN, known, self.root(known)), KEY)).encode()

    def consistency(self, old: int, new: int) -> list[bytes]:
        return consistency(old, new, self.subtree)


@pytest.fixture
def log():
    return Log(40)


@pytest.fixture
def forged():
    """The same log after its operator changed an entry and signed it anew."""
    other = Log(40)
    other.leaves[7] = leaf_hash(b"another entry")
    return other


# Directory


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "away").mkdir()
    return tmp_path / "away"


@pytest.fixture
def directory(folder):
    return DirectoryAnchor("away", folder)


def test_a_directory_holds_every_checkpoint_it_was_given(directory, log):
    given = [log.checkpoint(size) for size in (8, 9, 40)]
    for checkpoint in given:
        directory.verify(directory.publish(checkpoint))
    assert list(directory.held(ORIGIN)) == given
    assert list(directory.held("another/log")) == []


def test_a_directory_never_replaces_what_it_holds(directory, folder, log, forged):
    directory.publish(log.checkpoint())
    with pytest.raises(ContradictionError, match="rewritten"):
        directory.publish(forged.checkpoint())
    assert (folder / place_of(log.checkpoint())).read_bytes() == log.checkpoint()


def test_the_same_checkpoint_with_more_signatures_is_no_contradiction(directory, log):
    first = directory.publish(log.checkpoint())
    note = read_note(log.checkpoint())
    cosigned = note.with_signatures(SigningKey("other", b"o" * 32).sign(note.text))
    again = directory.publish(str(cosigned).encode())
    assert again.checkpoint == first.checkpoint == log.checkpoint()


def test_a_share_without_hard_links_will_do(directory, folder, log, forged, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    directory.verify(directory.publish(log.checkpoint()))
    with pytest.raises(ContradictionError):
        directory.publish(forged.checkpoint())
    (kept,) = (path for path in folder.rglob("*") if path.is_file())
    assert kept.read_bytes() == log.checkpoint()


def test_others_may_read_what_is_in_a_directory(directory, folder, log):
    directory.publish(log.checkpoint())
    assert stat.S_IMODE((folder / place_of(log.checkpoint())).stat().st_mode) == 0o444


def test_a_share_that_is_not_mounted_is_told_and_not_made(tmp_path, log):
    with pytest.raises(AnchorError, match="mount or make it"):
        DirectoryAnchor("away", tmp_path / "missing").publish(log.checkpoint())
    assert not (tmp_path / "missing").exists()


def test_a_checkpoint_that_vanished_from_a_directory_is_told(directory, folder, log):
    receipt = directory.publish(log.checkpoint())
    (folder / place_of(log.checkpoint())).unlink()
    with pytest.raises(AnchorError, match="cannot be read"):
        directory.verify(receipt)


def test_what_is_no_checkpoint_is_not_published(directory, folder):
    with pytest.raises(AnchorError, match="no checkpoint"):
        directory.publish(b"hello")
    assert list(folder.iterdir()) == []


@given(origin=st.text(st.characters(min_codepoint=33, exclude_categories=["Cs", "Z"]), min_size=1))
def test_no_origin_leads_out_of_the_folder(origin):
    note = f"{origin}\n0\n{b64encode(EMPTY_ROOT).decode()}\n\n\u2014 x AAAAAAA=\n"
    place = place_of(note.encode())
    assert place == f"{sha256(origin.encode()).hexdigest()}/{0:020d}.checkpoint"


# Git


def git(path, *words):
    ran = subprocess.run(["git", "-C", path, *words], check=True, capture_output=True, text=True)
    return ran.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path / "repository"], check=True)
    return tmp_path / "repository"


@pytest.fixture
def remote(tmp_path, repository):
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "remote.git"], check=True)
    git(repository, "remote", "add", "origin", tmp_path / "remote.git")
    return tmp_path / "remote.git"


def test_a_repository_gets_a_commit_for_each_checkpoint(repository, log):
    anchor = GitAnchor("git", repository)
    for size in (8, 40, 40):
        anchor.verify(anchor.publish(log.checkpoint(size)))
    assert git(repository, "log", "--reverse", "--format=%an: %s").splitlines() == [
        "doctrail: Checkpoint 8 of ledger.example/rag",
        "doctrail: Checkpoint 40 of ledger.example/rag",
    ]
    assert list(anchor.held(ORIGIN)) == [log.checkpoint(8), log.checkpoint(40)]


def test_a_repository_without_commits_holds_nothing(repository):
    assert list(GitAnchor("git", repository).held(ORIGIN)) == []


def test_commits_reach_the_remote_and_are_looked_up_there(repository, remote, log):
    anchor = GitAnchor("git", repository, "origin")
    receipt = anchor.publish(log.checkpoint())
    assert git(remote, "rev-list", "--all") == receipt.where.removeprefix("origin ")
    anchor.verify(receipt)


def test_a_history_that_was_rewritten_at_the_remote_is_told(repository, remote, log):
    anchor = GitAnchor("git", repository, "origin")
    receipt = anchor.publish(log.checkpoint())
    anchor.publish(log.checkpoint(8))
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    branch = git(repository, "rev-parse", "--abbrev-ref", "HEAD")
    orphan = git(repository, *who, "commit-tree", f"{branch}^{{tree}}", "-m", "squashed")
    git(repository, "push", "-q", "--force", "origin", f"{orphan}:refs/heads/{branch}")
    git(remote, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
    with pytest.raises(AnchorError, match="merge-base"):
        anchor.verify(receipt)


def test_a_push_that_fails_is_made_up_for_by_the_next_one(repository, remote, tmp_path, log):
    anchor = GitAnchor("git", repository, "origin")
    remote.rename(tmp_path / "gone")
    with pytest.raises(AnchorError, match="git push failed"):
        anchor.publish(log.checkpoint(8))
    (tmp_path / "gone").rename(remote)
    anchor.publish(log.checkpoint(40))
    assert len(git(remote, "rev-list", "--all").splitlines()) == 2


def test_a_checkpoint_that_was_replaced_in_a_repository_is_refused(repository, log, forged):
    anchor = GitAnchor("git", repository)
    anchor.publish(log.checkpoint())
    (repository / place_of(log.checkpoint())).unlink()
    with pytest.raises(ContradictionError):
        anchor.publish(forged.checkpoint())


def test_a_repository_gives_back_what_was_replaced_in_its_history(repository, log, forged):
    anchor = GitAnchor("git", repository)
    anchor.publish(log.checkpoint())
    path = repository / place_of(log.checkpoint())
    path.chmod(0o644)
    path.write_bytes(forged.checkpoint())
    git(repository, "-c", "user.name=x", "-c", "user.email=x@y.z", "commit", "-qam", "typo")
    assert list(anchor.held(ORIGIN)) == [log.checkpoint(), forged.checkpoint()]


def test_a_folder_without_a_repository_is_told(tmp_path, log):
    with pytest.raises(AnchorError, match="not a git repository"):
        GitAnchor("git", tmp_path).publish(log.checkpoint())


def test_a_hook_of_another_repository_does_not_lead_astray(repository, log, monkeypatch, tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path / "other"], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    GitAnchor("git", repository).publish(log.checkpoint())
    monkeypatch.delenv("GIT_DIR")
    assert git(repository, "log", "--format=%s") == "Checkpoint 40 of ledger.example/rag"


# S3


@pytest.fixture
def store(monkeypatch):
    """The object store of moto, in this process: it keeps versions and locks as S3 does."""
    boto3 = pytest.importorskip("boto3", reason="the s3 extra is not installed")
    moto = pytest.importorskip("moto")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with moto.mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        client.create_bucket(Bucket="plain")
        yield client


def test_a_bucket_holds_every_checkpoint_under_lock(store, log):
    anchor = S3Anchor("s3", "locked", prefix="audit/", retain_days=400)
    given = [log.checkpoint(size) for size in (8, 40)]
    for checkpoint in given:
        receipt = anchor.publish(checkpoint)
        anchor.verify(receipt)
    assert list(anchor.held(ORIGIN)) == given
    key = receipt.where.removeprefix("s3://locked/")
    version = store.list_object_versions(Bucket="locked", Prefix=key)["Versions"][0]["VersionId"]
    with pytest.raises(store.exceptions.ClientError, match="AccessDenied"):
        store.delete_object(Bucket="locked", Key=key, VersionId=version)


def test_a_bucket_never_replaces_what_it_holds(store, log, forged):
    anchor = S3Anchor("s3", "plain")
    anchor.publish(log.checkpoint())
    anchor.publish(log.checkpoint())
    with pytest.raises(ContradictionError):
        anchor.publish(forged.checkpoint())
    assert list(anchor.held(ORIGIN)) == [log.checkpoint()]


def test_of_two_that_write_at_once_the_first_stays(store, log, forged, monkeypatch):
    anchor, kept = S3Anchor("s3", "plain"), S3Anchor._kept
    other = S3Anchor("s3", "plain")

    def late(self, key):
        if self is anchor and not list(other.held(ORIGIN)):
            other.publish(forged.checkpoint())
            return None
        return kept(self, key)

    monkeypatch.setattr(S3Anchor, "_kept", late)
    with pytest.raises(ContradictionError):
        anchor.publish(log.checkpoint())
    assert list(other.held(ORIGIN)) == [forged.checkpoint()]


def test_a_bucket_gives_back_what_was_replaced_there(store, log, forged):
    anchor = S3Anchor("s3", "locked")
    receipt = anchor.publish(log.checkpoint())
    key = receipt.where.removeprefix("s3://locked/")
    store.put_object(Bucket="locked", Key=key, Body=forged.checkpoint())
    assert set(anchor.held(ORIGIN)) == {log.checkpoint(), forged.checkpoint()}
    with pytest.raises(ContradictionError):
        anchor.verify(receipt)


def test_a_bucket_without_object_lock_is_told(store, log):
    anchor = S3Anchor("s3", "plain", retain_days=1)
    with pytest.raises(AnchorError, match=r"Object ?Lock"):
        anchor.verify(anchor.publish(log.checkpoint()))


def test_a_bucket_that_is_not_there_is_told(store, log):
    with pytest.raises(AnchorError, match="NoSuchBucket"):
        S3Anchor("s3", "missing").publish(log.checkpoint())


def test_a_checkpoint_that_vanished_from_a_bucket_is_told(store, log):
    anchor = S3Anchor("s3", "plain")
    receipt = anchor.publish(log.checkpoint())
    store.delete_object(Bucket="plain", Key=receipt.where.removeprefix("s3://plain/"))
    with pytest.raises(AnchorError, match="not there any more"):
        anchor.verify(receipt)


def test_without_boto3_it_is_told_what_to_install(log, monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(AnchorError, match=r"pip install 'doctrail-core\[s3\]'"):
        S3Anchor("s3", "plain").publish(log.checkpoint())


# A time-stamp authority


@pytest.fixture
def stamper(stamping, authority):
    """The anchor, while the authority is served; see `stamping`."""

    @contextmanager
    def serving(*args, **kwargs):
        with stamping(*args, **kwargs) as url:
            yield Rfc3161Anchor("tsa", url, roots=authority / "ca.pem")

    return serving


def test_an_authority_stamps_a_checkpoint_with_the_time(stamper, log):
    with stamper() as anchor:
        receipt = anchor.publish(log.checkpoint())
    assert abs(receipt.time - datetime.now(UTC)) < timedelta(minutes=5)
    anchor.verify(receipt)
    assert list(anchor.held(ORIGIN)) == []


def test_openssl_agrees_that_the_token_is_of_the_checkpoint(
    openssl, stamper, authority, log, tmp_path
):
    with stamper() as anchor:
        receipt = anchor.publish(log.checkpoint())
    (tmp_path / "data").write_bytes(receipt.checkpoint)
    (tmp_path / "token").write_bytes(receipt.evidence)
    known = ("-data", str(tmp_path / "data"), "-in", str(tmp_path / "token"), "-CAfile", "ca.pem")
    openssl(authority, "ts", "-verify", *known)


def test_a_token_is_of_no_other_checkpoint_and_no_other_time(stamper, log, forged):
    with stamper() as anchor:
        receipt = anchor.publish(log.checkpoint())
    with pytest.raises(AnchorError, match="does not hold"):
        anchor.verify(replace(receipt, checkpoint=forged.checkpoint()))
    with pytest.raises(AnchorError, match="the receipt of"):
        anchor.verify(replace(receipt, time=receipt.time - timedelta(days=1)))


def test_an_old_reply_is_not_taken_for_a_new_one(openssl, stamper, authority, log, tmp_path):
    (tmp_path / "data").write_bytes(log.checkpoint())
    asked = ("-data", str(tmp_path / "data"), "-sha256", "-cert", "-out", str(tmp_path / "old"))
    openssl(authority, "ts", "-query", *asked)
    with (
        stamper(swap=(tmp_path / "old").read_bytes()) as anchor,
        pytest.raises(AnchorError, match="Nonce"),
    ):
        anchor.publish(log.checkpoint())


def test_an_authority_that_nobody_chose_is_not_believed(openssl, stamper, authority, log, tmp_path):
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-x509")
    other = ("-subj", "/CN=Test CA", "-keyout", str(tmp_path / "k"), "-out", str(tmp_path / "o"))
    openssl(authority, *new, "-config", "tsa.cnf", "-extensions", "ca", *other)
    with stamper() as anchor:
        receipt = anchor.publish(log.checkpoint())
    with pytest.raises(AnchorError, match="does not hold"):
        Rfc3161Anchor("tsa", "http://tsa.example", roots=tmp_path / "o").verify(receipt)


def test_a_reply_whose_certificates_are_not_in_order_is_told_and_can_be_had_without(
    stamper, authority, log
):
    with stamper("chain.cnf") as anchor:
        with pytest.raises(AnchorError, match="`certificate`"):
            anchor.publish(log.checkpoint())
        roots, own = authority / "ca.pem", authority / "tsa.pem"
        without = Rfc3161Anchor("tsa", anchor._url, roots=roots, certificate=own)
        without.verify(without.publish(log.checkpoint()))


def test_an_authority_that_refuses_is_told(served, authority, log):
    with served(lambda *_: (503, "text/plain", b"come back later")) as url:
        anchor = Rfc3161Anchor("tsa", url, roots=authority / "ca.pem")
        with pytest.raises(AnchorError, match="503 come back later"):
            anchor.publish(log.checkpoint())


def test_certificates_that_cannot_be_read_are_told(authority, served, log, tmp_path):
    (tmp_path / "roots.pem").write_text("nothing")
    with served(lambda *_: (200, "", b"0\x030\x01\x00")) as url:
        for roots in ("roots.pem", "missing.pem"):
            anchor = Rfc3161Anchor("tsa", url, roots=tmp_path / roots)
            with pytest.raises(AnchorError, match=r"PEM|cannot be read"):
                anchor.publish(log.checkpoint())


# A witness


@pytest.fixture
def witness(make_witness):
    return make_witness(KEY.verifier)


@pytest.fixture
def witnessed(served, witness, log):
    with served(witness) as url:

        def anchor(of=log, **options):
            known = {"keys": [witness.key.verifier], "consistency": of.consistency}
            return WitnessAnchor("w1", url, **(known | {"monitoring": url} | options))

        yield anchor


def test_a_witness_cosigns_a_log_that_grows(witnessed, witness, log):
    anchor = witnessed()
    for size in (0, 8, 8, 21, 40):
        receipt = anchor.publish(log.checkpoint(size))
        anchor.verify(receipt)
    assert witness.asked == ["old 0", "old 0", "old 8", "old 8", "old 21"]
    assert receipt.time == datetime.fromtimestamp(witness.time, UTC)
    assert receipt.evidence.startswith("\u2014 witness.example/w1 ".encode())


def test_a_witness_that_knows_more_says_so_and_gets_the_proof(witnessed, witness, log):
    witnessed().publish(log.checkpoint(8))
    witnessed().publish(log.checkpoint(40))
    assert witness.asked == ["old 0", "old 0", "old 8"]


def test_a_witness_does_not_cosign_what_was_rewritten(witnessed, log, forged):
    witnessed().publish(log.checkpoint())
    forged.grow(5)
    with pytest.raises(ContradictionError, match="rewritten"):
        witnessed(forged).publish(forged.checkpoint())
    with pytest.raises(ContradictionError, match="rewritten"):
        witnessed(forged).publish(forged.checkpoint(40))


def test_a_witness_does_not_cosign_what_was_cut_back(witnessed, log):
    anchor = witnessed()
    anchor.publish(log.checkpoint())
    with pytest.raises(ContradictionError, match="cut back"):
        anchor.publish(log.checkpoint(8))


def test_the_latest_that_a_witness_cosigned_can_be_had_from_it(witnessed, witness, log):
    assert list(witnessed().held(ORIGIN)) == []
    witnessed().publish(log.checkpoint())
    (held,) = witnessed().held(ORIGIN)
    assert read_note(held).signed_by(KEY.verifier, witness.key.verifier)
    assert list(witnessed(monitoring=None).held(ORIGIN)) == []


def test_a_witness_may_cosign_with_ml_dsa(witnessed, witness, log):
    mldsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mldsa")
    private = mldsa.MLDSA44PrivateKey.generate()
    key = VerifierKey("witness.example/pq", 6, private.public_key().public_bytes_raw())
    assert VerifierKey.parse(str(key)) == key

    def sign(text, *, time):
        # cosigned_message of c2sp.org/tlog-cosignature: label, cosigner, time, origin, start, end, hash
        origin, size, root, _ = text.split("\n")
        told = b"subtree/v1\n\0" + bytes([len(key.name)]) + key.name.encode()
        told += time.to_bytes(8) + bytes([len(origin)]) + origin.encode()
        told += (0).to_bytes(8) + int(size).to_bytes(8) + b64decode(root)
        return Signature(key.name, key.key_id, time.to_bytes(8) + private.sign(told))

    witness.key = SimpleNamespace(sign=sign, verifier=key)
    anchor = witnessed()
    receipt = anchor.publish(log.checkpoint())
    anchor.verify(receipt)
    moved = replace(receipt, checkpoint=log.checkpoint(21))
    with pytest.raises(AnchorError, match="no cosignature"):
        anchor.verify(moved)


def test_a_cosignature_by_somebody_else_counts_for_nothing(witnessed, witness, log):
    receipt = witnessed().publish(log.checkpoint())
    stranger = SigningKey("witness.example/w1", b"x" * 32, COSIGNATURE)
    other = witnessed(keys=[stranger.verifier])
    with pytest.raises(AnchorError, match="without a cosignature"):
        other.publish(log.checkpoint())
    with pytest.raises(AnchorError, match="without a cosignature"):
        other.verify(receipt)


@pytest.mark.parametrize(
    ("status", "content_type", "body", "told"),
    [
        (200, "text/plain", b"", "no cosignature"),
        (200, "text/plain", b"hello\n", "no cosignature"),
        (403, "text/plain", b"who are you?", "403 who are you"),
        (404, "text/plain", b"unknown", "404 unknown"),
        (409, "text/plain", b"8\n", "without a size"),
        (409, "text/x.tlog.size", b"many\n", "without a size"),
        (301, "text/plain", b"moved", "301 moved"),
        (200, "text/plain", b"x" * (1 << 20) + b"xx", "more than"),
    ],
)
def test_a_witness_that_does_not_follow_the_protocol_is_told(
    served, make_witness, log, status, content_type, body, told
):
    key = make_witness(KEY.verifier).key.verifier
    with served(lambda *_: (status, content_type, body)) as url:
        anchor = WitnessAnchor("w", url, keys=[key], consistency=log.consistency)
        with pytest.raises(AnchorError, match=told):
            anchor.publish(log.checkpoint())


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://127.0.0.1:1", "nonsense"])
def test_an_address_that_nobody_answers_at_is_told(log, url):
    anchor = WitnessAnchor("w", url, keys=[], consistency=log.consistency)
    with pytest.raises(AnchorError, match=r"no http or https|does not answer"):
        anchor.publish(log.checkpoint())


# All of an installation


@pytest.fixture
def configure(home):
    def write(*anchors):
        (home.path / "audit").mkdir(parents=True, exist_ok=True)
        config = {"origin": ORIGIN, "anchors": list(anchors)}
        (home.path / "audit" / "config.json").write_text(json.dumps(config))

    return write


@pytest.fixture
def away(folder, configure):
    """An installation with an anchor that works, and one that does not."""
    configure(
        {"kind": "directory", "name": "share", "path": str(folder)},
        {"kind": "directory", "name": "lost", "path": str(folder / "missing")},
    )
    return folder


def test_an_installation_without_anchors_publishes_nowhere(home, log):
    assert publish_all(home, log.checkpoint()) == []
    assert failing(home) == []
    assert list(confirm(home, KEY.verifier, 40, log.root)) == []


def test_one_that_fails_keeps_no_other_from_its_checkpoint(home, away, log):
    (receipt,) = publish_all(home, log.checkpoint())
    assert receipt.anchor == "share"
    assert list(receipts(home)) == [receipt]
    (failure,) = failing(home)
    assert (failure.anchor, failure.count, failure.contradiction) == ("lost", 1, False)
    assert "mount or make it" in failure.error


def test_one_that_failed_gets_the_next_checkpoint_and_is_well_again(home, away, log):
    publish_due(home, log.checkpoint(8))
    publish_due(home, log.checkpoint(21))
    (failure,) = failing(home)
    assert failure.count == 2
    (away / "missing").mkdir()
    taken = publish_due(home, log.checkpoint(40))
    assert [each.anchor for each in taken] == ["lost"]
    assert failing(home) == []
    assert list((away / "missing").rglob("*.checkpoint")) == [
        away / "missing" / place_of(log.checkpoint(40))
    ]


def test_an_anchor_gets_no_more_checkpoints_than_it_is_configured_for(home, folder, configure, log):
    configure({"kind": "directory", "path": str(folder), "every": 3600})
    assert len(publish_due(home, log.checkpoint(8))) == 1
    assert publish_due(home, log.checkpoint(21)) == []
    configure({"kind": "directory", "path": str(folder), "every": 0})
    assert len(publish_due(home, log.checkpoint(40))) == 1


def test_anchors_confirm_a_log_that_only_grew(home, folder, configure, log):
    configure({"kind": "directory", "path": str(folder)})
    for size in (8, 21):
        publish_all(home, log.checkpoint(size))
    (finding,) = confirm(home, KEY.verifier, 40, log.root)
    assert (finding.compared, finding.trouble) == (2, None)


def test_anchors_find_a_log_that_was_rewritten_or_cut_back(home, folder, configure, log, forged):
    configure({"kind": "directory", "path": str(folder)})
    publish_all(home, log.checkpoint())
    (changed,) = confirm(home, KEY.verifier, 40, forged.root)
    assert changed.contradiction
    assert "changed, removed or inserted" in changed.trouble
    (cut,) = confirm(home, KEY.verifier, 30, log.root)
    assert cut.contradiction
    assert "entries were removed" in cut.trouble


def test_what_a_stranger_left_at_an_anchor_accuses_nobody(home, folder, configure, log, forged):
    configure({"kind": "directory", "path": str(folder)})
    stranger = SigningKey(ORIGIN, b"s" * 32)
    note = signed(Checkpoint(ORIGIN, 7, forged.root(7)), stranger)
    DirectoryAnchor("x", folder).publish(str(note).encode())
    (finding,) = confirm(home, KEY.verifier, 40, log.root)
    assert not finding.contradiction
    assert "not of this log" in finding.trouble


def test_a_contradiction_is_kept_in_mind_as_one(home, folder, configure, log, forged):
    configure({"kind": "directory", "path": str(folder)})
    publish_all(home, log.checkpoint())
    assert publish_all(home, forged.checkpoint()) == []
    (failure,) = failing(home)
    assert failure.contradiction


def test_a_receipt_that_a_power_cut_tore_harms_no_other(home, folder, configure, log):
    configure({"kind": "directory", "path": str(folder)})
    publish_all(home, log.checkpoint(8))
    kept = home.path / "audit" / "anchors" / "directory.jsonl"
    kept.write_bytes(kept.read_bytes() + b'{"anchor": "dir')
    assert len(list(receipts(home))) == 1
    publish_all(home, log.checkpoint(40))
    assert [each.checkpoint for each in receipts(home)] == [log.checkpoint(8), log.checkpoint(40)]


@given(fields=st.tuples(st.text(), st.text(), st.datetimes(), st.text(), st.binary()))
def test_a_receipt_reads_back_as_it_was(fields):
    anchor, kind, time, where, evidence = fields
    receipt = AnchorReceipt(anchor, kind, time.replace(tzinfo=UTC), b"text\n", where, evidence)
    assert AnchorReceipt.from_json(receipt.to_json()) == receipt


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("nonsense", "no JSON object"),
        ("[]", "no JSON object"),
        ('{"anchors": {}}', "must be a list"),
        ('{"anchors": ["x"]}', r"anchors\[0\] must be an object"),
        ('{"anchors": [{}]}', "lacks 'kind'"),
        ('{"anchors": [{"kind": "moon"}]}', "must be one of directory, s3, git, rfc3161, witness"),
        ('{"anchors": [{"kind": "directory"}]}', "lacks 'path'"),
        ('{"anchors": [{"kind": "directory", "path": 3}]}', "path must be a text"),
        ('{"anchors": [{"kind": "directory", "path": "x", "name": "../x"}]}', "letters, digits"),
        ('{"anchors": [{"kind": "directory", "path": "x", "evry": 5}]}', "'evry' means nothing"),
        ('{"anchors": [{"kind": "directory", "path": "x", "every": "5"}]}', "must be a number"),
        ('{"anchors": [{"kind": "git", "path": "x"}, {"kind": "git", "path": "y"}]}', "called git"),
        ('{"anchors": [{"kind": "s3", "bucket": "x", "mode": "HOPE"}]}', "COMPLIANCE, GOVERNANCE"),
        ('{"anchors": [{"kind": "witness", "url": "x", "keys": "x"}]}', "NAME"),
        ('{"anchors": [{"kind": "witness", "url": "x"}]}', "a list of texts"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_told(home, config, told):
    (home.path / "audit").mkdir(parents=True)
    (home.path / "audit" / "config.json").write_text(config)
    with pytest.raises(AnchorError, match=told):
        failing(home)


def test_a_witness_is_configured_by_the_keys_it_cosigns_with(home, configure, witness):
    wrong = VerifierKey(ORIGIN, 1, KEY.verifier.public)
    configure({"kind": "witness", "url": "http://x", "keys": [str(wrong)]})
    with pytest.raises(AnchorError, match="of type 4 or 6"):
        failing(home)
    configure(
        {"kind": "witness", "url": "http://x", "keys": str(witness.key.verifier)},
        {"kind": "rfc3161", "url": "http://x", "roots": "a.pem", "certificate": "b.pem"},
        {"kind": "s3", "bucket": "b", "prefix": "p/", "endpoint": "http://x", "retain_days": 9},
    )
    assert failing(home) == []


# In a bundle


def test_what_anchors_gave_checks_with_common_tools(
    home, configure, folder, stamping, authority, openssl, served, witness, log, tmp_path
):
    with stamping() as tsa, served(witness) as url:
        configure(
            {"kind": "directory", "path": str(folder)},
            {"kind": "rfc3161", "url": tsa, "roots": str(authority / "ca.pem")},
            {"kind": "witness", "url": url, "keys": str(witness.key.verifier)},
        )
        for size in (8, 21):
            publish_all(home, log.checkpoint(size))
    assert [head(receipt.checkpoint).size for receipt in latest(home, 20)] == [8, 8, 8]
    assert latest(home, 7) == []
    packed = tmp_path / "anchors"
    pack(packed, latest(home, 40))
    data, token = str(packed / "rfc3161.checkpoint"), str(packed / "rfc3161.tsr")
    openssl(authority, "ts", "-verify", "-data", data, "-in", token, "-CAfile", "ca.pem")
    parts = (packed / "witness.checkpoint", packed / "witness.cosignatures")
    note = read_note(b"".join(part.read_bytes() for part in parts))
    assert len(note.signed_by(KEY.verifier, witness.key.verifier)) == 2
    assert (packed / "directory.checkpoint").read_bytes() == log.checkpoint(21)
    assert str(folder) in (packed / "README.txt").read_text()


def test_a_bundle_without_anchors_has_no_folder_for_them(home, tmp_path):
    pack(tmp_path / "anchors", latest(home, 40))
    assert not (tmp_path / "anchors").exists()
