#!/bin/sh
# Test one package in an environment of its own: `test_package.sh NAME highest|lowest-direct`.
# A shared environment hides what a package forgot to declare, and lifts the floors of the others.
set -eu
package=$1 resolution=$2
uv=$PWD/.uv/bin/uv
venv=.venv-$package-$resolution
$uv venv --quiet --clear "$venv"
set -- -e "packages/$package"
[ "$package" = doctrail-core ] || set -- "$@" -e packages/doctrail-core
$uv pip install --quiet --python "$venv" --resolution "$resolution" "$@" --group test
echo "== $package, $resolution"
"$venv/bin/python" -m pytest --quiet "packages/$package"
rm -rf "$venv"
