"""The commands of the page on diagnosis run as they stand there, and print what it shows."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from doctrail.cli import main
from doctrail_core import configure

PAGE = Path(__file__).parents[2] / "docs" / "diagnosis.md"
CONSOLE = re.compile(r"```console\n\$ (.*)\n((?:(?!```).*\n)*)```")
MODULE = re.compile(r"```python\n# shop\.py\n(.*?)```", re.DOTALL)
VARYING = [
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"replay-[0-9a-f]{8}"), "replay-ID"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "TIME"),
    (re.compile(r"(?:\d[\d,.]*) m?s\b"), "SOON"),
]


def plain(text):
    for varying, word in VARYING:
        text = varying.sub(word, text)
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The page's module where the commands are typed, with its one answer on record."""
    text = PAGE.read_text(encoding="utf-8")
    (tmp_path / "shop.py").write_text(MODULE.search(text)[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCTRAIL_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(str(tmp_path))
    lineage = configure()
    import shop

    from langchain_doctrail import LineageCallbackHandler

    shop.chain().invoke(shop.QUESTION, {"callbacks": [LineageCallbackHandler()]})
    lineage.flush()
    yield text
    configure().close()
    sys.modules.pop("shop", None)


def test_every_command_prints_what_the_page_shows(shop, capsys):
    shown = CONSOLE.findall(shop)
    assert len(shown) >= 4
    for command, output in shown:
        assert main(shlex.split(command)[1:]) == 0
        said = capsys.readouterr().out
        if output.endswith("...\n"):
            assert plain(said)[: len(plain(output)) - 1] == plain(output)[:-1], command
        else:
            assert plain(said) == plain(output), command
