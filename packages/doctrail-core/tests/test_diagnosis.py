"""Whose fault an answer was: from where the right answer was last seen."""

from dataclasses import replace

import pytest

from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.diagnosis import diagnose
from doctrail_core.diagnosis.sayings import Saying
from doctrail_core.diagnosis.telling import tell
from doctrail_core.diagnosis.versions import newer, version_of
from doctrail_core.manual import context, generation, response, retrieval
from doctrail_core.model import Chunk, Diagnosis, Finding
from doctrail_core.model.wording import FAULT_WORDS
from doctrail_core.testing import capture_trails

QUESTION = "When is the renewal deadline of enterprise accounts?"
DEADLINE = "The renewal deadline of enterprise accounts is February 28th."
FEES = "A late renewal costs two percent of the annual value of the contract."
OTHER = "The renewal deadline of enterprise accounts is March 15th."


def chunk(text, document="doc_4821", number=0, **metadata):
    return {
        "text": text,
        "chunk_id": f"{document}/{number}",
        "document_id": document,
        "score": 0.9 - number / 10,
        "metadata": metadata,
    }


def asked(found, answer, read=None, question=QUESTION, **how):
    """The trail of an answer; `read` are the texts in the prompt, by default all that was found."""
    texts = [c["text"] for c in found] if read is None else read
    with capture_trails() as lineage:
        with response(question, lineage=lineage):
            with retrieval(question, k=len(found) or 4) as search:
                search.found(found)
            if "kept" in how:
                with context(how["by"], reason=how["reason"]) as choice:
                    choice.kept(how["kept"])
            prompt = "\n\n".join([*texts, f"Question: {question}"])
            with generation([{"role": "user", "content": prompt}], model="m") as call:
                call.said(answer)
        assert not lineage.errors
        return lineage.trails[-1]


class Corpus:
    """A probe: returns what has a word of the query, unless a filter leaves it out."""

    def __init__(self, *chunks, hidden=()):
        self.chunks = chunks
        self.hidden = hidden
        self.asked = []

    def search(self, query, k, *, filtered):
        self.asked.append((query, filtered))
        given = [c for c in self.chunks if not (filtered and c["document_id"] in self.hidden)]
        return [RetrievedChunk(**c) for c in given][:k]


class Broken:
    def search(self, query, k, *, filtered):
        raise ConnectionError("no route to the store")


# -- what should have been said is known -----------------------------------------------------------


def test_what_arrived_and_was_contradicted_is_the_models_fault():
    trail = asked([chunk(FEES, "doc_1"), chunk(DEADLINE, number=3)], "The deadline is March 15th.")
    found = diagnose(trail, expected="February 28th", by="ann")
    assert (found.fault, found.by, found.expected) == ("generation", "ann", "February 28th")
    (reason,) = found.findings
    assert reason.code == "contradicts"
    assert "“March 15th”" in reason.text
    assert reason.sentence == DEADLINE
    assert (reason.evidence.chunk_id, reason.document_id) == ("doc_4821/3", "doc_4821")
    assert (reason.arrival, reason.order, reason.rank) == ("full", 1, 1)
    assert reason.score == pytest.approx(0.6)
    assert "quote" in found.fix


def test_what_arrived_and_was_ignored_is_the_models_fault():
    trail = asked([chunk(DEADLINE)], "The context does not say.")
    found = diagnose(trail, expected="28 February")
    assert (found.fault, found.findings[0].code) == ("generation", "ignores")


def test_what_a_step_dropped_is_the_assemblys_fault_and_the_step_is_named():
    trail = asked(
        [chunk(FEES, "doc_1"), chunk(DEADLINE)],
        "The context does not say.",
        read=[FEES],
        kept=["doc_1/0"],
        by="best one only",
        reason="deduplicated",
    )
    found = diagnose(trail, expected="February 28th")
    assert (found.fault, found.findings[0].code) == ("assembly", "deduplicated")
    assert "best one only" in found.findings[0].text
    assert found.findings[0].arrival == "absent"


