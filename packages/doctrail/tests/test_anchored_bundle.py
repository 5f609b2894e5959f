"""A bundle has what anchors gave, shown to be of this log, and says how to interpret it."""

import json
import subprocess
import sys


def test_a_bundle_shows_what_anchors_hold_and_how_to_read_the_log(app, doctrail, tmp_path):
    app.answer("response-0001")
    assert doctrail("audit", "init").code == 0
    config = app.home / "audit" / "config.json"
    (tmp_path / "away").mkdir()
    anchor = {"kind": "directory", "name": "away", "path": str(tmp_path / "away")}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"anchors": [anchor]}))
    assert doctrail("audit", "checkpoint").code == 0
    app.answer("response-0002")
    out = tmp_path / "bundle"
    assert doctrail("audit", "bundle", "--out", str(out)).code == 0
    (held,) = (tmp_path / "away").rglob("*.checkpoint")
    assert (out / "anchors" / "away.checkpoint").read_bytes() == held.read_bytes()
    assert (out / "interpretation.md").read_text().startswith("# How to interpret this log")
    (earlier,) = json.loads((out / "earlier.json").read_text())
    assert earlier["note"].encode() == held.read_bytes()
    words = ["--key", json.loads(config.read_text())["key"], "--checkpoint", str(held)]
    ran = subprocess.run(
        [sys.executable, out / "verify.py", *words], check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout
