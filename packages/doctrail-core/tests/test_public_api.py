"""The surface of the package, and what importing it costs."""

import subprocess
import sys

import pytest

import doctrail_core


def test_every_promised_name_can_be_imported():
    for name in doctrail_core.__all__:
        assert getattr(doctrail_core, name) is not None


def test_the_promised_names_are_few_and_sorted():
    assert doctrail_core.__all__ == sorted(doctrail_core.__all__)
    assert len(doctrail_core.__all__) <= 12


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = doctrail_core.nothing


def test_importing_the_core_loads_nothing_heavy():
    code = "import doctrail_core, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"pydantic", "opentelemetry", "sqlite3", "doctrail_core.composition"} & set(loaded)
