#!/bin/sh
# Test against servers of other projects, in an environment of their own: `test_backends.sh [phoenix] [mlflow]`.
# `DOCTRAIL_BACKENDS=ENVIRONMENT` takes those that are installed there instead.
set -eu
uv=$PWD/.uv/bin/uv
venv=${DOCTRAIL_BACKENDS:-}
if [ -z "$venv" ]; then
    venv=.venv-backends
    unset UV_LINK_MODE # nothing in here refuses links, and copies of a gigabyte take longer than the tests
    packages=
    for backend in "${@:-phoenix}"; do
        case $backend in
        phoenix) packages="$packages arize-phoenix==20.26.1" ;;
        mlflow) packages="$packages mlflow==3.17.2" ;;
        *) echo "no backend that can be installed: $backend" >&2 && exit 2 ;;
        esac
    done
    $uv venv --quiet --clear "$venv"
    # shellcheck disable=SC2086 # one word each
    $uv pip install --quiet --python "$venv" $packages
fi
echo "== backends in $venv"
DOCTRAIL_BACKENDS=$venv .venv/bin/python -m pytest --quiet -m backend integration_tests/backends
[ -n "${DOCTRAIL_BACKENDS:-}" ] || rm -rf "$venv"
