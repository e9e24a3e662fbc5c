# The fleet on one machine. Needs Python 3.11 or newer, Node.js and make; `make setup` installs the rest
# into .venv and node_modules. Stamps remember what was installed: a second run does nothing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run demo sdk-tests test lint types imports unit bench scale soak clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VENV_STAMP := $(VENV)/.installed
NODE_STAMP := node_modules/.installed
ARGS ?=

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | while IFS='|' read -r name text; do printf 'make %-9s %s\n' "$$name" "$$text"; done
	@echo
	@echo "Options of the commands go into ARGS: make demo ARGS='--users 200 --interactions 20000'"

setup: $(VENV_STAMP) $(NODE_STAMP) $(BIN)/fleet  ## Install everything into .venv and node_modules

$(VENV_STAMP): requirements.txt requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: there is no $(PYTHON) on the PATH: install Python 3.11 or newer, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $$($(PYTHON) --version) is too old, the fleet needs Python 3.11 or newer; name another one: make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "error: $(PYTHON) could not create a virtual environment; on Debian and Ubuntu install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(BIN)/fleet: ops/fleet.sh $(VENV_STAMP)
	@install -m 755 $< $@

$(NODE_STAMP): package.json package-lock.json
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "error: node and npm must be on the PATH for Azurite (Blob Storage): install Node.js 20 or newer" >&2; exit 1; }
	npm ci --silent
	@touch $@

run: setup  ## Start the stack, the fleet and a trickle of sample traffic until Ctrl-C
	@exec $(BIN)/python -m local run $(ARGS)

demo: setup  ## Seed sample traffic, drain it, show the views; ends by itself
	@exec $(BIN)/python -m local demo $(ARGS)

test: setup lint types imports unit  ## Check style, types and imports, and run all tests

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

unit: setup
	$(BIN)/python -m pytest $(ARGS)

bench: setup  ## Measure the fleet against the specification's own processor
	@exec $(BIN)/python -m bench $(ARGS)

scale: setup  ## Push 10,000 people's traffic of three days through a fleet; check limits and figures
	@exec $(BIN)/python -m tests.scale $(ARGS)

soak: setup  ## Disturb a fleet for ten minutes: faults, kills, splits; then everything must add up
	@exec $(BIN)/python -m tests.soak $(ARGS)

sdk-tests: setup  ## Run the SDK's own published tests against the local database server
	@exec $(BIN)/python -m tests.sdk $(ARGS)

clean:  ## Remove what setup installed, caches and the stack's data
	rm -rf $(VENV) node_modules .local .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
