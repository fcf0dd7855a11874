# Every target sets up what it needs: a virtual environment of its own for each Python.
# Another one: make test PYTHON=python3.12
ifndef PYTHON
PYTHON := $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
endif
VENV ?= .venv-$(notdir $(PYTHON))
BIN := $(VENV)/bin
READY := $(VENV)/ready
WORKERS ?= auto
REPEATS ?= 3

INTEGRATIONS := grain tfds hf webdataset torch text

.PHONY: run test slow check lint docs learn faults bench bench-quick integrations clean

run: $(READY)
	$(BIN)/runner

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow"

# What trains until something is learned, and the documents' commands at full size.
slow: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) -m slow

# Tests of each optional library in an environment of its own, because some of them are large, or exclude each other.
integrations: $(INTEGRATIONS:%=integration-%)

$(INTEGRATIONS:%=integration-%): integration-%: $(VENV)-%/ready
	$(VENV)-$*/bin/python -m pytest -n 0 -o addopts="-q --strict-markers --import-mode=importlib" tests/integrations/test_$*.py

$(INTEGRATIONS:%=$(VENV)-%/ready): $(VENV)-%/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/python -m pip install --quiet --editable '.[dev,$*]'
	@touch $@

# All that .ci/run asks for.
check: lint docs test slow

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

# Builds the documentation in site/; warnings are errors, also in pages that have not changed.
docs: $(READY)
	rm -rf docs/api
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet docs site

# Trains every scenario and experiment on three seeds, and compares each with its baseline.
learn: $(READY)
	$(BIN)/python benchmarks/learn.py

# Measures speed against hand-written loops, and against Keras, torch and a joblib launcher where they are installed.
# PEERS=... names another Python for Keras and torch: tensorboardX imports a torch that is installed with it, which takes long.
bench: $(READY)
	$(BIN)/python benchmarks/speed.py --repeats $(REPEATS) $(PEERS:%=--peers %)

# The two short works alone, once: under two minutes.
bench-quick: $(READY)
	$(BIN)/python benchmarks/speed.py W1 W2 help --repeats 1 $(PEERS:%=--peers %)

# Kills, damages and starves runs and what they save; reports how each trial went. Takes half an hour.
faults: $(READY)
	$(BIN)/python -m faults

# The package is installed editable: only another pyproject.toml makes it install again.
$(READY): pyproject.toml
	$(if $(PYTHON),,$(error no Python 3.11 or later was found; name one by PYTHON=...))
	@echo "setting up $(VENV), once: this takes a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv-* .pytest_cache .ruff_cache .import_linter_cache site docs/api
