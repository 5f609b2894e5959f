"""The examples run offline, in an empty folder, and print the trail of an answer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_prints_an_answer_and_where_it_came_from(example, tmp_path):
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith("DOCTRAIL")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "Documents behind the answer" in done.stdout
    assert "doc_4821" in done.stdout
    assert (tmp_path / ".doctrail" / "trails.db").exists()
