# make run    environment, installation, the default study and its report
# make test   environment, installation, tests
# make test-unit   those that start no Snakemake and are not slow, in less than three minutes
# make bench  speed against peers and limits, in some minutes on an otherwise idle machine
# make lint   formatting, lint, types, docstrings and the floors of the package, as the tests of a change begin
# make docs   the site docs/_build/html, with the explorer of the default study if that is finished
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
GPUS ?= $(shell nvidia-smi --list-gpus 2>/dev/null | wc -l)
REPORT := results/digits/report.html

# Where notebooks begin: docstrings are held to numpydoc's form.
DOCUMENTED := $(addprefix workflow_scripts/modelkin/, \
	analysis/clusters.py analysis/cluster_tables.py analysis/component_importance.py analysis/ensembles.py \
	comparison/measures/__init__.py comparison/measures/base.py layers/maps.py data/images.py data/probes.py \
	networks/building.py networks/classifier.py optimise/descent.py optimise/inversion.py \
	store/arrays.py store/frames.py)

.PHONY: run install test test-unit lint docs bench clean-env

run: install
	$(BIN)/snakemake --cores $(CORES) $(if $(filter-out 0,$(GPUS)),--resources gpu=$(GPUS))
	$(BIN)/snakemake --report $(REPORT)
	@echo "Open $(REPORT:report.html=explorer.html) in a browser for the answer, $(REPORT) for all figures;"
	@echo "results/README.md is the map of what lies there."

install: $(STAMP)

# The stamp is written last, so an interrupted installation is done again.
$(STAMP): pyproject.toml envs/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint envs/constraints.txt --editable '.[dev]'
	touch $(STAMP)

test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-unit: install
	$(BIN)/python -m pytest tests/unit -m "unit and not slow" -n 2 --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/numpydoc lint $(DOCUMENTED)
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

# The site; before it the picture in docs/architecture.md and the table in docs/measures.md.
docs: install
	$(BIN)/python docs/draw_architecture.py
	$(BIN)/python docs/write_measures.py
	$(BIN)/python -m sphinx -b html -q -W --keep-going docs docs/_build/html
	@echo "Open docs/_build/html/index.html."

# torchattacks pins an old requests, which the attacks do not need.
bench: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps torchattacks==3.5.1
	$(BIN)/python -m benchmarks

clean-env:
	rm -rf $(VENV)
