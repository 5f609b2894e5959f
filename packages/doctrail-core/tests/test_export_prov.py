"""PROV of one answer: what a PROV reader gets out of it, and what stays out unless it is asked for."""

import json
import sys
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from doctrail_core.export import ExportError
from doctrail_core.export.prov import prov_document, prov_json
from doctrail_core.model import CarriedChunk, Chunk, Claim, Evidence, Hit, Message, Verdict

prov = pytest.importorskip("prov.model", reason="the prov extra is not installed")


@pytest.fixture
def trail(make_trail, make_assessment):
    """An answer from one document, checked, with a claim that the document supports."""
    plain = make_trail(service="contracts", user_id="ada@example.org")
    (chunk_id,) = plain.chunks
    verdict = Verdict(
        claim=Claim(0, 17, plain.answer),
        verdict="supported",
        score=0.1,
        reason="judged",
        evidence=(Evidence(chunk_id, 4, 20),),
    )
    return replace(plain, assessments=(make_assessment(plain, verdict),))


def read(written):
    return prov.ProvDocument.deserialize(content=written, format="json")


def test_a_reader_of_prov_finds_who_made_the_answer_of_what(trail):
    told = read(prov_json(trail, user="somebody-7"))
    records = sorted(str(record) for record in told.get_records())
    assert records == snapshot(
        [
            "actedOnBehalfOf(agent:model/model-1, agent:service/contracts, response:generation/response-1%2Fgeneration)",
            "activity(response:assembly/response-1%2Fgeneration, -, 2026-03-01T12:00:00+00:00, [prov:type='doctrail:assembly'])",
            'activity(response:check/0, 2026-03-01T12:00:02+00:00, 2026-03-01T12:00:03+00:00, [prov:type=\'doctrail:check\', doctrail:status="checked", doctrail:risk="0.1" %% xsd:double])',
            "activity(response:generation/response-1%2Fgeneration, 2026-03-01T12:00:00+00:00, 2026-03-01T12:00:00+00:00, [prov:type='doctrail:generation'])",
            'activity(response:retrieval/response-1%2Fretrieval, 2026-03-01T12:00:00+00:00, 2026-03-01T12:00:00+00:00, [prov:type=\'doctrail:retrieval\', doctrail:retriever="bm25", doctrail:query_hash="hmac-sha256:00"])',
            'activity(response:run, 2026-03-01T12:00:00+00:00, 2026-03-01T12:00:02+00:00, [prov:type=\'doctrail:run\', doctrail:status="ok", doctrail:trace_id="0af7651916cd43dd8448eb211c80319c"])',
            "agent(agent:model/model-1, [prov:type='prov:SoftwareAgent', prov:type='doctrail:model', doctrail:name=\"model-1\"])",
            "agent(agent:service/contracts, [prov:type='prov:SoftwareAgent', prov:type='doctrail:service', doctrail:name=\"contracts\"])",
            "agent(agent:user/somebody-7, [prov:type='prov:Person', prov:type='doctrail:user', doctrail:name=\"somebody-7\"])",
            "agent(agent:verifier/scripted%201, [prov:type='prov:SoftwareAgent', prov:type='doctrail:verifier', doctrail:name=\"scripted 1\"])",
            'entity(chunk:doc_4%230, [prov:type=\'doctrail:chunk\', doctrail:content_hash="sha256:12cc43deef7431514972f410c6eae4af9044a3fd0abb09eb6c7a7eebe543a4cc", doctrail:index=0, doctrail:id_origin="given", doctrail:grade="supports", doctrail:involvement="direct"])',
            'entity(document:doc_4, [prov:type=\'doctrail:document\', doctrail:source="a.pdf", doctrail:id_origin="given"])',
            "entity(response:answer, [prov:type='doctrail:answer'])",
            "entity(response:claim/0%2F0, [prov:type='doctrail:claim', doctrail:start=0, doctrail:end=17])",
            "entity(response:output/response-1%2Fgeneration, [prov:type='doctrail:output'])",
            "entity(response:prompt/response-1%2Fgeneration, [prov:type='doctrail:prompt', doctrail:length=69, doctrail:unexplained_length=30])",
            "entity(response:question, [prov:type='doctrail:question', doctrail:query_hash=\"hmac-sha256:00\"])",
            'entity(response:verdict/0%2F0, [prov:type=\'doctrail:verdict\', doctrail:verdict="supported", doctrail:score="0.1" %% xsd:double, doctrail:reason="judged"])',
            "used(response:assembly/response-1%2Fgeneration, chunk:doc_4%230, -)",
            "used(response:assembly/response-1%2Fgeneration, response:question, -)",
            "used(response:check/0, response:answer, -)",
            "used(response:generation/response-1%2Fgeneration, response:prompt/response-1%2Fgeneration, -)",
            'used(response:retrieval/response-1%2Fretrieval, chunk:doc_4%230, -, [doctrail:rank=0, doctrail:score="0.5" %% xsd:double, doctrail:score_kind="similarity"])',
            "used(response:retrieval/response-1%2Fretrieval, response:question, -)",
            "used(response:run, response:question, -)",
            "wasAssociatedWith(response:check/0, agent:verifier/scripted%201, -)",
            "wasAssociatedWith(response:generation/response-1%2Fgeneration, agent:model/model-1, -)",
            "wasAssociatedWith(response:run, agent:service/contracts, -)",
            "wasAttributedTo(response:question, agent:user/somebody-7)",
            "wasDerivedFrom(chunk:doc_4%230, document:doc_4, -, -, -)",
            "wasDerivedFrom(response:answer, response:output/response-1%2Fgeneration, -, -, -)",
            "wasDerivedFrom(response:answer, response:question, -, -, -)",
            "wasDerivedFrom(response:claim/0%2F0, response:answer, -, -, -, [prov:type='prov:Quotation'])",
            "wasDerivedFrom(response:output/response-1%2Fgeneration, response:prompt/response-1%2Fgeneration, -, -, -)",
            'wasDerivedFrom(response:prompt/response-1%2Fgeneration, chunk:doc_4%230, response:assembly/response-1%2Fgeneration, -, -, [doctrail:state="full", doctrail:coverage="1.0" %% xsd:double, doctrail:share="0.2" %% xsd:double, doctrail:order=0])',
            "wasDerivedFrom(response:verdict/0%2F0, chunk:doc_4%230, response:check/0, -, -, [doctrail:start=4, doctrail:end=20])",
            "wasDerivedFrom(response:verdict/0%2F0, response:claim/0%2F0, response:check/0, -, -)",
            "wasGeneratedBy(response:answer, response:run, -)",
            "wasGeneratedBy(response:output/response-1%2Fgeneration, response:generation/response-1%2Fgeneration, -)",
            "wasGeneratedBy(response:prompt/response-1%2Fgeneration, response:assembly/response-1%2Fgeneration, -)",
            "wasGeneratedBy(response:verdict/0%2F0, response:check/0, -)",
        ]
    )


