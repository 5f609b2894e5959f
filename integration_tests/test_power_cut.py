"""A power cut: a disk is copied while processes append to a ledger on it, and the copy is looked at."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "power_cut.py"


def can_mount(folder: Path) -> bool:
    image, place = folder / "try.img", folder / "try"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(8 << 20)
    commands = [
        ["mkfs.ext4", "-q", image],
        ["mount", "-o", "loop", image, place],
        ["umount", place],
    ]
    try:
        return all(
            subprocess.run(c, check=False, capture_output=True).returncode == 0 for c in commands
        )
    except FileNotFoundError:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_a_power_cut_costs_nothing_in_strict_and_only_the_last_records_in_bounded(tmp_path):
    if not can_mount(tmp_path):
        pytest.skip("no disk can be mounted here")
    options = ["--trials", "2", "--seconds", "0.2", "2", "--megabytes", "64", "--writers", "1"]
    done = subprocess.run(
        [sys.executable, BENCHMARK, *options, "--folder", tmp_path, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    cuts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [cut["mode"] for cut in cuts] == ["bounded"] * 2 + ["strict"] * 2, done.stderr
    assert all(cut["acknowledged"] > 20 for cut in cuts)
    assert [cut["lost"] for cut in cuts if cut["mode"] == "strict"] == [0, 0]
    assert all(cut["in_order"] for cut in cuts)
    assert done.returncode == 0