def test_a_sentence_that_was_cut_off_its_chunk_did_not_arrive():
    long = f"{FEES} {'Fees are due at the end of the quarter. ' * 4}{DEADLINE}"
    trail = asked([chunk(long)], "The context does not say.", read=[long[:150]])
    found = diagnose(trail, expected="February 28th")
    assert found.fault == "assembly"
    assert found.findings[0].arrival == "partial"
    assert found.findings[0].sentence == DEADLINE


def test_what_nobody_on_record_dropped_is_said_to_be_lost_unseen():
    trail = asked([chunk(FEES, "doc_1"), chunk(DEADLINE)], "I do not know.", read=[FEES])
    found = diagnose(trail, expected="February 28th")
    assert (found.fault, found.findings[0].code) == ("assembly", "not_observed")
    assert "doc_4821/0" in found.fix


def test_what_only_a_deeper_search_finds_is_the_searchs_fault():
    trail = asked([chunk(FEES, "doc_1")], "The context does not say.")
    probe = Corpus(chunk(FEES, "doc_1"), chunk(DEADLINE))
    found = diagnose(trail, expected="February 28th", probe=probe)
    assert found.fault == "retrieval"
    assert [f.code for f in found.findings] == ["not_retrieved", "k_too_small"]
    assert found.findings[1].rank == 1
    assert "rank 2, beyond k = 1" in found.findings[1].text
    assert "k = 2" in found.fix


def test_what_the_same_search_finds_by_now_takes_no_deeper_search():
    trail = asked([chunk(FEES, "doc_1")], "The context does not say.")
    found = diagnose(trail, expected="February 28th", probe=Corpus(chunk(DEADLINE)))
    assert found.fault == "retrieval"
    assert [f.code for f in found.findings] == ["not_retrieved", "found_now"]
    assert "finds it now, at rank 1 of k = 1" in found.findings[1].text
    assert "Ask again" in found.fix


def test_what_the_filter_leaves_out_is_told_from_what_is_too_deep():
    trail = asked([chunk(FEES, "doc_1")], "The context does not say.")
    probe = Corpus(chunk(FEES, "doc_1"), chunk(DEADLINE), hidden={"doc_4821"})
    found = diagnose(trail, expected="February 28th", probe=probe)
    assert (found.fault, found.findings[1].code) == ("retrieval", "filtered_out")
    assert "doc_4821" in found.fix


def test_what_no_document_says_is_a_gap_only_if_somebody_looked():
    trail = asked([chunk(FEES, "doc_1")], "The context does not say.")
    looked = diagnose(trail, expected="February 28th", probe=Corpus(chunk(FEES, "doc_1")))
    assert looked.fault == "corpus_gap"
    blind = diagnose(trail, expected="February 28th")
    assert blind.fault == "undetermined"
    assert blind.missing == ("whether the corpus has it: no retriever was given to ask",)


def test_a_retriever_that_fails_is_told_of_and_nothing_is_raised():
    trail = asked([chunk(FEES, "doc_1")], "The context does not say.")
    found = diagnose(trail, expected="February 28th", probe=Broken())
    assert found.fault == "undetermined"
    assert "no route to the store" in found.missing[0]


def test_an_answer_that_follows_what_it_read_has_a_wrong_source():
    trail = asked([chunk(OTHER)], "The renewal deadline is March 15th.")
    found = diagnose(trail, expected="February 28th", probe=Corpus(chunk(OTHER)))
    assert (found.fault, found.findings[0].sentence) == ("wrong_source", OTHER)
    assert "doctrail affected --document doc_4821" in found.fix


def test_two_documents_that_disagree_in_one_prompt_are_in_conflict():
    trail = asked([chunk(OTHER, "doc_7"), chunk(DEADLINE)], "The deadline is March 15th.")
    found = diagnose(trail, expected="February 28th")
    assert found.fault == "conflicting_sources"
    assert [f.document_id for f in found.findings] == ["doc_7", "doc_4821"]


