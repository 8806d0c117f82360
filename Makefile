# Every target makes the environment it needs; `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo lab test nightly bench lint clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*  ## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

# The stamp is written last, so that an interrupted installation is done again.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "workbench needs Python 3.11 or later: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[notebook,dev]"
	@touch $@

demo: $(READY)  ## train a model on MNIST in a notebook and say how fast it was
	$(BIN)/python notebooks/demo.py

lab: $(READY)  ## open the notebooks in JupyterLab
	$(BIN)/python -m jupyterlab --ServerApp.root_dir=notebooks \
	  $(if $(filter 0,$(shell id -u)),--allow-root)

# Tests run side by side, so a matrix product has one thread; and they do not depend on
# the flags that the person who runs them keeps in a file.
test nightly: export OPENBLAS_NUM_THREADS = 1
test nightly: export WORKBENCH_CONFIG = /dev/null

test: $(READY)  ## run the quick tests
	$(BIN)/python -m pytest -m "not nightly" -n auto --dist loadfile

nightly: $(READY)  ## run the slow tests
	$(BIN)/python -m pytest -m nightly

# The peers have an environment of their own. A quick look: make bench BENCH=--quick
bench: $(READY) build/bench/.ready  ## measure beside NumPy, PyTensor, JAX and PyTorch
	$(BIN)/python -m benchmarks --json build/bench.json --markdown build/bench.md $(BENCH)

build/bench/.ready: benchmarks/requirements.txt | $(READY)
	$(BIN)/python -m benchmarks --install
	@touch $@

lint: $(READY)  ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove what was made, except the environment
	rm -rf build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
