"""Random installations: exactly what must be gone is gone from every file, and nothing else is."""

import string
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from doctrail_core.capture.redaction import redact
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.erasure.erasing import erase_document, erase_user
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.trails import open_trails
from doctrail_core.trails.journal import TrailJournal

DOCUMENTS = [f"doc-{letter}" for letter in "abcd"]
USERS = [f"user-{letter}" for letter in "xyz"]


def text_of(document_id):
    """Words that no other document has."""
    letter = document_id[-1]
    return " ".join(
        f"{letter}{word}{letter}" for word in ("one", "two", "three", "four", "five", "six")
    )


def question_of(number):
    letter = string.ascii_uppercase[number]
    return " ".join(letter * 3 + str(n) for n in range(7))


trails = st.lists(
    st.fixed_dictionaries(
        {
            "documents": st.lists(st.sampled_from(DOCUMENTS), min_size=1, max_size=3, unique=True),
            "user": st.sampled_from([*USERS, None]),
            "session": st.sampled_from(["s1", "s2", None]),
            "content": st.sampled_from(["full", "full", "hash", "ids"]),
        }
    ),
    min_size=1,
    max_size=7,
)


def recorded_in(home, described, make_trail):
    ledger, store = LedgerJournal(home, Faults(home)), TrailJournal(home, Faults(home))
    made = []
    for number, each in enumerate(described):
        whose = each["user"]
        trail = make_trail(
            f"answer-{number}-of-{whose}",
            texts={document: text_of(document) for document in each["documents"]},
            question=question_of(number),
            answer=f"Said {number}.",
            user_id=whose,
            session_id=each["session"] and f"{each['session']}-of-{whose}",
            minute=number,
        )
        trail = redact(trail, each["content"])
        ledger.append("answered", trail)
        store.append(trail)
        made.append(trail)
    ledger.flush()
    store.flush()
    ledger.close()
    store.close()
    # As the store has them: of a text whose hash alone one of them keeps, another may keep the text.
    with open_trails(home) as kept:
        return [kept.get(trail.response_id) for trail in made]


def everything_below(home):
    return b"".join(path.read_bytes() for path in home.path.rglob("*") if path.is_file())


@settings(max_examples=12, deadline=None)
@given(described=trails, data=st.data())
def test_a_document(make_trail, described, data):
    gone = data.draw(st.sampled_from(sorted({d for each in described for d in each["documents"]})))
    with TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        made = recorded_in(home, described, make_trail)
        with open_ledger(home) as ledger:
            before = list(ledger.bodies())
            hits = [hit.response_id for hit in ledger.affected(Query(document_id=gone))]

        receipt = erase_document(home, gone, reason="-")

        data_left = everything_below(home)
        assert gone.encode() not in data_left
        hashes = {c.content_hash for t in made for c in t.finds if c.document_id == gone} - {None}
        assert not any(each.encode() in data_left for each in hashes)
        for document in DOCUMENTS:
            full = any(
                each["content"] == "full" and document in each["documents"] for each in described
            )
            assert (text_of(document).encode() in data_left) == (full and document != gone)
        with open_ledger(home) as ledger:
            assert list(ledger.bodies(0, len(before))) == before
            assert [h.response_id for h in ledger.affected(Query(document_id=gone))] == hits
            assert receipt.impact.responses == len(hits)
        with open_trails(home) as store:
            for trail, each in zip(made, described, strict=True):
                left = store.get(trail.response_id)
                if gone not in each["documents"]:
                    assert left == trail
                    continue
                assert (left.question, left.answer) == (trail.question, trail.answer)
                kept = [chunk for chunk in trail.finds if chunk.document_id != gone]
                assert [c for c in left.finds if not c.document_id.startswith("erased:")] == kept
                assert len(left.finds) == len(trail.finds)


@settings(max_examples=12, deadline=None)
@given(described=trails, data=st.data())
def test_a_user(make_trail, described, data):
    known = sorted({each["user"] for each in described if each["user"]})
    if not known:
        return
    gone = data.draw(st.sampled_from(known))
    with TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        made = recorded_in(home, described, make_trail)
        with open_ledger(home) as ledger:
            before = list(ledger.bodies())

        receipt = erase_user(home, gone, reason="-")

        data_left = everything_below(home)
        assert gone.encode() not in data_left
        with open_ledger(home) as ledger:
            assert list(ledger.bodies(0, len(before))) == before
        with open_trails(home) as store:
            for number, (trail, each) in enumerate(zip(made, described, strict=True)):
                theirs = each["user"] == gone
                assert store.get(trail.response_id) == (None if theirs else trail)
                asked = question_of(number).encode() in data_left
                assert asked == (each["content"] == "full" and not theirs)
        assert receipt.found["trails"] == sum(each["user"] == gone for each in described)
        kept = [trail for trail in made if trail.user_id != gone]
        needed = {c.document_id for t in kept for c in t.finds if c.text is not None}
        for document in DOCUMENTS:
            assert (text_of(document).encode() in data_left) == (document in needed)
