"""The README's fences run, one after the other, as a reader would type them."""

import os
import re
import subprocess
import sys
from pathlib import Path

# Where it is installed, llama-index-core imports it.
_COMMUNITY = "ignore:`langchain-community` is being sunset:DeprecationWarning"
# It looks at every attribute of an agent when it makes one.
_FIELDS = "ignore:The `__fields:DeprecationWarning"
_MODEL_FIELDS = "ignore:Accessing the 'model_:DeprecationWarning"
README = Path(__file__).parent.parent / "README.md"


def test_the_fences_run_as_one_program(tmp_path):
    fences = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(fences) >= 5
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error"),
            *(
                argument
                for known in (_COMMUNITY, _FIELDS, _MODEL_FIELDS)
                for argument in ("-W", known)
            ),
            *("-c", "\n".join(fences)),
        ],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith("DOCTRAIL")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 chunk of 1 document retrieved" in done.stdout
    assert "doc_4821" in done.stdout
    assert "call_1 -> call_1" in done.stdout
    assert "s-1 2" in done.stdout
    for promised in re.findall(r"^#> (.+)$", "\n".join(fences), re.MULTILINE):
        assert promised in done.stdout
