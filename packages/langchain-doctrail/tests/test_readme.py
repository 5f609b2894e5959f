"""The README's Python runs as it stands, in a process and a folder of its own."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_readme_runs_from_top_to_bottom(tmp_path):
    fences = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
    assert len(fences) == 6
    agents = importlib.util.find_spec("langchain") is not None
    fences = [f for f in fences if agents or "langchain_doctrail.agents" not in f]
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(fences)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert result.stderr == ""
    assert result.returncode == 0
    first, second = result.stdout.split("Response ")[1:]
    assert "doc_4821" in first
    assert "session s-1" in second
    assert "[DOC-ID: doc_4821, chunk 3, score: " in first
    promised = re.findall(r"^#> (.*)$", "\n".join(fences), re.MULTILINE)
    assert [line for line in first.splitlines() if line in promised] == promised
    assert ("artifact 1 True" in promised) is agents
    assert (tmp_path / ".doctrail").is_dir()
