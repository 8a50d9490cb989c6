# Each target does all its own set-up on a fresh machine with Python 3.11+.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Two spinning threads on two busy cores are many times slower than one.
export OMP_NUM_THREADS ?= 1

.PHONY: help install demo test lint clean bench-peers

help:
	@echo "make demo         oversample a rare class of a real table with a conditional VAE; is it any help?"
	@echo "make test         ruff, mypy and pytest"
	@echo "make bench-peers  an environment with CTGAN and TVAE, for benchmarks/"
	@echo "make clean        remove what the others made"

install: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	@touch $@

demo: install
	$(BIN)/augsynth run table_balance_vae --out demo_output --force

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n 2

# CTGAN wants an older pandas, so the peers have an environment of their own.
bench-peers:
	$(PYTHON) -m venv .bench-peers
	.bench-peers/bin/python -m pip install --quiet -r benchmarks/peers/requirements.txt

clean:
	rm -rf $(VENV) .bench-peers demo_output .pytest_cache .mypy_cache .ruff_cache dist build
