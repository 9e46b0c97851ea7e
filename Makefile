# `make` prints what there is. Set-up happens by itself, and again only when requirements change.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One more than there are cores: many tests wait for a process to start or to end.
WORKERS = $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

# Many short processes run here: each would compile the whole program anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test thorough production lint fuzz bench drill conversations sweep alarm catch-table docs clients clean
help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(READY) ## the incident, the fix and the proof, on a local Azure
	@$(BIN)/python -m demo

test: $(READY) ## both houses' tests, shuffled, on all cores
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

thorough: $(READY) ## the longest tests, and whether each single change of the program is noticed by one
	@$(BIN)/python -m pytest -m thorough tests -n $(WORKERS) --dist worksteal

production: $(READY) ## what requirements.txt alone brings, in an environment of its own, is enough
	@PRODUCTION=1 $(BIN)/python -m pytest tests/end_to_end/test_production_environment.py

lint: $(READY) ## ruff, mypy, imports, zizmor and actionlint, as CI runs them
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/zizmor --offline --no-progress --quiet .github/workflows
	@if command -v actionlint >/dev/null; then actionlint; \
	else echo 'actionlint is not on PATH and was not run: go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.7'; fi

fuzz: $(READY) ## 100,000 cases for everything that reads what others wrote; CASES= and SEED=
	@$(BIN)/python local-azure/tests/fuzz/fuzz.py --also tests/end_to_end/fuzz_targets.py \
	  --cases $(or $(CASES),100000) $(if $(SEED),--seed $(SEED))

bench: $(READY) ## re-measure every claim of speed or cost
	@for claim in benchmarks/*.py; do $(BIN)/python $$claim && echo || exit 1; done

drill: $(READY) ## what clients notice while regions fail, under load: prints it, and writes docs/drills.*
	@$(BIN)/python -m benchmarks.drills --write

conversations: $(READY) ## whether conversations hold on several gateway instances, and what that costs; writes docs/responses-measured.md
	@$(BIN)/python -m benchmarks.conversations --write

sweep: $(READY) ## which breaker, retries and timeout harm clients least, simulated; writes docs/sweep.md
	@$(BIN)/python -m benchmarks.drills.sweep --write docs/sweep.md

alarm: $(READY) ## which alarm rings when, simulated: prints it, and writes docs/alarm.md
	@$(BIN)/python benchmarks/alarm.py --write

catch-table: $(READY) ## which stage catches which mistake first: prints it, and writes docs/catch-table.md
	@$(BIN)/python benchmarks/catch_table.py --write

docs: $(READY) ## the reference of the config, and the README's pictures from real runs
	@$(BIN)/python -m docs.reference
	@$(BIN)/python docs/imports.py
	@$(BIN)/python docs/picture.py
	@$(BIN)/python docs/workbook.py

CLIENTS := tests/end_to_end/clients/programs
clients: $(READY) ## download clients of other people and languages, and run them against it
	@go mod download -C local-azure/tests/clients/go
	@npm ci --silent --prefix local-azure/tests/clients/javascript
	@$(PYTHON) -m venv $(CLIENTS)/.venv
	@$(CLIENTS)/.venv/bin/python -m pip install --disable-pip-version-check -q -r $(CLIENTS)/requirements.txt
	@npm ci --silent --prefix $(CLIENTS)
	@$(BIN)/python -m pytest local-azure/tests/test_other_languages.py tests/end_to_end/clients/test_other_clients.py

clean: ## remove the environment and every cache; the local Azure's state stays
	rm -rf $(VENV) components/.venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.txt requirements-dev.txt components/requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"error: Python {v[0]}.{v[1]} is too old: 3.11 or newer, for example make PYTHON=python3.12")'
	@echo "Setting up $(VENV), once (about two minutes)..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check -r requirements-dev.txt \
	  | grep --line-buffered -oE '^(Collecting [^ ]+|Installing)'
	@touch $(READY)
