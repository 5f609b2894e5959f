"""Signed notes, checkpoints, cosignatures and proofs, as c2sp.org and Go's tools read and write them."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doctrail_core.audit.checkpoint import Checkpoint, Proof, checkpoint_of, signed
from doctrail_core.audit.note import (
    COSIGNATURE,
    Note,
    NoteError,
    Signature,
    SigningKey,
    VerifierKey,
    read_note,
)
from doctrail_core.ledger.tree import Frontier, inclusion, leaf_hash, subtree_of

# The example of c2sp.org/signed-note.
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = """\
This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
# The example of golang.org/x/mod/sumdb/note.
GO_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"  # noqa: S105  # published
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
GO_NOTE = f"""\
{GO_TEXT}
— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""
# A checkpoint of a log in use: Go's checksum database.
SUM_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUM_NOTE = """\
go.sum database tree
35225469
vt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=

— sum.golang.org Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLAyaKbbTM75QTtPydhKCExixSfwQ=
"""
# The example of c2sp.org/tlog-cosignature, whose keys are not published.
COSIGNED = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""
QUASIMODO = """\
Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
"""
LINE = SPEC_NOTE.splitlines(keepends=True)[-1]


@pytest.fixture(scope="module")
def key():
    return SigningKey.generate("log.example/rag")


@pytest.mark.parametrize(
    ("note", "vkey"), [(SPEC_NOTE, SPEC_KEY), (GO_NOTE, GO_KEY), (SUM_NOTE, SUM_KEY)]
)
def test_published_notes_verify_with_their_keys(note, vkey):
    known = VerifierKey.parse(vkey)
    assert [found for found, _ in read_note(note).signed_by(known)] == [known]
    assert str(known) == vkey


@pytest.mark.parametrize("note", [SPEC_NOTE, GO_NOTE, SUM_NOTE, COSIGNED, QUASIMODO])
def test_a_note_is_written_as_it_was_read(note):
    assert str(read_note(note)) == note
    assert str(read_note(note.encode())) == note


def test_a_key_of_gos_tools_signs_the_note_that_they_sign():
    secret = SigningKey.parse(GO_SECRET)
    assert str(Note(GO_TEXT, (secret.sign(GO_TEXT),))) == GO_NOTE
    assert str(secret.verifier) == GO_KEY
    assert secret.reveal() == GO_SECRET


def test_a_private_key_is_not_shown_by_accident(key):
    assert key.seed.hex() not in repr(key)
    assert base64.b64encode(key.seed).decode() not in repr(key)
    assert "seed" not in repr(key)


def test_the_text_ends_at_the_last_empty_line():
    assert read_note(QUASIMODO).text.endswith("sole:\n\ned è subito sera.\n")


def test_a_changed_text_is_refused():
    with pytest.raises(NoteError, match=r"'example\.com/foo' is not by that key"):
        read_note(SPEC_NOTE.replace("an example", "no example")).signed_by(
            VerifierKey.parse(SPEC_KEY)
        )


def test_signatures_of_unknown_keys_are_passed_over():
    note = read_note(SPEC_NOTE + GO_NOTE.splitlines(keepends=True)[-1])
    assert note.signed_by(VerifierKey.parse(SUM_KEY)) == []
    assert len(note.signed_by(VerifierKey.parse(SPEC_KEY))) == 1


def test_a_known_name_with_an_unknown_id_is_passed_over(key):
    other = SigningKey.generate(key.name)
    note = Note("a text\n", (other.sign("another text\n"), key.sign("a text\n")))
    assert [found for found, _ in note.signed_by(key.verifier)] == [key.verifier]


def test_a_note_with_a_wrong_signature_of_a_known_key_is_refused_as_a_whole(key):
    friend = SigningKey.generate("friend")
    note = Note("a text\n", (key.sign("a text\n"), friend.sign("another\n")))
    with pytest.raises(NoteError, match="friend"):
        note.signed_by(key.verifier, friend.verifier)


def test_many_signatures_are_accepted_and_boundless_ones_are_not(key):
    lines = str(key.sign("a text\n"))
    assert len(read_note(f"a text\n\n{lines * 100}").signed_by(key.verifier)) == 1
    with pytest.raises(NoteError, match="more than 100"):
        read_note(f"a text\n\n{lines * 101}")


@pytest.mark.parametrize(
    "note",
    [
        "",
        "a text\n",
        "a text\n\n",
        "\n\n",
        "a text\n\nno signature\n",
        f"a text\n{LINE}",
        f"a text\n\n{LINE[:-1]}",
        f"a text\n\n{LINE}\n",
        f"a\ttext\n\n{LINE}",
        f"a text\r\n\n{LINE}",
        "a text\n\n— a+b AAAAAAAA\n",
        "a text\n\n— a\u00a0b AAAAAAAA\n",
        "a text\n\n—  AAAAAAAA\n",
        "a text\n\n— a AAAAAA==\n",
        "a text\n\n— a AAAAAAB=\n",
        "a text\n\n— a AAAAAAA\n",
        "a text\n\n— a AAAA AAAA\n",
        "a text\n\n- a AAAAAAAA\n",
        f"{'a' * (1 << 20)}\n\n{LINE}",
    ],
)
def test_what_is_no_note_is_refused(note):
    with pytest.raises(NoteError):
        read_note(note)


def test_bytes_that_are_no_text_are_no_note():
    with pytest.raises(NoteError, match="UTF-8"):
        read_note(b"\xff\n\n" + LINE.encode())


@given(st.text() | st.builds("{}\n\n{}".format, st.text(), st.text()))
@example("a\n\n— a AAAAAAAA\n")
def test_whatever_is_read_as_a_note_is_written_back_unchanged(text):
    try:
        note = read_note(text)
    except NoteError:
        return
    assert str(note) == text


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "example.com/foo",
        SPEC_KEY.replace("530d903a", "530d903b"),
        SPEC_KEY.replace("530d903a", "530D903A"),
        SPEC_KEY.replace("foo", "bar"),
        SPEC_KEY[:-4],
        SPEC_KEY.replace("+Ae", "+Be"),
        f"has space{SPEC_KEY}",
    ],
)
def test_what_is_no_key_is_refused(vkey):
    with pytest.raises(NoteError):
        VerifierKey.parse(vkey)


@pytest.mark.parametrize("secret", ["", GO_KEY, GO_SECRET[:-4], GO_SECRET.replace("c7", "c8")])
def test_what_is_no_private_key_is_refused(secret):
    with pytest.raises(NoteError):
        SigningKey.parse(secret)


@pytest.mark.parametrize("name", ["", "with space", "with+plus", "with\u2003space", "a\nb"])
def test_a_key_needs_a_name_that_notes_can_hold(name):
    with pytest.raises(NoteError):
        SigningKey.generate(name)


def test_a_checkpoint_in_use_is_read():
    found = checkpoint_of(read_note(SUM_NOTE), VerifierKey.parse(SUM_KEY))
    assert (found.origin, found.size) == ("go.sum database tree", 35225469)
    assert found.root.hex().startswith("bede53e8668b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n",
        "origin\n5\n",
        "origin\n5\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=",
        "\n5\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n",
        "origin\n05\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n",
        "origin\n-5\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n",
        "origin\n\u0665\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n",
        f"origin\n{1 << 63}\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n",
        f"origin\n{'9' * 5000}\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n",
        "origin\n5\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJA==\n",
        "origin\n5\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n\nextension\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


def test_a_checkpoint_is_written_as_it_was_read():
    text = read_note(COSIGNED).text
    assert str(Checkpoint.parse(text)) == text
    extended = f"{text}an extension\n"
    assert Checkpoint.parse(extended).extensions == ("an extension",)
    assert str(Checkpoint.parse(extended)) == extended


def test_a_checkpoint_counts_only_if_the_logs_key_signed_it(key):
    checkpoint = Checkpoint(key.name, 3, bytes(32))
    assert checkpoint_of(signed(checkpoint, key), key.verifier) == checkpoint
    with pytest.raises(NoteError, match="not signed"):
        checkpoint_of(Note(str(checkpoint)), key.verifier)
    with pytest.raises(NoteError, match="not signed"):
        checkpoint_of(signed(checkpoint, SigningKey.generate("stranger")), key.verifier)


def test_a_witnesss_line_is_framed_as_the_published_one_is():
    _, witness = read_note(COSIGNED).signatures
    assert witness.cosigned_at == 1679315147
    assert len(witness.value) == 72


def test_a_cosignature_counts_for_the_text_and_time_that_it_states(key):
    witness = SigningKey.generate("witness.example/w1", COSIGNATURE)
    note = signed(Checkpoint(key.name, 3, bytes(32)), key)
    cosigned = note.with_signatures(witness.sign(note.text, time=1679315147))
    ((_, made),) = read_note(str(cosigned)).signed_by(witness.verifier)
    assert made.cosigned_at == 1679315147
    assert checkpoint_of(cosigned, key.verifier).size == 3
    moved = Signature(made.name, made.key_id, (1).to_bytes(8) + made.value[8:])
    with pytest.raises(NoteError, match="witness"):
        note.with_signatures(moved).signed_by(witness.verifier)


def test_the_same_key_is_another_one_as_a_witness(key):
    witness = SigningKey(key.name, key.seed, COSIGNATURE)
    assert witness.verifier.key_id != key.verifier.key_id
    assert VerifierKey.parse(str(witness.verifier)) == witness.verifier
    note = signed(Checkpoint(key.name, 3, bytes(32)), key)
    assert note.signed_by(witness.verifier) == []


@pytest.mark.parametrize("value", [b"", b"1234567", bytes(8), b"\xff" * 72])
def test_a_cosignature_that_is_none_is_refused(key, value):
    witness = SigningKey.generate("w", COSIGNATURE).verifier
    note = signed(Checkpoint(key.name, 3, bytes(32)), key)
    with pytest.raises(NoteError):
        note.with_signatures(Signature("w", witness.key_id, value)).signed_by(witness)


def test_a_cosignature_states_a_time():
    with pytest.raises(NoteError, match="time"):
        SigningKey.generate("w", COSIGNATURE).sign("a text\n")


@pytest.fixture
def proof(key):
    leaves = [leaf_hash(each) for each in (b"a", b"b", b"c")]
    frontier = Frontier()
    frontier.append_all(leaves)
    hashes = inclusion(2, 3, subtree_of(lambda _, first, last: leaves[first:last]))
    note = signed(Checkpoint(key.name, 3, frontier.root()), key)
    return Proof(2, tuple(hashes), note, b"c")


def test_a_proof_is_read_as_it_was_written_and_shows_its_entry(proof, key):
    again = Proof.parse(str(proof))
    assert again == proof
    assert str(proof).splitlines()[:3] == ["c2sp.org/tlog-proof@v1", "extra Yw==", "index 2"]
    assert again.shows(b"c", key.verifier)
    assert not again.shows(b"d", key.verifier)


def test_a_proof_without_extra_data_or_hashes_is_one(key):
    note = signed(Checkpoint(key.name, 1, leaf_hash(b"a")), key)
    proof = Proof(0, (), note)
    assert str(proof) == f"c2sp.org/tlog-proof@v1\nindex 0\n\n{note}"
    assert Proof.parse(str(proof).encode()).shows(b"a", key.verifier)


def test_a_proof_under_another_key_shows_nothing(proof):
    with pytest.raises(NoteError, match="not signed"):
        proof.shows(b"c", SigningKey.generate("other").verifier)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("@v1", "@v2"),
        ("index 2", "index 02"),
        ("index 2\n", ""),
        ("extra Yw==", "extra Yw"),
        ("\n\nlog", "\nlog"),
        ("index 2\n", "index 2\nAAAA\n"),
    ],
)
def test_what_is_no_proof_is_refused(proof, part, other):
    assert part in str(proof)
    with pytest.raises(NoteError):
        Proof.parse(str(proof).replace(part, other, 1))


def test_bytes_that_are_no_text_are_no_proof():
    with pytest.raises(NoteError, match="UTF-8"):
        Proof.parse(b"c2sp.org/tlog-proof@v1\n\xff")
