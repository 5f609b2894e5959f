"""Policies on labelled chunks, and the gate that enforces them."""

import asyncio
import hashlib
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core import Settings
from doctrail_core.access import (
    AccessError,
    AccessPolicy,
    EnginePolicy,
    Gate,
    LabelledChunk,
    LabelPolicy,
    Labels,
    Principal,
    Ruling,
    acting_for,
)
from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.capture.scope import current_principal
from doctrail_core.manual import response, retrieval
from doctrail_core.testing import capture_trails

LABELS = ("public", "internal", "secret")
POLICY = LabelPolicy(LABELS, principals={"ada": "secret"}, roles={"staff": "internal"})


def labelled(label: str | None, name: str = "c1") -> LabelledChunk:
    return LabelledChunk(name, "d1", label)


def released(policy: AccessPolicy, principal: Principal, *labels: str | None) -> list[bool]:
    chunks = [labelled(label, f"c{place}") for place, label in enumerate(labels)]
    return [ruling.allowed for ruling in policy.decide(principal, chunks)]


# Labels and clearances


def test_a_clearance_is_for_its_label_and_those_below_it():
    staff = Principal("bob", roles=("staff",))
    assert released(POLICY, staff, "public", "internal", "secret") == [True, True, False]


def test_the_highest_clearance_counts():
    ada = Principal("ada", roles=("staff",))
    assert released(POLICY, ada, *LABELS) == [True, True, True]


def test_what_has_no_label_or_an_unknown_one_is_released_to_nobody():
    assert released(POLICY, Principal("ada"), None, "Secret", "", "cosmic") == [False] * 4


def test_whoever_has_no_clearance_gets_nothing():
    assert released(POLICY, Principal("eve"), *LABELS) == [False, False, False]
    everybody = LabelPolicy(LABELS, anybody="public")
    assert released(everybody, Principal("eve"), *LABELS) == [True, False, False]


def test_an_id_is_no_role_and_a_role_is_no_id():
    assert released(POLICY, Principal("staff"), "public") == [False]
    assert released(POLICY, Principal("bob", roles=("ada",)), "public") == [False]


@given(st.sampled_from(LABELS), st.lists(st.sampled_from((*LABELS, None, "other"))))
def test_nothing_above_a_clearance_is_ever_released(clearance, labels):
    policy = LabelPolicy(LABELS, principals={"p": clearance})
    for label, allowed in zip(labels, released(policy, Principal("p"), *labels), strict=True):
        expected = label in LABELS and LABELS.index(label) <= LABELS.index(clearance)
        assert allowed == expected


def test_the_policys_hash_is_that_of_its_document():
    assert f"sha256:{hashlib.sha256(POLICY.document).hexdigest()}" == POLICY.policy
    assert json.loads(POLICY.document)["labels"] == list(LABELS)
    again = LabelPolicy(list(LABELS), {"ada": "secret"}, {"staff": "internal"})  # type: ignore[arg-type]  # users pass lists
    assert again.policy == POLICY.policy
    assert LabelPolicy(LABELS).policy != POLICY.policy


def test_a_policy_does_not_change_with_what_it_was_made_of():
    clearances = {"ada": "public"}
    policy = LabelPolicy(LABELS, principals=clearances)
    clearances["eve"] = "secret"
    assert released(policy, Principal("eve"), "public") == [False]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"labels": ("a", "a")}, "a label twice"),
        ({"labels": ("a",), "roles": {"r": "b"}}, "none of its labels: b"),
        ({"labels": ("a",), "anybody": "c"}, "none of its labels: c"),
    ],
)
def test_a_policy_that_could_mean_several_things_is_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        LabelPolicy(**arguments)


# Engines


def engine(result: object, **more: object) -> EnginePolicy:
    return EnginePolicy(
        lambda asked: {"result": result, "decision_id": "d", "revision": "r", **more}
    )


def test_an_engine_names_the_chunks_that_are_allowed():
    chunks = [labelled("public", name) for name in ("c1", "c2", "c3")]
    rulings = engine(["c1", "c3"]).decide(Principal("ada"), chunks)
    assert [ruling.allowed for ruling in rulings] == [True, False, True]
    assert {(ruling.decision_id, ruling.policy) for ruling in rulings} == {("d", "r")}


@pytest.mark.parametrize(("result", "allowed"), [(True, True), (False, False), ([], False)])
def test_an_engine_may_rule_on_all_at_once(result, allowed):
    assert released(engine(result), Principal("ada"), "public", "secret") == [allowed] * 2


@pytest.mark.parametrize("result", [None, "yes", 1, {"c1": True}, "c1"])
def test_any_other_result_is_no_decision(result):
    with pytest.raises(ValueError, match="result"):
        engine(result).decide(Principal("ada"), [labelled("public")])


