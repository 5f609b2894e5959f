#!/bin/sh
# Test the LlamaIndex package with each llama-index-core that streams in a way of its own, and with those
# at either end: about two minutes for each on two idle cores, installing included.
set -eu
uv=$PWD/.uv/bin/uv
venv=.venv-versions
for version in ${*:-0.14.16 0.14.21 0.14.24 0.14.25}; do
    $uv venv --quiet --clear "$venv"
    $uv pip install --quiet --python "$venv" --group test -e packages/doctrail-core \
        -e packages/llama-index-observability-doctrail "llama-index-core==$version"
    echo "== llama-index-core $version"
    "$venv/bin/python" -m pytest --quiet packages/llama-index-observability-doctrail
done
rm -rf "$venv"
