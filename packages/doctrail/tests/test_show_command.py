"""`doctrail show`."""


def test_a_document_is_shown_chunk_by_chunk_with_the_answers_that_got_it(app, doctrail):
    app.answer(
        "first-0001", texts=("One.", "Two of them, long enough to match."), at="2026-11-20T10:00:00"
    )
    app.answer("second-0002", texts=("One.",), at="2026-11-21T10:00:00")
    said = doctrail("show", "doc_42")
    assert said.code == 0
    assert said.lines[0] == "Chunk 0 (doc_42/0)"
    assert said.lines[1] == "  One."
    assert [line.split()[-1] for line in said.lines[2:4]] == ["second-0002", "first-0001"]
    assert said.lines[4] == "Chunk 1 (doc_42/1)"
    assert "in the prompt" in said.lines[6]


def test_json_has_one_line_per_chunk(app, doctrail):
    app.answer("first-0001", texts=("The first chunk of it.", "The second chunk of it."))
    first, second = doctrail("show", "doc_42", "--json").json_lines
    assert first["index"] == 0
    assert first["text"] == "The first chunk of it."
    assert first["content_hash"].startswith("sha256:")
    assert second["responses"] == [
        {
            "response_id": "first-0001",
            "time": "2026-11-22T12:00:00+00:00",
            "grade": "in_prompt",
            "involvement": "direct",
        }
    ]


def test_many_answers_are_cut_with_a_count_and_whole_in_full(app, doctrail):
    for number in range(7):
        app.answer(f"response-{number}", flush=number == 6)
    assert "... and 2 more answers (--full)" in doctrail("show", "doc_42").out
    assert sum("response-" in line for line in doctrail("show", "doc_42", "--full").lines) == 7


def test_an_unknown_document_says_that_ids_are_exact(app, doctrail):
    app.answer()
    said = doctrail("show", "doc_4")
    assert (said.code, said.out) == (1, "")
    assert "no chunk of document 'doc_4' is on record. Ids must be exact" in said.err
