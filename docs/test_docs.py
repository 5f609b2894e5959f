"""Every Python fence of the documentation runs, and prints what it says it prints."""

from pathlib import Path

import pytest
from pytest_examples import CodeExample, EvalExample, find_examples

from doctrail_core import configure

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]  # packages test their own


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Each example starts where nothing was recorded yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOCTRAIL_HOME", raising=False)
    configure()
    yield
    configure()


@pytest.mark.parametrize(
    "example",
    list(find_examples(*PAGES)),
    ids=lambda example: f"{example.path.relative_to(ROOT)}:{example.start_line}",
)
def test_the_example_runs_and_prints_what_it_says(example: CodeExample, eval_example: EvalExample):
    if eval_example.update_examples:
        eval_example.run_print_update(example)
    else:
        eval_example.run_print_check(example)