def test_a_value_of_something_else_is_no_conflict():
    trail = asked(
        [chunk("Invoices are paid until March 15th.", "doc_7"), chunk(DEADLINE)],
        "The deadline is March 15th.",
    )
    assert diagnose(trail, expected="February 28th").fault == "generation"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (chunk(OTHER, "policy_2023"), chunk(DEADLINE, "policy_2024")),
        (chunk(OTHER, "policy", 1, version="1"), chunk(DEADLINE, "policy", 2, version="2")),
        (chunk(OTHER, "a"), chunk(DEADLINE, "b", supersedes="a")),
    ],
)
def test_an_older_version_is_stale_whether_the_newer_one_arrived_or_not(old, new):
    arrived = asked([old, new], "The deadline is March 15th.")
    assert diagnose(arrived, expected="February 28th").fault == "stale_sources"
    alone = asked([old], "The deadline is March 15th.")
    found = diagnose(alone, expected="February 28th", probe=Corpus(old, new))
    assert found.fault == "stale_sources"
    assert [f.code for f in found.findings] == ["outdated", "newer_version"]


def test_a_right_answer_is_nobodys_fault():
    trail = asked([chunk(DEADLINE)], "It is February 28th.")
    found = diagnose(trail, expected="February 28th")
    assert (found.fault, found.findings[0].sentence) == ("no_fault", DEADLINE)


def test_expected_words_are_found_as_values_are():
    trail = asked(
        [chunk("This deed is governed by the laws of the State of Victoria, Australia.")],
        "It is governed by the laws of Queensland.",
        question="Under the laws of which State is the deed governed?",
    )
    found = diagnose(trail, expected="Victoria")
    assert (found.fault, found.findings[0].code) == ("generation", "contradicts")


def test_a_denial_does_not_say_what_was_expected():
    trail = asked(
        [chunk("The supplier may not assign this agreement without consent.")],
        "The supplier may assign this agreement.",
        question="What of the agreement's assignment?",
    )
    found = diagnose(trail, expected="The supplier may not assign this agreement")
    assert found.fault == "generation"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("The deadline is not on February 28th.", "generation"),
        ("It must not be later than February 28th.", "no_fault"),
    ],
)
def test_an_answer_that_denies_a_value_does_not_say_it(answer, fault):
    assert diagnose(asked([chunk(DEADLINE)], answer), expected="February 28th").fault == fault


# -- nobody says what would have been right ----------------------------------------------------------


def test_without_an_expectation_a_contradicted_claim_is_the_models_fault():
    trail = asked([chunk(DEADLINE)], OTHER)
    found = diagnose(trail)
    assert (found.fault, found.findings[0].code) == ("generation", "contradicts")
    assert found.findings[0].claim_start == 0


def test_without_an_expectation_a_supported_answer_has_no_fault():
    assert diagnose(asked([chunk(DEADLINE)], DEADLINE)).fault == "no_fault"


def test_an_answer_that_declines_is_measured_by_what_answers_the_question():
    declined = "The context does not say."
    assert diagnose(asked([chunk(DEADLINE)], declined)).fault == "generation"
    lost = asked([chunk(FEES, "doc_1"), chunk(DEADLINE)], declined, read=[FEES])
    assert diagnose(lost).fault == "assembly"
    unfound = asked([chunk(FEES, "doc_1")], declined)
    assert diagnose(unfound, probe=Corpus(chunk(DEADLINE))).fault == "retrieval"
    assert diagnose(unfound, probe=Corpus()).fault == "corpus_gap"
    assert diagnose(unfound).fault == "undetermined"


def test_an_answer_without_any_source_is_nobodys_until_somebody_looks():
    empty = asked([], "The deadline is March 15th.")
    assert diagnose(empty).fault == "undetermined"
    assert diagnose(empty, probe=Corpus(chunk(DEADLINE))).fault == "retrieval"
    assert diagnose(empty, probe=Corpus(chunk(FEES))).fault == "corpus_gap"
    unsearched = replace(empty, retrievals=())
    assert diagnose(unsearched).missing == ("where the answer comes from: no search is on record",)


def test_what_nothing_supports_is_invented_by_the_model():
    trail = asked([chunk(DEADLINE)], "The supplier is located in Berlin, near the river.")
    found = diagnose(trail)
    assert (found.fault, found.findings[0].code) == ("generation", "baseless")


def test_a_claim_that_only_a_lost_chunk_bears_out_is_the_assemblys_fault():
    trail = asked([chunk(FEES, "doc_1"), chunk(DEADLINE)], DEADLINE, read=[FEES])
    assert diagnose(trail).fault == "assembly"


def test_a_source_that_was_never_retrieved_is_a_wrong_citation():
    tagged = asked([chunk(DEADLINE)], f"{DEADLINE[:-1]} [DOC-ID: doc_90210].")
    found = diagnose(tagged, expected="February 28th")
    assert (found.fault, found.findings[0].code) == ("generation", "citation_unknown_id")


def test_a_check_on_record_is_used_again():
    from doctrail_core.grounding.checking import assess

    trail = asked([chunk(DEADLINE)], OTHER)
    assessed = replace(trail, assessments=(assess(trail),))

    class Never:
        name = "embedded"

        def verify(self, answer):
            raise AssertionError("it was checked already")

    assert diagnose(assessed, verifier=Never()).fault == "generation"


def test_an_agent_that_asked_much_does_not_have_all_of_it_asked_again():
    with capture_trails() as lineage:
        with response(QUESTION, lineage=lineage):
            for number in range(30):
                with retrieval(f"query {number}") as search:
                    search.found([chunk(FEES, "doc_1")])
            with generation([{"role": "user", "content": QUESTION}], model="m") as call:
                call.said("I do not know.")
        trail = lineage.trails[-1]
    probe = Corpus(chunk(FEES, "doc_1"))
    diagnose(trail, expected="February 28th", probe=probe)
    assert len(probe.asked) == 12


def test_a_newer_version_in_the_corpus_makes_a_supported_answer_stale():
    old, new = chunk(OTHER, "policy_2023"), chunk(DEADLINE, "policy_2024")
    assert diagnose(asked([old], OTHER), probe=Corpus(old, new)).fault == "stale_sources"


# -- what cannot be told -----------------------------------------------------------------------------


def test_texts_that_were_not_kept_leave_it_open():
    trail = asked([chunk(DEADLINE)], "The deadline is March 15th.")
    bare = replace(
        trail.retrievals[0].hits[0], chunk=replace(trail.retrievals[0].hits[0].chunk, text=None)
    )
    silent = replace(trail, retrievals=(replace(trail.retrievals[0], hits=(bare,)),))
    found = diagnose(silent, expected="February 28th")
    assert found.fault == "undetermined"
    assert found.missing == ("the texts of the chunks: they were not kept",)


def test_an_answer_that_is_not_on_record_leaves_it_open():
    trail = replace(asked([chunk(DEADLINE)], "x"), answer=None)
    assert diagnose(trail, expected="February 28th").fault == "undetermined"


def test_a_search_that_failed_is_the_searchs_fault():
    with capture_trails() as lineage:
        with response(QUESTION, lineage=lineage):
            with pytest.raises(ConnectionError), retrieval(QUESTION):
                raise ConnectionError("refused")
            with generation([{"role": "user", "content": QUESTION}], model="m") as call:
                call.said("I do not know.")
        trail = lineage.trails[-1]
    for broken in (trail, replace(trail, answer=None, error="ConnectionError: refused")):
        found = diagnose(broken, expected="February 28th")
        assert (found.fault, found.findings[0].code) == ("retrieval", "search_failed")
        assert "refused" in found.findings[0].text


