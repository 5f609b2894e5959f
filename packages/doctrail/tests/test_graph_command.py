"""`doctrail graph` and `doctrail why --tree`."""

from inline_snapshot import snapshot


def test_the_graph_is_json_unless_asked_for_otherwise(app, doctrail):
    app.answer()
    said = doctrail("graph", "renewal deadline")
    assert (said.code, said.err, len(said.lines)) == (0, "", 1)
    assert (said.json["version"], said.json["response_id"]) == (1, "response-0001")
    assert [node["kind"] for node in said.json["nodes"]] == [
        "response",
        "retrieval",
        "generation",
        "chunk",
    ]
    assert doctrail("graph", "response-0001", "--json", "--format", "dot").out == said.out


def test_the_graph_can_be_had_for_graphviz_and_for_mermaid(app, doctrail):
    app.answer()
    assert doctrail("graph", "response-0001", "--format", "dot").lines[0] == "digraph evidence {"
    assert doctrail("graph", "response-0001", "--format", "mermaid").lines[0] == "flowchart TD"
    said = doctrail("graph", "response-0001", "--format", "svg")
    assert (said.code, said.out) == (2, "")


def test_the_texts_of_a_graph_are_cut_unless_asked_for_in_full(app, doctrail):
    app.answer(texts=("The renewal deadline " + "really " * 60 + "is February 28th.",))
    for form in ("json", "dot", "mermaid"):
        said = [doctrail("graph", "response-0001", "--format", form, *w) for w in ([], ["--full"])]
        cut, whole = (each.out.count("really") for each in said)
        assert (cut < 10, whole) == (True, 60)


def test_a_graph_of_no_answer_is_one_clear_line_and_exit_code_1(app, doctrail):
    app.answer("response-0001")
    app.answer("response-0002")
    said = doctrail("graph", "nowhere-to-be-found", "--format", "dot")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("doctrail: no answer on record matches 'nowhere-to-be-found'")
    said = doctrail("graph", "renewal")
    assert said.code == 1
    assert said.err.endswith("Name one by its id: doctrail graph response-0002\n")
    assert doctrail("graph", " ").code == 2


def test_a_tree_shows_what_was_before_the_model(app, doctrail):
    app.answer()
    said = doctrail("why", "response-0001", "--tree")
    assert (said.code, said.err) == (0, "")
    assert said.out == snapshot("""\
Response response-0001
│  status  ok: answered, took 0 ms
│  asked   When is the renewal deadline?
├─ 1 search Retriever, 1 chunk, took 0 ms
│     asked   the question
│     found   doc_42 0, read by 2: The renewal deadline is February 28th.
├─ 2 model m-1, took 0 ms
│     read    doc_42 0
│     said    the answer
└─ answer, from 2
   On February 28th.
""")


def test_a_tree_of_hostile_texts_obeys_nobody(app, doctrail):
    evil = "\x1b[31mred\x1b[0m \u202eback"
    app.answer(question=evil, answer=evil, texts=(evil * 9,), document="\u202edoc\x1b[2J")
    for words in (["why", "--tree"], ["why", "--tree", "--full"], ["graph", "--format", "dot"]):
        out = doctrail(words[0], "response-0001", *words[1:]).out
        assert "\x1b" not in out
        assert "\u202e" not in out


def test_what_is_wrong_with_the_evidence_stands_at_the_end(app, doctrail):
    app.answer(texts=())
    for words in ([], ["--tree"]):
        said = doctrail("why", "response-0001", *words)
        assert said.lines[-2:] == [
            "What is wrong with the evidence",
            "  - 1 search found nothing: When is the renewal deadline?",
        ]
    (found,) = doctrail("why", "response-0001", "--json").json["pathologies"]
    assert (found["kind"], found["ids"]) == ("empty_retrieval", ["response-0001-search"])
