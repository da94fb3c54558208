# The two commands of a newcomer: make demo, make test. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
export UV_SYSTEM_CERTS = 1
export UV_LINK_MODE = hardlink
# Without compiled modules every process starts seconds later, and the tests start hundreds.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo test check bench soak lock clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(VENV)/ready: requirements.lock requirements-uv.lock pyproject.toml
	@sh deploy/venv.sh $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: $(VENV)/ready  ## pictures in, a remedied alert out: under five minutes, no Elasticsearch, no GPU
	$(BIN)/wumu demo

test: $(VENV)/ready  ## everything, against real parts
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/ready  ## the gates: format, lint, types, imports, sizes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_rooms.py

bench: $(VENV)/ready  ## the figures of benchmarks/README.md, as JSON
	$(BIN)/python -m benchmarks.run

soak: $(VENV)/ready  ## an hour of load: memory and file descriptors stay flat
	$(BIN)/python -m benchmarks.soak

lock: $(VENV)/ready  ## renew the locked dependencies
	$(UV) pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-package wumu --no-header --no-annotate --upgrade -o requirements.lock

clean:  ## remove what make made
	rm -rf $(VENV) .demo build dist
