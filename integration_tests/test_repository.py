"""What the repository promises about itself: lock, versions, licences, layers, no private traces."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
UV = ROOT / ".uv" / "bin" / "uv"


def project(package: Path) -> dict:
    return tomllib.loads((package / "pyproject.toml").read_text())["project"]


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_tracked_file_names_an_index_or_a_folder_of_one_machine():
    hosts = ["p" + "ypi.org", "files.python" + "hosted", "registry.npm" + "js", "deb.deb" + "ian"]
    folders = ["/ro" + "ot/", "/wo" + "rk/", "/opt/p" + "ypi", "/opt/wh" + "eels"]
    forbidden = re.compile("|".join(map(re.escape, hosts + folders)))
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()[:80]}"
        for path in tracked_files()
        for line in path.read_text(errors="replace").splitlines()
        if forbidden.search(line)
    ]
    assert found == []


def test_the_lock_pins_hashes_and_nothing_else():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    kinds = re.compile(r"$|[a-z0-9][\w.\-]*==\S+|    (--hash=sha256:|# )|#")
    assert [line for line in lines if not kinds.match(line)] == []


@pytest.mark.skipif(not UV.exists(), reason="the environment was not made by `make setup`")
def test_the_lock_is_what_the_projects_ask_for(tmp_path):
    fresh = tmp_path / "requirements.lock"
    shutil.copy(ROOT / "requirements.lock", fresh)  # what is pinned stays, where it still fits
    ours = [part for p in PACKAGES for part in ("--no-emit-package", p.name)]
    command = ["pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"]
    subprocess.run(
        [UV, *command, "--group", "dev", "pyproject.toml", *ours, "-o", fresh], cwd=ROOT, check=True
    )
    pins = re.compile(r"^\S+==\S+", re.MULTILINE)
    locked = pins.findall((ROOT / "requirements.lock").read_text())
    assert pins.findall(fresh.read_text()) == locked, "run `make lock` and commit the result"


def test_all_packages_carry_one_version():
    assert len({project(package)["version"] for package in PACKAGES}) == 1


def test_packages_accept_each_other_at_that_version():
    version = project(PACKAGES[0])["version"]
    major, minor, _ = version.split(".")
    names = {package.name for package in PACKAGES}
    for package in PACKAGES:
        extras = project(package).get("optional-dependencies", {}).values()
        for wanted in [*project(package)["dependencies"], *(d for e in extras for d in e)]:
            name = re.split(r"[<>=\[ ]", wanted)[0]
            if name in names:
                assert wanted == f"{name}>={major}.{minor},<{major}.{int(minor) + 1}"


def test_every_package_carries_the_licence():
    licence = (ROOT / "LICENSE").read_bytes()
    assert b"Apache License" in licence
    assert {(package / "LICENSE").read_bytes() for package in PACKAGES} == {licence}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).parent / "lint-imports"
    sources = ":".join(str(folder / p.relative_to(ROOT) / "src") for p in PACKAGES)
    return subprocess.run(
        [tool, "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": sources, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        (
            "doctrail-core/src/doctrail_core/model/chunk.py",
            "import langchain_core",
            "The core knows no framework",
        ),
        (
            "doctrail-core/src/doctrail_core/text/identity.py",
            "import doctrail_core.capture.events",
            "Inside the core, arrows point down",
        ),
        (
            "doctrail-core/src/doctrail_core/text/identity.py",
            "import sqlite3",
            "Records and text functions are pure",
        ),
        (
            "langchain-doctrail/src/langchain_doctrail/__init__.py",
            "import opentelemetry.trace",
            "An adapter opens no span and touches no store",
        ),
        (
            "langchain-doctrail/src/langchain_doctrail/__init__.py",
            "import llama_index.observability.doctrail",
            "All stand on the core",
        ),
    ],
)
def test_a_broken_layer_is_found_by_name(tmp_path, file, line, contract):
    for package in PACKAGES:
        shutil.copytree(package / "src", tmp_path / package.relative_to(ROOT) / "src")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    broken = tmp_path / "packages" / file
    broken.write_text(f"{broken.read_text()}\n{line}\n")
    outcome = lint_imports(tmp_path)
    assert outcome.returncode == 1
    assert re.search(rf"{re.escape(contract)}.* BROKEN", outcome.stdout)
