# The fleet on one machine. Needs Python 3.11 to 3.13, Node.js and make; `make setup` installs the rest
# into .venv and node_modules. Stamps remember what was installed: a second run does nothing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup lock infra infra-check run demo sdk-tests test lint types imports unit az-check bench package pictures scale archive soak clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VENV_STAMP := $(VENV)/.installed
INFRA_VENV := .venv-infra
INFRA_STAMP := $(INFRA_VENV)/.installed
NODE_STAMP := node_modules/.installed
ARGS ?=
AZURE_CLI := 2.91.0
WORKERS ?= 2
NONE = [ $$? -eq 5 ]  # pytest ends with 5 if ARGS choose none of these tests
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" $(ARGS)

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | while IFS='|' read -r name text; do printf 'make %-11s %s\n' "$$name" "$$text"; done
	@echo
	@echo "Options go into ARGS: make demo ARGS='--users 200'"

setup: $(VENV_STAMP) $(NODE_STAMP) $(BIN)/fleet  ## Install everything into .venv and node_modules, 2 minutes

$(VENV_STAMP): requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: there is no $(PYTHON) on the PATH: install Python 3.11, 3.12 or 3.13, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "error: $$($(PYTHON) --version 2>&1) is not supported, the fleet needs Python 3.11, 3.12 or 3.13; name another one: make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "error: $(PYTHON) could not create a virtual environment; on Debian and Ubuntu install python3-venv" >&2; exit 1; }
	@echo "Installing the Python packages of requirements-dev.txt into $(VENV), about a minute …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(BIN)/fleet: ops/fleet.sh $(VENV_STAMP)
	@install -m 755 $< $@

$(NODE_STAMP): package.json package-lock.json
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "error: node and npm must be on the PATH for Azurite (Blob Storage): install Node.js 20 or newer" >&2; exit 1; }
	@echo "Installing Azurite (Blob Storage) into node_modules, about a minute …"
	@npm ci --silent
	@touch $@

run: setup  ## Start the stack, the fleet and sample traffic until Ctrl-C
	@exec $(BIN)/python -m local run $(ARGS)

demo: setup  ## Seed sample traffic, drain it, show the views; ends by itself
	@exec $(BIN)/python -m local demo $(ARGS)

lock: setup  ## Write requirements*.txt from the .in files (ARGS=--upgrade)
	$(LOCK) --output-file requirements.txt requirements.in
	$(LOCK) --output-file requirements-dev.txt requirements-dev.in
	$(LOCK) --override requirements-infra-overrides.txt --output-file requirements-infra.txt requirements-infra.in

infra: setup  ## Write infra/*.json from the catalogue of containers
	$(BIN)/fleet docs containers > infra/containers.json
	$(BIN)/fleet docs roles > infra/roles.json

infra-check: $(INFRA_STAMP)  ## Check infra/ with tools of their own: 1 minute after install
	@$(INFRA_VENV)/bin/python -m tests.azure

$(INFRA_STAMP): requirements-infra.txt $(VENV_STAMP)
	@test -x $(INFRA_VENV)/bin/python || $(BIN)/python -m venv $(INFRA_VENV)
	@echo "Installing the Python packages of requirements-infra.txt into $(INFRA_VENV) …"
	@# Without dependencies: all of them are listed, and requirements-infra-overrides.txt says which differs.
	@$(BIN)/uv pip install --quiet --python $(INFRA_VENV)/bin/python --no-deps --require-hashes -r requirements-infra.txt
	@touch $@

test: setup lint types imports unit  ## Check style, types and imports, and run all tests

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

unit: setup  ## Run all tests, 10 to 20 min; ARGS=tests/unit/shared: 30 s
	@$(BIN)/python -m pytest -m "not processes" --numprocesses $(WORKERS) --dist worksteal $(ARGS) || $(NONE)
	@$(BIN)/python -m pytest -m processes --numprocesses $(WORKERS) --dist loadfile $(ARGS) || $(NONE)

bench: setup  ## Measure the fleet against the specification's own processor
	@exec $(BIN)/python -m bench $(ARGS)

scale: setup  ## Push traffic of 10,000 people through a fleet; check limits
	@exec $(BIN)/python -m tests.scale $(ARGS)

package: setup  ## Build what is deployed; install, load it in clean environments
	@exec $(BIN)/python -m tests.deployment $(ARGS)

az-check: setup  ## Compare the documented az commands with az's own help, 4 min
	@test -x .venv-azure/bin/az || { $(PYTHON) -m venv .venv-azure && .venv-azure/bin/python -m pip install --quiet --disable-pip-version-check azure-cli==$(AZURE_CLI); }
	@exec $(BIN)/python -m tests.azure_cli .venv-azure/bin/az

pictures: setup  ## Draw what commands print, for the README
	@exec $(BIN)/python -m tests.pictures

archive: setup  ## Archive 50,000 documents while hosts are killed; read all back
	@exec $(BIN)/python -m tests.archive_check $(ARGS)

soak: setup  ## Disturb a fleet for ten minutes; then everything must add up
	@exec $(BIN)/python -m tests.soak $(ARGS)

sdk-tests: setup  ## Run the SDK's own tests against the local database server
	@exec $(BIN)/python -m tests.sdk $(ARGS)

clean:  ## Remove what setup installed, caches and the stack's data
	rm -rf $(VENV) .venv-* node_modules .local .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
