#!/bin/sh
# Build the wheels, install them into an empty environment, and use them from an empty folder.
set -eu
uv=$PWD/.uv/bin/uv
venv=$PWD/.venv-wheels
rm -rf dist
$uv build --quiet --all-packages --wheel --out-dir dist
$uv venv --quiet --clear "$venv"
# the lock as constraints: a lagging index must not change what is tested
$uv pip install --quiet --python "$venv" --constraint requirements.lock \
    "dist/$(ls dist | grep '^doctrail-[0-9]')[demo]" dist/*.whl
$uv pip check --quiet --python "$venv"
home=$(mktemp -d)
cd "$home"
"$venv/bin/doctrail" --version
"$venv/bin/doctrail" demo >demo.txt
"$venv/bin/doctrail" responses --json >responses.jsonl
test "$(wc -l <responses.jsonl)" -ge 3
"$venv/bin/doctrail" doctor
for module in doctrail_core doctrail langchain_doctrail llama_index.observability.doctrail; do
    "$venv/bin/python" -c "import importlib.resources as r; assert (r.files('$module') / 'py.typed').is_file()"
done
cd - >/dev/null
rm -rf "$venv" "$home"
