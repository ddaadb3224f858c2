# Everything lives in this folder (.venv); a second run of any target installs nothing again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
NODE_STAMPS := $(foreach part,clients proxies recipes,tests/$(part)/node_modules/.stamp)
TESTS ?=
# Processes that share the tests out, which wait for most of their time; 0 for a debugger.
PROCESSES ?= 3

.DEFAULT_GOAL := help
.PHONY: help run check test clients torture changes machines held windows probes soak release-check lint bench bench-compare format clean test-parts

help:  ## show this
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 15

run: $(VENV)/run.stamp  ## serve the wall; settings come from the environment (PORT, DATABASE_URL, …)
	@exec $(BIN)/python app.py

check: lint  ## lint, types and unit tests; no server, browser, PostgreSQL or MariaDB: test has them
	@$(BIN)/python -m pytest -n $(PROCESSES) -rfE -m "not serving and not load" \
	--sqlite-only tests/poller tests/wall tests/test_architecture.py </dev/null

test: $(VENV)/dev.stamp test-parts  ## all tests; TESTS="tests/serving -k resume" chooses some
	@$(BIN)/python -m pytest -n $(PROCESSES) $(TESTS) </dev/null

clients: $(VENV)/clients.stamp test-parts  ## every client through every cut; writes docs/clients.md
	@sh tests/harness/install.sh clients
	@timeout 1800 $(BIN)/python -m tests.clients </dev/null

DATABASES ?= postgresql mariadb mariadb-mdl sqlite
SEEDS ?= 1 2 3 4 5
SECONDS_EACH ?= 60
HOLD_SECONDS ?= 120
torture: $(VENV)/dev.stamp test-parts  ## writers, clients and faults on real databases; writes docs/torture.md
	@$(BIN)/python -m tests.campaigns.oracle --databases $(DATABASES) --seeds $(SEEDS) \
	--seconds $(SECONDS_EACH) --hold $(HOLD_SECONDS) --write docs/torture.md </dev/null

changes: $(VENV)/dev.stamp test-parts  ## rows that change, under every fault: has every client the table at the end?
	@$(BIN)/python -m tests.campaigns.oracle.changing --databases $(DATABASES) --seeds $(SEEDS) \
	--seconds $(SECONDS_EACH) </dev/null

machines: $(VENV)/dev.stamp test-parts  ## two machines behind HAProxy, each in trouble: is anything lost?
	@sh tests/harness/install.sh machines
	@$(BIN)/python -m tests.campaigns.machines --seeds $(SEEDS) </dev/null

held: $(VENV)/dev.stamp test-parts  ## is anybody delayed by a transaction that stays open for HOLD_SECONDS?
	@$(BIN)/python -m tests.campaigns.oracle --databases $(filter-out sqlite,$(DATABASES)) --seeds \
	--hold $(HOLD_SECONDS) </dev/null

RUNS ?= 10000
EACH ?= 20
windows: $(VENV)/dev.stamp test-parts  ## feeds by window: RUNS of the engine, then EACH database and kind of key
	@$(BIN)/python -m tests.campaigns.windows --runs $(RUNS) --seeds $(EACH) </dev/null

SCENES ?=
probes: $(VENV)/bench.stamp test-parts  ## rowcast probe against real servers and proxies; keeps what was seen for make test
	@sh benchmarks/install.sh "$(CURDIR)/$(VENV)/nchan"
	@$(BIN)/python -m tests.campaigns.probes --keep $(SCENES) </dev/null

SOAK_MINUTES ?= 30
SOAK_PATH ?= fanout
soak: $(VENV)/dev.stamp  ## clients that come and go for SOAK_MINUTES: does anything stay of them?
	@$(BIN)/python -m tests.campaigns.soak --minutes $(SOAK_MINUTES) --path $(SOAK_PATH) </dev/null

release-check: $(VENV)/dev.stamp  ## is this checkout fit to be a release? publishes nothing
	@$(BIN)/python -m tests.campaigns.release </dev/null

STREAMS ?= 10000
RELOADS ?= 10
KILLS ?= 100
hand-over: $(VENV)/dev.stamp  ## reloads under load, workers killed at every point, chaos; with figures
	@$(BIN)/python -m tests.campaigns.hand_over --streams $(STREAMS) --reloads $(RELOADS) \
	--kills $(KILLS) --seeds $(words $(SEEDS)) </dev/null

lint: $(VENV)/dev.stamp  ## ruff, mypy and the import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

CASES ?=
bench: $(VENV)/bench.stamp test-parts  ## delivery next to others; writes docs/benchmarks.md; CASES="one-row burst"
	@sh benchmarks/install.sh "$(CURDIR)/$(VENV)/nchan"
	@$(BIN)/python -m benchmarks run $(CASES) </dev/null

OTHER ?= .
bench-compare: $(VENV)/dev.stamp  ## this checkout next to the one in OTHER; CASES="one-row burst"
	@$(BIN)/python -m benchmarks compare --other "$(OTHER)" $(CASES) </dev/null

format: $(VENV)/dev.stamp  ## ruff's formatting and safe fixes
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

clean:  ## forget the environment and all caches; instance/ with its data stays
	rm -rf $(VENV) tests/*/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What the tests use besides Python packages. A part that cannot be had is named, and its tests skip.
test-parts:
	@sh tests/harness/install.sh
	@if ! command -v npm >/dev/null; then echo "left out: what runs in Node (npm is not installed)"; \
	else $(MAKE) --no-print-directory --silent $(NODE_STAMPS) || \
	echo "left out: what runs in Node (npm install failed, see above)"; fi

%/node_modules/.stamp: %/package.json %/package-lock.json
	cd $* && npm install --no-audit --no-fund --no-update-notifier --loglevel=error
	touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "Rowcast needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	echo "no virtual environment: install the module venv (Debian: apt install python3-venv)"; \
	exit 1; }

# The environment itself is order-only: its python is a link to a file older than any stamp.
$(VENV)/run.stamp: requirements.lock | $(BIN)/python
	@echo "installing requirements.lock into $(VENV)"
	@$(PIP) --require-hashes -r requirements.lock
	@touch $@

$(VENV)/dev.stamp: requirements.txt requirements-dev.txt | $(BIN)/python
	@echo "installing requirements-dev.txt into $(VENV)"
	@$(PIP) -r requirements-dev.txt
	@touch $@ $(VENV)/run.stamp

# `sseclient` is a module of the same name as `sseclient-py`'s: it is kept apart.
$(VENV)/clients.stamp: requirements.txt requirements-dev.txt requirements-clients.txt \
		tests/clients/sseclient.txt | $(BIN)/python
	@echo "installing requirements-clients.txt into $(VENV)"
	@$(PIP) -r requirements-clients.txt
	@rm -rf $(VENV)/sseclient
	@$(PIP) --no-deps --target $(VENV)/sseclient -r tests/clients/sseclient.txt
	@touch $@ $(VENV)/dev.stamp $(VENV)/run.stamp

$(VENV)/bench.stamp: requirements.txt requirements-dev.txt requirements-bench.txt | $(BIN)/python
	@echo "installing requirements-bench.txt into $(VENV)"
	@$(PIP) -r requirements-bench.txt
	@touch $@ $(VENV)/dev.stamp $(VENV)/run.stamp
