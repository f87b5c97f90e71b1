# `make run` and `make test` are the two commands; everything they need lands in $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test lint types contracts pytest specs soak bench dist clean

run: $(READY)
	$(BIN)/luamtev examples/hello.lua

test: lint types contracts pytest specs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@if command -v luacheck >/dev/null; then echo luacheck -q .; luacheck -q .; \
	else echo "Lua is not linted: luacheck is not here (Debian's package lua-check)"; fi

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/lint-imports

# What can be tested within one process is measured meanwhile, and has a floor; the rest is programs of their own.
MEASURED := $(addprefix tests/runtime/,conf eventer http log util)

# Two processes take a file each; what a file shares among its tests is made once.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile -m "not soak"

pytest: $(READY)
	$(PYTEST) $(MEASURED) --cov
	$(PYTEST) $(MEASURED:%=--ignore=%)

specs: $(READY)
	$(BIN)/mtev-busted spec/

soak: $(READY)
	$(BIN)/pytest -m soak

bench: $(READY)
	$(BIN)/python benchmarks/run.py

dist: $(READY)
	$(BIN)/python -m build --no-isolation

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .import_linter_cache

# A Python too old is told at once, in words every Python understands, not by pip's search for packages that fit it.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("luamtev needs Python 3.11 or later: $(PYTHON) is %d.%d; make PYTHON=python3.12 takes another" % sys.version_info[:2])'
	@echo "setting up $(VENV): packages are fetched once, which takes a minute or two"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --editable '.[dev]'
	@touch $@
