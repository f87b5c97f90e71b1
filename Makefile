# `make run` and `make test` are the two commands; everything they need lands in $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test lint types contracts pytest specs soak bench clean

run: $(READY)
	$(BIN)/luamtev examples/hello.lua

test: lint types contracts pytest specs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/lint-imports

pytest: $(READY)
	$(BIN)/pytest -m "not soak"

specs: $(READY)
	$(BIN)/mtev-busted spec/

soak: $(READY)
	$(BIN)/pytest -m soak

bench: $(READY)
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
