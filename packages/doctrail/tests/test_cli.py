"""The command line itself: help, exit codes, errors, output."""

import io
import os
import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from doctrail import cli, exit_codes
from doctrail.commands import COMMANDS, why
from doctrail.terminal import Terminal

NAMES = [command.NAME for command in COMMANDS]


def as_process(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "doctrail", *words],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_help_names_every_command_and_every_exit_code(doctrail):
    said = doctrail("--help")
    assert said.code == 0
    for name in NAMES:
        assert re.search(rf"^    {name}\b", said.out, re.MULTILINE)
    codes = {value for name, value in vars(exit_codes).items() if name.isupper()}
    assert {
        int(line.split()[0]) for line in said.out.partition("exit codes:\n")[2].splitlines()
    } == codes


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_every_command_has_help_with_an_example_that_parses(command, doctrail):
    said = doctrail(command.NAME, "--help")
    assert said.code == 0
    assert "--json" in said.out
    assert "--home" in said.out
    assert f"example:\n  {command.EXAMPLE}" in said.out
    assert command.EXAMPLE.startswith(f"doctrail {command.NAME}")


def test_the_version_is_that_of_the_package(doctrail):
    assert doctrail("--version").out == f"doctrail {version('doctrail')}\n"


@pytest.mark.parametrize(
    "words",
    [(), ("explain",), ("why",), ("responses", "--from", "soon"), ("affected", "--grade", "x")],
)
def test_words_that_make_no_command_are_bad_usage(words, doctrail):
    said = doctrail(*words)
    assert (said.code, said.out) == (exit_codes.USAGE, "")
    assert "usage: doctrail" in said.err


def test_a_setting_that_means_nothing_is_bad_usage(app, doctrail, monkeypatch):
    app.answer()
    monkeypatch.setenv("DOCTRAIL_CONTENT", "some")
    said = doctrail("responses")
    assert (said.code, said.out) == (exit_codes.USAGE, "")
    assert said.err.startswith("doctrail: content is 'some'; it must be one of full, hash, off")


def test_python_runs_the_package(app):
    app.answer()
    said = as_process("why", "response-0001")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("Response response-0001\n")


def test_records_are_read_from_the_home_that_is_named(app, doctrail, tmp_path):
    app.answer()
    app.home.rename(tmp_path / "moved")
    assert doctrail("responses").code == exit_codes.NOTHING
    assert doctrail("responses", "--home", str(tmp_path / "moved")).code == exit_codes.OK


def failing_with(error):
    def run(options, terminal):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            OSError(28, "No space left on device", "/x"),
            exit_codes.UNREADABLE,
            "No space left on device: /x",
        ),
        (
            ZeroDivisionError("by zero"),
            exit_codes.FAULT,
            "a fault of doctrail itself: ZeroDivisionError",
        ),
        (ValueError("two\nlines \x1b[31m"), exit_codes.FAULT, "two lines \\x1b[31m"),
        (KeyboardInterrupt(), exit_codes.INTERRUPTED, ""),
    ],
)
def test_every_error_is_one_line_and_an_exit_code(error, code, words, doctrail, monkeypatch):
    monkeypatch.setattr(why, "run", failing_with(error))
    said = doctrail("why", "x")
    assert (said.code, said.out) == (code, "")
    assert words in said.err
    assert said.err.count("\n") <= 1
    assert "Traceback" not in said.err


def test_a_traceback_is_there_for_who_asks_for_it(doctrail, monkeypatch):
    monkeypatch.setattr(why, "run", failing_with(ZeroDivisionError("by zero")))
    monkeypatch.setenv("DOCTRAIL_DEBUG", "1")
    said = doctrail("why", "x")
    assert said.code == exit_codes.FAULT
    assert "Traceback" in said.err


def test_a_reader_that_goes_away_is_no_error(app):
    for number in range(40):
        app.answer(f"response-{number}", answer="yes " * 900, flush=number == 39)
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "doctrail", "responses", "--json", "--limit", "40"],
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    os.close(reading)
    _, err = process.communicate()
    assert (process.returncode, err) == (exit_codes.BROKEN_PIPE, b"")


def test_a_process_without_standard_output_ends_in_silence(app):
    app.answer()
    command = f"'{sys.executable}' -m doctrail responses >&-"
    run = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False)
    assert (run.returncode, run.stderr) == (0, b"")


def test_a_process_without_standard_error_keeps_complaints_out_of_its_results(app):
    app.answer()
    command = f"'{sys.executable}' -m doctrail why nowhere-to-be-found 2>&-"
    run = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False)
    assert (run.returncode, run.stdout) == (1, b"")


class Screen(io.StringIO):
    def isatty(self):
        return True


def said_on(screen, environment):
    Terminal(screen, io.StringIO(), environment).say("Title\n  line\n\nplain")
    return screen.getvalue()


def test_headings_are_bold_on_a_terminal_alone():
    assert said_on(Screen(), {}) == "\x1b[1mTitle\x1b[0m\n  line\n\nplain\n"
    assert said_on(io.StringIO(), {}) == "Title\n  line\n\nplain\n"
    for quiet in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert said_on(Screen(), quiet) == "Title\n  line\n\nplain\n"


def test_tables_fit_the_terminal_they_are_shown_on(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    screen = Screen()
    Terminal(screen, io.StringIO(), {"NO_COLOR": "1"}).table([["id", "text"], ["1", "word " * 20]])
    assert max(map(len, screen.getvalue().splitlines())) <= 20


def test_numbers_that_json_does_not_have_are_null():
    screen = io.StringIO()
    values = {"scores": [1.5, float("nan"), float("inf")]}
    Terminal(screen, io.StringIO(), {}).data(values)
    assert screen.getvalue() == '{"scores": [1.5, null, null]}\n'


def test_output_that_cannot_be_encoded_is_spelled_out(app):
    app.answer(answer="契約 ok")
    said = as_process(
        "why", "response-0001", env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    )
    assert said.returncode == 0
    assert "\\u5951\\u7d04 ok" in said.stdout


def test_help_loads_nothing_that_it_does_not_need():
    code = (
        "import sys; before = set(sys.modules)\n"
        "from doctrail.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(run.stderr.split())
    heavy = {
        "pydantic",
        "opentelemetry",
        "sqlite3",
        "langchain_core",
        "llama_index",
        "asyncio",
        "json",
    }
    assert loaded & heavy == set()
    assert not any(name.startswith("doctrail_core") for name in loaded)
    foreign = {name for name in loaded if name.partition(".")[0] != "doctrail"}
    assert len(foreign) <= 70, sorted(foreign)


def test_the_guard_covers_what_a_command_imports(doctrail, monkeypatch):
    monkeypatch.setitem(sys.modules, "doctrail_core.trails", None)
    said = doctrail("responses")
    assert said.code == exit_codes.FAULT
    assert said.err.startswith("doctrail: a fault of doctrail itself: ")


def test_main_is_what_the_script_runs():
    assert cli.__all__ == ["main"]
