.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help run test setup lint types layers format bench clean

help: ## Show this help
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make the environment and install everything

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q "torch==2.13.0"
	$(BIN)/pip install -q -c constraints.txt -e ".[all,dev]"
	touch $(STAMP)

run: $(STAMP) ## Install, fetch the embedded models, build the index, start the coach
	$(BIN)/coach models pull smollm2-135m-instruct
	$(BIN)/coach index build
	$(BIN)/coach serve --open

test: $(STAMP) lint types layers ## Install, lint, check types and layers, run the eval gate and all tests
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium fonts-dejavu-core; } \
	  || echo "chromium could not be installed: the browser tests will say so"
	$(BIN)/coach knowledge check
	$(BIN)/coach eval gate
	$(BIN)/python -m pytest

lint: $(STAMP) ## Check style
	$(BIN)/ruff check .

types: $(STAMP) ## Check types
	$(BIN)/mypy

layers: $(STAMP) ## Check who imports whom
	$(BIN)/lint-imports

format: $(STAMP) ## Sort imports and mend what ruff can mend
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## Measure speed against plain transformers and llama.cpp
	$(BIN)/coach bench

clean: ## Delete the environment and all caches
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