def test_the_revisions_of_all_bundles_are_the_policy():
    told = {"bundles": {"b": {"revision": "2"}, "a": {"revision": "1"}}}
    (ruling,) = engine(result=True, revision=None, **told).decide(
        Principal("p"), [labelled("public")]
    )
    assert ruling.policy == "a@1,b@2"


def test_a_bundle_without_a_revision_says_not_what_decided():
    told = {"bundles": {"b": {}, "a": {"revision": "1"}}}
    with pytest.raises(ValueError, match="which revision decided"):
        engine(result=True, revision=None, **told).decide(Principal("p"), [labelled("public")])


labels = st.sampled_from((None, "public", "secret"))
names = st.sampled_from(("a", "a#1", "a#2", "a#1#2", "b"))
chunks = st.builds(LabelledChunk, names, st.sampled_from(("d1", "d2")), labels)


@given(st.lists(chunks, max_size=8))
def test_what_is_decided_of_one_chunk_never_counts_for_another(chunks):
    """Whatever ids a corpus has, an engine that allows public chunks by their ids releases those alone."""

    def only_public(asked):
        allowed = [each["id"] for each in asked["chunks"] if each["label"] == "public"]
        return {"result": allowed, "decision_id": "d", "revision": "r"}

    rulings = EnginePolicy(only_public).decide(Principal("p"), chunks)
    assert [ruling.allowed for ruling in rulings] == [chunk.label == "public" for chunk in chunks]


# The gate


def found(label: object = "public", **more: object) -> RetrievedChunk:
    return RetrievedChunk(
        "text", chunk_id="c1", document_id="d1", metadata={"label": label, **more}
    )


def passes(gate: Gate, *chunks: RetrievedChunk, user_id: str | None = None) -> list[bool]:
    return list(gate.admits(chunks, "run", lambda decided: None, user_id=user_id))


@pytest.mark.parametrize("policy", ["secret", LabelPolicy, object(), lambda principal, chunks: []])
def test_what_is_no_policy_is_refused_before_anything_is_searched(policy):
    with pytest.raises(TypeError, match="decides nothing: give an access policy"):
        Gate(policy, "store")


def test_labels_may_stand_under_other_names():
    told = []
    gate = Gate(POLICY, "store", "ada", Labels("classification", "since"))
    chunk = RetrievedChunk("t", metadata={"classification": "secret", "since": 7, "label": "no"})
    assert list(gate.admits([chunk], "run", told.append, user_id=None)) == [True]
    (access,) = told[0].decisions[0].chunks
    assert (access.label, access.label_version) == ("secret", "7")


@pytest.mark.parametrize("label", [None, "", "  ", True, ["public"], {"public": 1}, b"public"])
def test_what_is_no_word_is_no_label(label):
    assert passes(Gate(POLICY, "store", "ada"), found(label)) == [False]


@pytest.mark.parametrize(
    ("given", "user_id", "expected"),
    [
        (Principal("ada"), "eve", True),
        ("ada", None, True),
        (lambda: Principal("ada"), None, True),
        (None, "ada", True),
        (None, "eve", False),
    ],
)
def test_who_is_given_counts_before_the_request(given, user_id, expected):
    assert passes(Gate(POLICY, "store", given), found("secret"), user_id=user_id) == [expected]


def test_who_is_acted_for_counts_before_the_request():
    with acting_for("ada"):
        assert passes(Gate(POLICY, "store"), found("secret"), user_id="eve") == [True]


@pytest.mark.parametrize("given", [None, "", lambda: None, lambda: 7, lambda: "", 7])
def test_nobody_gets_nothing(given):
    with pytest.raises(AccessError, match="nobody is named"):
        passes(Gate(POLICY, "store", given), found())


def test_a_principal_that_cannot_be_told_releases_nothing():
    def unknown() -> str:
        raise LookupError("no session")

    with pytest.raises(AccessError, match="LookupError: no session"):
        passes(Gate(POLICY, "store", unknown), found())


def test_a_policy_is_not_asked_about_nothing_and_that_is_told_too():
    told = []
    gate = Gate(EnginePolicy(lambda asked: 1 / 0), "store", "ada")
    assert list(gate.admits([], "run", told.append, user_id=None)) == []
    (decision,) = told[0].decisions
    assert (decision.chunks, decision.decision_id, decision.error) == ((), None, None)


