# make run   environment, installation, default study
# make test  environment, installation, tests
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)

.PHONY: install test clean-env

install: $(STAMP)

# The stamp is written last, so an interrupted installation is done again.
$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)

test: install
	$(BIN)/python -m pytest

clean-env:
	rm -rf $(VENV)
