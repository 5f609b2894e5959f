"""What the package is from outside: its names, its weight, its place in LlamaIndex's namespace."""

import subprocess
import sys
from pathlib import Path

import llama_index.observability.doctrail as package


def test_the_public_names_are_exactly_these():
    assert package.__all__ == [
        "AnswerChecked",
        "AnswerDrafted",
        "DocIdTagPostprocessor",
        "GroundingEvaluator",
        "GroundingPostprocessor",
        "GroundingStep",
        "LineageInstrumentor",
        "LineageQueryEngine",
        "LineageRetriever",
        "TagAwarePromptHelper",
        "UngroundedAnswerError",
        "llama_index_judge",
    ]
    assert all(hasattr(package, name) for name in package.__all__)


def test_nothing_of_ours_stands_in_the_way_of_other_packages_of_the_namespace():
    leaf = Path(package.__file__).parent
    assert not (leaf.parent / "__init__.py").exists()
    assert not (leaf.parent.parent / "__init__.py").exists()
    assert (leaf / "py.typed").exists()


def loaded_by(code):
    script = f"import sys, llama_index.core; before = set(sys.modules); {code}; print(*(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_importing_it_adds_few_modules():
    added = loaded_by("import llama_index.observability.doctrail")
    assert len(added) <= 57, sorted(added)
    assert not {"sqlite3", "opentelemetry"} & {name.partition(".")[0] for name in added}


def test_importing_it_installs_nothing():
    code = (
        "from llama_index_instrumentation import get_dispatcher as d;"
        "n = len(d().event_handlers) + len(d().span_handlers);"
        "import llama_index.observability.doctrail;"
        "assert len(d().event_handlers) + len(d().span_handlers) == n"
    )
    loaded_by(code)
