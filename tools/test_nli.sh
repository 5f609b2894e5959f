#!/bin/sh
# Test the local models in an environment of their own: `test_nli.sh [lowest-direct]`.
set -eu
uv=$PWD/.uv/bin/uv
venv=.venv-nli
unset UV_LINK_MODE # nothing in here refuses links, and a copy of torch takes longer than the tests
$uv venv --quiet --clear "$venv"
$uv pip install --quiet --python "$venv" --resolution "${1:-highest}" -e "packages/doctrail-core[nli]" --group test
echo "== local models"
"$venv/bin/python" -m pytest --quiet packages/doctrail-core/tests/test_nli*.py
rm -rf "$venv"