# -- versions ----------------------------------------------------------------------------------------


def document(document_id, **metadata):
    version = metadata.get("version")
    return Chunk("c", document_id, None, "t", version=version, metadata=metadata)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (document("policy_2023"), document("policy_2024")),
        (document("policy-v9"), document("policy-v10")),
        (document("policy", version="1.2"), document("policy", version="1.10")),
        (document("p", effective_date="2023-12-31"), document("p", effective_date="2024-01-01")),
        (document("a", superseded_by="b"), document("b")),
        (document("2023-05-01 terms"), document("2024-01-01 terms")),
    ],
)
def test_a_newer_version_is_told_by_ids_and_metadata(one, other):
    assert newer(one, other)
    assert not newer(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (document("doc_4821"), document("doc_90210")),
        (document("policy_2023"), document("terms_2024")),
        (document("policy"), document("policy")),
        (
            document("p", version="1", date="2024-01-01"),
            document("p", version="2", date="2023-01-01"),
        ),
        (document("p", date="March 1, 2023"), document("p", date="April 1, 2024")),
        (document("p", version=True), document("p", version=None)),
    ],
)
def test_what_is_not_told_is_not_guessed(one, other):
    assert not newer(one, other)
    assert not newer(other, one)


def test_a_version_is_named_as_it_is_given():
    assert version_of(document("p", effective_date="2024-01-01")) == "effective date 2024-01-01"
    assert version_of(document("p", version="7")) == "version 7"
    assert version_of(document("p")) is None


# -- telling, and hostile input ----------------------------------------------------------------------


def test_a_diagnosis_is_told_with_its_reasons_its_fix_and_its_gaps():
    trail = asked([chunk(FEES, "doc_1"), chunk(DEADLINE, number=3)], "The deadline is March 15th.")
    told = tell(diagnose(trail, expected="February 28th"), trail)
    assert "Verdict: generation failure" in told
    assert f"“{DEADLINE}”" in told
    assert "rank 2, score 0.600, arrived whole, place 2 in the prompt" in " ".join(told.split())
    assert "What to do" in told
    assert "What is missing" not in told


def test_nothing_that_a_terminal_would_obey_is_told():
    evil = "\x1b[2J\u202eThe renewal deadline of enterprise accounts is February 28th.\x07"
    trail = asked([chunk(evil, "doc\u202e_1")], "\x1b]0;owned\x07 March 15th.")
    found = diagnose(trail, expected="February 28th \x1b[31m")
    assert all(c.isprintable() or c == "\n" for c in tell(found, trail))


def test_every_fault_has_words():
    found = Diagnosis(
        response_id="r", fault="no_fault", findings=(Finding(code="c", text="t"),), fix="f", at=None
    )
    trail = asked([chunk(DEADLINE)], "x")
    for fault, words in FAULT_WORDS.items():
        assert words.split(":")[0] in tell(replace(found, fault=fault), trail)


@pytest.mark.parametrize(
    "text",
    [
        "a. " * 20_000,
        "1. " * 20_000,
        "not " * 15_000,
        "February 28th, " * 4_000,
        "x" * 60_000,
        "\n".join(["| a | b |"] * 6_000),
    ],
)
def test_hostile_texts_take_time_in_proportion_to_their_length(text):
    trail = asked([chunk(DEADLINE + " " + text)], text[:60_000])
    found = diagnose(trail, expected=text[:1000], probe=Corpus(chunk(text, "doc_2")))
    assert found.response_id == trail.response_id  # a quadratic reading takes minutes


def test_a_saying_is_its_values_and_its_telling_words():
    assert Saying.of("February 28th").is_in("It ends on 28 February 2024.")
    assert not Saying.of("February 28th").is_in("It ends on February 27th.")
    assert Saying.of("thirty days").is_in("within at least thirty (30) days")
    assert not Saying.of("Victoria").is_in("the State of Queensland")
    assert Saying.of("").empty
