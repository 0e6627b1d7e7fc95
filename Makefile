# Two commands a newcomer needs: `make demo` and `make test`. Each sets up .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# glibc keeps large tensors mapped instead of faulting fresh pages; OpenMP threads sleep, not spin.
export OMP_WAIT_POLICY := PASSIVE
export MALLOC_MMAP_THRESHOLD_ := 2147483647
export MALLOC_TRIM_THRESHOLD_ := 2147483647
export HF_HUB_OFFLINE ?= 1

.PHONY: help setup demo test test-all check format bench clean
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.torch: constraints.txt scripts/install_torch
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	  "Allport needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@sh scripts/install_torch $(BIN)/python
	@touch $@

$(VENV)/.base: pyproject.toml $(VENV)/.torch
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.torch
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	@touch $@ $(VENV)/.base

setup: $(VENV)/.dev ## Make .venv with everything for development

demo: $(VENV)/.base ## Measure the embedded model, score an example person, write a report
	$(BIN)/allport demo

test: $(VENV)/.dev ## Run the tests (under ten minutes)
	$(BIN)/python -m pytest -q -n 2

test-all: $(VENV)/.dev ## Run every test, slow ones too
	HYPOTHESIS_PROFILE=drawn $(BIN)/python -m pytest -q -n 2 -m ""

check: $(VENV)/.dev ## Format, lint, strict types, import direction
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## Measure speed; writes benchmarks/results and the tables in docs
	$(BIN)/python -m benchmarks

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
