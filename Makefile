# Every target sets up what it needs; `make` alone runs the tests.
.DEFAULT_GOAL := test
.PHONY: setup demo test soak test-backends test-coexistence lint alone lowest nli matrix wheels bench lock clean

PYTHON ?= python3
# nltk, with which llama-index-core splits sentences, refuses hard-linked data.
export UV_LINK_MODE := copy
UV := .uv/bin/uv
PACKAGES := $(wildcard packages/*)

.uv/bin/uv:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .uv "uv>=0.13,<0.14"

.venv/.ready: requirements.lock $(wildcard packages/*/pyproject.toml) | .uv/bin/uv
	test -d .venv || $(UV) venv --quiet --python $(PYTHON)
	$(UV) pip sync --quiet requirements.lock
	$(UV) pip install --quiet --no-deps $(addprefix -e ,$(PACKAGES))
	touch $@

setup: .venv/.ready

demo: setup
	.venv/bin/doctrail demo

test: setup
	.venv/bin/python -m pytest

# Memory over 20,000 requests under each framework; about half an hour.
soak: setup
	DOCTRAIL_SOAK=20000 .venv/bin/python -m pytest -k memory_stays_flat packages

# Traces sent to real servers of other projects, installed for it; `make test-backends BACKENDS="phoenix mlflow"`.
test-backends: setup
	sh tools/test_backends.sh $(BACKENDS)

# Beside the real instrumentations of others; part of `make test`.
test-coexistence: setup
	.venv/bin/python -m pytest integration_tests/coexistence

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	.venv/bin/pyright
	for package in $(PACKAGES); do (cd $$package && ../../.venv/bin/deptry --no-ansi src) || exit 1; done

# Each package with nothing but its own dependencies, two at a time.
alone: | .uv/bin/uv
	printf '%s\n' $(notdir $(PACKAGES)) | xargs -P 2 -I PACKAGE sh tools/test_package.sh PACKAGE highest

# Each package at the lowest versions it declares.
lowest: | .uv/bin/uv
	printf '%s\n' $(notdir $(PACKAGES)) | xargs -P 2 -I PACKAGE sh tools/test_package.sh PACKAGE lowest-direct

# What needs torch, which the common environment has not: gigabytes that few changes touch.
nli: | .uv/bin/uv
	sh tools/test_nli.sh

# The LlamaIndex package with every version of its host that differs; `make matrix VERSIONS=0.14.21` for one.
matrix: | .uv/bin/uv
	sh tools/test_versions.sh $(VERSIONS)

# The wheels as a user gets them: built, installed into an empty environment, used.
wheels: | .uv/bin/uv
	sh tools/test_wheels.sh

# What instrumentation costs, side by side with the peers; about 10 minutes.
bench: setup
	.venv/bin/python benchmarks/overhead.py --json benchmarks/results/overhead.json

lock: | .uv/bin/uv
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --group dev pyproject.toml \
	    $(foreach package,$(notdir $(PACKAGES)),--no-emit-package $(package)) -o requirements.lock

clean:
	rm -rf .uv .venv .venv-* dist .pytest_cache .ruff_cache
