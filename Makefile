# make run    environment, installation, the default study and its report
# make test   environment, installation, tests
# make test-unit   those that start no Snakemake and are not slow, in less than three minutes
# make bench  speed against peers and limits, in some minutes on an otherwise idle machine
# make lint   formatting and lint, as the tests of a change begin
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
GPUS ?= $(shell nvidia-smi --list-gpus 2>/dev/null | wc -l)
REPORT := results/digits/report.html

.PHONY: run install test test-unit lint bench clean-env

run: install
	$(BIN)/snakemake --cores $(CORES) $(if $(filter-out 0,$(GPUS)),--resources gpu=$(GPUS))
	$(BIN)/snakemake --report $(REPORT)
	@echo "Open $(REPORT) in a browser; results/README.md is the map of what lies there."

install: $(STAMP)

# The stamp is written last, so an interrupted installation is done again.
$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)

test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-unit: install
	$(BIN)/python -m pytest tests/unit -m "unit and not slow" -n 2 --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

# torchattacks pins an old requests, which the attacks do not need.
bench: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps torchattacks==3.5.1
	$(BIN)/python -m benchmarks

clean-env:
	rm -rf $(VENV)