def test_rulings_of_several_decisions_are_told_apart():
    class EachByItself:
        engine = "each"

        def decide(self, principal, chunks):
            return [
                Ruling(allowed=chunk.label == "public", decision_id=chunk.chunk_id, policy="p")
                for chunk in chunks
            ]

    told = []
    several = [RetrievedChunk("t", chunk_id=n, metadata={"label": "public"}) for n in ("a", "b")]
    gate = Gate(EachByItself(), "store", "ada")
    assert list(gate.admits(several, "run", told.append, user_id=None)) == [True, True]
    assert [d.decision_id for d in told[0].decisions] == ["a", "b"]


def test_a_policy_that_takes_its_time_does_not_block_the_event_loop():
    asked = threading.Event()

    class Slow:
        engine = "slow"

        def decide(self, principal, chunks):
            assert asked.wait(10)
            return [Ruling(allowed=True, decision_id="d", policy="p")] * len(chunks)

    async def both() -> list[bool]:
        gate = Gate(Slow(), "store", "ada")
        passing = asyncio.ensure_future(
            gate.aadmits([found()], "run", lambda decided: None, user_id=None)
        )
        await asyncio.sleep(0)
        asked.set()
        return list(await passing)

    assert asyncio.run(both()) == [True]


# For whom


def test_whom_is_acted_for_ends_with_the_block():
    with acting_for("ada"):
        with acting_for(Principal("eve", roles=("r",))):
            assert current_principal() == Principal("eve", ("r",))
        assert current_principal() == Principal("ada")
    assert current_principal() is None


def test_an_id_alone_does_not_take_roles_away():
    with acting_for(Principal("ada", roles=("r",))):
        with acting_for("ada"):
            assert current_principal() == Principal("ada", ("r",))
        with acting_for("eve"):
            assert current_principal() == Principal("eve")
        with acting_for(None):
            assert current_principal() == Principal("ada", ("r",))


# By hand


def test_a_search_that_is_told_by_hand_hands_on_what_is_released():
    chunks = [
        {"text": "Fine.", "chunk_id": "c1", "document_id": "d1", "metadata": {"label": "public"}},
        {"text": "Hush.", "chunk_id": "c2", "document_id": "d2", "metadata": {"label": "secret"}},
    ]
    with capture_trails() as captured:
        with (
            response("When?", user_id="bob", lineage=captured),
            acting_for(Principal("bob", roles=("staff",))),
            retrieval("When?") as search,
        ):
            assert search.released(chunks, access=POLICY) == chunks[:1]
        (trail,) = captured.trails
        (told,) = trail.retrievals
        assert [hit.chunk.chunk_id for hit in told.hits] == ["c1"]
        assert [chunk.chunk_id for chunk in told.access[0].denied] == ["c2"]
        assert captured.errors == []


def test_by_hand_too_a_failing_policy_releases_nothing():
    with capture_trails() as captured:
        with (
            pytest.raises(AccessError),
            response("When?", user_id="bob", lineage=captured),
            retrieval("When?") as search,
        ):
            search.released([{"text": "t"}], access=EnginePolicy(lambda asked: {}))
        assert captured.trails[0].status == "error"
        assert captured.trails[0].retrievals[0].hits == ()


@pytest.mark.parametrize("content", ["full", "hash", "off"])
def test_what_is_kept_of_texts_changes_nothing_about_decisions(content):
    with capture_trails(Settings(content=content)) as captured:
        with response("When?", user_id="ada", lineage=captured), retrieval("When?") as search:
            search.released([{"text": "t", "metadata": {"label": "public"}}], access=POLICY)
        (access,) = [body for kind, body, _ in captured.events if kind == "access"]
        assert access["chunks"][0]["label"] == "public"
        assert bool(access["chunks"][0]["content_hash"]) == (content != "off")
        (decision,) = captured.trails[0].retrievals[0].access
        assert decision.principal == "ada"


def test_of_a_chunk_that_came_with_two_labels_the_denied_one_has_no_hash():
    twice = [
        {"text": "t", "chunk_id": "c", "document_id": "d", "metadata": {"label": label}}
        for label in ("public", "secret")
    ]
    with capture_trails() as captured:
        with (
            response("When?", lineage=captured),
            acting_for(Principal("bob", roles=("staff",))),
            retrieval("When?") as search,
        ):
            assert search.released(twice, access=POLICY) == twice[:1]
        (access,) = [body for kind, body, _ in captured.events if kind == "access"]
        told = {chunk["allowed"]: "content_hash" in chunk for chunk in access["chunks"]}
        assert told == {True: True, False: False}


def test_one_text_is_not_taken_for_many_roles():
    with pytest.raises(TypeError, match="are several"):
        Principal("ada", roles="sb")
    with pytest.raises(TypeError, match="is a text, not int"):
        Principal(42)


def test_who_is_known_by_a_number_is_somebody():
    with acting_for(42):
        assert current_principal() == Principal("42")
        with acting_for("42"):
            assert current_principal() == Principal("42")