def test_what_is_written_reads_back_as_what_was_meant(trail):
    assert read(prov_json(trail, texts=True)) == prov_document(trail, texts=True)


def test_texts_are_left_out_unless_they_are_asked_for(trail):
    (chunk,) = trail.chunks.values()
    for text in (trail.question, trail.answer, chunk.text):
        assert text not in prov_json(trail)
        assert text in prov_json(trail, texts=True)


def test_no_user_is_named_unless_a_pseudonym_is_given(trail):
    assert "ada%40example.org" not in (unnamed := prov_json(trail, texts=True))
    assert "agent:user" not in unnamed
    assert "agent:user/somebody-7" in prov_json(trail, user="somebody-7")


def test_a_chunk_that_did_not_arrive_is_no_source_of_the_prompt(trail):
    (context,) = trail.contexts
    absent = replace(context.arrivals[0], state="absent", reason="filtered")
    written = json.loads(
        prov_json(replace(trail, contexts=(replace(context, arrivals=(absent,)),)))
    )
    derived = [
        d for d in written["wasDerivedFrom"].values() if d["prov:usedEntity"].startswith("chunk:")
    ]
    assert [d["prov:generatedEntity"] for d in derived] == ["response:verdict/0%2F0"]


def test_an_answer_that_builds_on_an_earlier_one_is_derived_from_it(trail):
    carried = CarriedChunk(Chunk("c", "d", None), "text", "earlier response", 1)
    written = json.loads(prov_json(replace(trail, carried=(carried,))))
    assert written["prefix"]["turn0"] == "urn:doctrail:response:earlier%20response:"
    assert "turn0:answer" in {d["prov:usedEntity"] for d in written["wasDerivedFrom"].values()}


def test_scores_that_are_no_numbers_are_left_out(trail):
    (search,) = trail.retrievals
    hits = tuple(replace(hit, score=float("nan")) for hit in search.hits)
    assert "nan" not in prov_json(replace(trail, retrievals=(replace(search, hits=hits),))).lower()


HOSTILE = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from(":/#%{}<>\"'\\ \n"), max_size=12
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(HOSTILE, min_size=2, max_size=5, unique=True), text=HOSTILE)
def test_no_id_is_taken_for_another_one(make_trail, ids, text):
    chunks = [Chunk(name, name, None, text) for name in ids]
    plain = make_trail(ids[0], texts={}, question=text, user_id=ids[1])
    (search,) = plain.retrievals
    (call,) = plain.generations
    trail = replace(
        plain,
        retrievals=(replace(search, hits=tuple(Hit(c, n) for n, c in enumerate(chunks))),),
        generations=(replace(call, messages=(Message("user", text),), model=ids[0] or None),),
    )
    told = read(prov_json(trail, texts=True, user=ids[1]))
    kinds = [str(record.get_asserted_types()) for record in told.get_records()]
    assert sum("doctrail:chunk" in kind for kind in kinds) == len(ids)
    assert sum("doctrail:document" in kind for kind in kinds) == len(ids)


def test_without_the_library_it_is_told_what_to_install(trail, monkeypatch):
    monkeypatch.setitem(sys.modules, "prov.model", None)
    with pytest.raises(ExportError, match=r"pip install 'doctrail-core\[prov\]'"):
        prov_json(trail)
