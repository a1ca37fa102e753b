# Every command of the house; `make help` prints them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
WORKERS ?= 4
UV ?= uv
ARGS ?=
DATABASE ?=

# Programs that tests start would each compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := $(VENV)/bin
NOT_QUICK := postgresql or mysql or redis or mongodb or browser or slow
# A venv made where ensurepip is missing has no pip of its own: the interpreter's serves it.
PIP = $$($(BIN)/python -m pip --version >/dev/null 2>&1 \
	&& echo $(BIN)/python -m pip || echo $(PYTHON) -m pip --python $(BIN)/python)
INSTALL = $(PIP) --quiet --disable-pip-version-check install

.PHONY: help
help: ## print this table
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16
	echo
	echo "  PYTHON=python3.12 VENV=.venv312 chooses another interpreter and its own environment;"
	echo "  ARGS='-k session' goes to pytest, ARGS=--upgrade to the lock."
	echo "  DATABASE=mongodb://localhost:27017/demo, or another URL, is where the demo keeps its users."

.PHONY: demo
demo: $(VENV)/.installed ## set everything up and run the demo server
	@$(BIN)/watchword dev $(if $(DATABASE),--database '$(DATABASE)')

.PHONY: test
test: $(VENV)/.installed browser client ## set everything up and run the whole suite, on every database
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(ARGS)

.PHONY: quick
quick: $(VENV)/.installed ## run the tests on memory and SQLite only, in a few minutes
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m "not ($(NOT_QUICK))" $(ARGS)

.PHONY: check
check: $(VENV)/.installed ## look for mistakes with ruff, mypy and import-linter; changes nothing
	@$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: fix
fix: $(VENV)/.installed ## format, and make the safe fixes
	@$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: blocking
blocking: $(VENV)/.installed ## write the classes without `await` anew, from the async ones
	@$(BIN)/python tools/write_blocking.py

.PHONY: bench
bench: $(VENV)/.installed ## run the benchmarks, side by side
	@for file in bench/*.py; do
	    $(BIN)/python "$$file" $(ARGS)
	done

.PHONY: soak
soak: $(VENV)/.installed ## run the slow tests at full length on every driver, looking for rare failures
	@WATCHWORD_SOAK=1 $(BIN)/pytest -n $(WORKERS) --dist loadgroup -m slow $(ARGS)

.PHONY: lock
lock: ## bring requirements/dev.txt in line with pyproject.toml
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pip install uv, or UV=<path>"; exit 1; }
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-annotate --no-header \
	    pyproject.toml --group dev --all-extras --no-emit-package watchword \
	    -o requirements/dev.txt $(ARGS)

.PHONY: clean
clean: ## remove what the other commands made
	@rm -rf $(VENV) build dist .*_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- setting up ---------------------------------------------------------------------

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "No python3 found: install Python 3.11, or say PYTHON=<path>."; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "$(PYTHON) is older than Python 3.11; say PYTHON=<path of a newer one>."; exit 1; }
	echo "Making $(VENV) with $$($(PYTHON) --version)"
	$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || $(PYTHON) -m venv --clear --without-pip $(VENV)
	touch $@

$(VENV)/.locked: requirements/dev.txt | $(VENV)/.python
	@echo "Installing requirements/dev.txt"
	$(INSTALL) --require-hashes -r requirements/dev.txt
	touch $@

# The build backend comes from the lock, so building needs no isolation and fetches nothing.
$(VENV)/.installed: pyproject.toml $(VENV)/.locked
	@$(INSTALL) --no-build-isolation --no-deps --editable .
	touch $@

# The browser test fails with a sentence of its own where this cannot install Chromium.
.PHONY: browser
browser:
	@if ! command -v chromium >/dev/null && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then
	    echo "Installing Chromium for the browser test"
	    (apt-get update && apt-get install -y chromium) >/dev/null \
	        || echo "Chromium could not be installed; the browser test will say so."
	fi

# The published JavaScript client, which a test calls the server with. Beside $(VENV), where
# nobody looks for sources of ours; the test says so in a sentence where there is no npm.
CLIENT := tests/wire/client

.PHONY: client
client:
	@if command -v npm >/dev/null && $(MAKE) --silent --no-print-directory $(VENV)/client/.installed; then
	    ln -sfn "$(abspath $(VENV))/client/node_modules" $(CLIENT)/node_modules
	else echo "The JavaScript client could not be installed; its test will say so."; fi

$(VENV)/client/.installed: $(CLIENT)/package.json $(CLIENT)/package-lock.json | $(VENV)/.python
	@echo "Installing $(CLIENT)/package-lock.json"
	mkdir -p $(@D) && cp $^ $(@D)
	npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel error >/dev/null
	touch $@
