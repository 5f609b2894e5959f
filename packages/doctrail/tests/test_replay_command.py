"""`doctrail replay`."""

import pytest

APP = """
from doctrail_core.capture.replaying import current_replay
from doctrail_core.manual import generation, retrieval

CHUNKS = [
    {"text": "The renewal deadline is February 28th.", "chunk_id": "doc_42/0", "document_id": "doc_42"},
    {"text": "The renewal deadline is March 15th.", "chunk_id": "doc_7/0", "document_id": "doc_7"},
]

def answer(question, heeds=True):
    replay = current_replay()
    found = replay.kept(CHUNKS, lambda c: c["document_id"], 1) if heeds else CHUNKS[:1]
    with retrieval(question, k=1) as search:
        search.found(found)
    prompt = "\\n".join(c["text"] for c in found) + question
    with generation([{"role": "user", "content": prompt}], model="m") as call:
        call.said(found[0]["text"])
    return found[0]["text"]

class Engine:
    def query(self, question):
        return answer(question)

class Runnable:
    def invoke(self, question):
        return answer(question)

async def later(question):
    return answer(question)

def pieces(question):
    yield from answer(question).split("x")

def function(): return answer
def coroutine(): return later
def stream(): return pieces
def engine(): return Engine()
def runnable(): return Runnable()
def deaf(): return lambda question: answer(question, heeds=False)
def silent(): return lambda question: "nothing to see"
def number(): return 42
def broken():
    def fail(question):
        raise RuntimeError("the model is away")
    return fail
"""


@pytest.fixture
def myapp(tmp_path, monkeypatch):
    name = f"app_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.fixture
def recorded(app):
    app.answer(answer="The renewal deadline is February 28th.", session="s-1")
    return app


@pytest.mark.parametrize("factory", ["function", "engine", "runnable", "coroutine", "stream"])
def test_what_changes_without_a_document_is_shown(recorded, doctrail, myapp, factory):
    said = doctrail(
        "replay", "response-0001", "--app", f"{myapp}:{factory}", "--without-document", "doc_42"
    )
    assert (said.code, said.err) == (0, "")
    assert "  - doc_42  chunk doc_42/0  arrived -> not found" in said.lines
    assert "  + doc_7  chunk doc_7/0  not found -> arrived" in said.lines
    assert "  - The renewal deadline is February 28th." in said.lines
    assert "  + The renewal deadline is March 15th." in said.lines
    assert any(line.startswith("  before  1 supported") for line in said.lines)


def test_more_chunks_can_be_asked_for(recorded, doctrail, myapp):
    said = doctrail("replay", "response-0001", "--app", f"{myapp}:function", "--k", "2", "--json")
    (moved,) = said.json["chunks"]
    assert (moved["document_id"], moved["before"], moved["after"]) == ("doc_7", None, "full")
    assert [line["change"] for line in said.json["answer"]] == ["same"]


def test_the_new_answer_is_a_response_of_its_own_outside_of_the_session(recorded, doctrail, myapp):
    before = doctrail("why", "response-0001", "--json").json
    said = doctrail("replay", "response-0001", "--app", f"{myapp}:function", "--json").json
    assert said["after"].startswith("response-0001~replay-")
    again = doctrail("why", said["after"], "--json").json
    assert (again["question"], again["session_id"]) == (before["question"], None)
    assert doctrail("why", "response-0001", "--json").json == before
    assert len(doctrail("responses", "--session", "s-1", "--json").json_lines) == 1


def test_without_a_factory_it_refuses(recorded, doctrail):
    said = doctrail("replay", "response-0001")
    assert (said.code, said.out) == (2, "")
    assert "a replay needs your application: --app MODULE:FACTORY" in said.err


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        ("number", "returned a int; return a LangChain runnable"),
        ("broken", "the application failed: RuntimeError: the model is away"),
        ("silent", "neither a search nor a model's call was seen"),
    ],
)
def test_an_application_that_cannot_be_replayed_is_refused_with_the_reason(
    recorded, doctrail, myapp, factory, told
):
    said = doctrail("replay", "response-0001", "--app", f"{myapp}:{factory}")
    assert (said.code, said.out) == (2, "")
    assert told in said.err


def test_a_retriever_that_takes_no_notice_is_told_of(recorded, doctrail, myapp):
    said = doctrail("replay", "response-0001", "--app", f"{myapp}:deaf", "--k", "2")
    assert (said.code, said.out) == (2, "")
    assert "--k and --without-document had no effect" in said.err


def test_a_document_that_the_answer_never_had_is_refused(recorded, doctrail, myapp):
    said = doctrail(
        "replay", "response-0001", "--app", f"{myapp}:function", "--without-document", "doc_4"
    )
    assert (said.code, said.out) == (2, "")
    assert "had no document 'doc_4'; it had doc_42" in said.err


@pytest.mark.parametrize("k", ["0", "-1", "many", "1000000"])
def test_a_number_of_chunks_is_a_number(recorded, doctrail, myapp, k):
    assert doctrail("replay", "response-0001", "--app", f"{myapp}:function", f"--k={k}").code == 2


def test_a_question_that_was_not_kept_cannot_be_asked_again(
    home, app, doctrail, myapp, monkeypatch
):
    monkeypatch.setenv("DOCTRAIL_CONTENT", "off")
    from doctrail_core import Lineage, Settings

    lineage = Lineage(Settings.load(home=str(home), spans="none"))
    with lineage.scope(response_id="response-0009", question="Secret?"):
        from doctrail_core.manual import retrieval

        with retrieval("Secret?") as search:
            search.found(["text"])
    lineage.flush()
    lineage.close()
    said = doctrail("replay", "response-0009", "--app", f"{myapp}:function")
    assert said.code == 2
    assert "texts were not kept" in said.err
