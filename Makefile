# Everything a developer runs. `make` alone explains.
.DEFAULT_GOAL := help
.PHONY: help run demo test test-kill test-fresh test-long faults fuzz bench bench-edits bench-history bench-memory bench-words lint openapi check clean

PYTHON ?= python3
BIN := .venv/bin
# Variables for the commands, such as: make run ARGS=--no-demo, make test ARGS="-k orphan -x"
ARGS ?=

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/local  ## Serve on http://127.0.0.1:8000 (SNIPIX_PORT), with a MongoDB and a Redis of its own
	@exec $(BIN)/python manage.py runlocal $(ARGS)

demo: .venv/local  ## Kill the database and the web server in the middle of a hundred saves
	@exec $(BIN)/python manage.py demo $(ARGS)

test: .venv/dev  ## Run the tests on servers of their own, in two processes
	@exec $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-kill: .venv/dev  ## Run the long test that kills everything in 50 rounds (SNIPIX_KILL_ROUNDS)
	@exec $(BIN)/python -m pytest -m long tests/faults/test_kill.py $(ARGS)

test-fresh: .venv/dev  ## Run the long test that no read is stale, each scenario for 60 s (SNIPIX_FRESH_SECONDS)
	@exec $(BIN)/python -m pytest -m long tests/faults/test_fresh.py $(ARGS)

faults: .venv/dev  ## Do all that breaks things, and write what comes of it to docs/faults.md: ten minutes
	@exec $(BIN)/python -m tests.faults --to docs/faults.md $(ARGS)

fuzz: .venv/dev  ## Send requests made up from the API's description (SNIPIX_FUZZ_EXAMPLES)
	@exec $(BIN)/python -m pytest -m long tests/test_fuzz.py $(ARGS)

test-long: .venv/dev  ## Run all tests that are too long for every day
	@exec $(BIN)/python -m pytest -m long $(ARGS)

bench: .venv/dev  ## Measure what cached reads cost, and reads while Redis is away
	@exec $(BIN)/python -m bench.reads $(ARGS)

bench-edits: .venv/dev  ## Measure what one edit costs against saving the whole timeline
	@exec $(BIN)/python -m bench.edits $(ARGS)

bench-history: .venv/dev  ## Measure what a history costs, and how fast old versions come back
	@exec $(BIN)/python -m bench.history $(ARGS)

bench-words: .venv/dev  ## Measure what three hours of speech cost to save, edit and read
	@exec $(BIN)/python -m bench.words $(ARGS)

bench-memory: .venv/dev  ## Measure the memory of backup, restore, doctor and purge, at 5,000 and 50,000 projects
	@exec $(BIN)/python -m bench.memory $(ARGS)

lint: .venv/dev  ## Check format, style, types and the OpenAPI description
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

openapi: .venv/dev  ## Write docs/openapi.json anew, after the API was changed on purpose
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --format openapi-json --file docs/openapi.json

check: lint test  ## Run lint and test, as CI does

clean:  ## Remove the virtual environment and caches; the data in .data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are newer than the requirements that are installed, so a second run needs no network.
.venv/local: requirements.txt requirements-local.txt
.venv/dev: requirements.txt requirements-local.txt requirements-dev.txt
.venv/local .venv/dev: .venv/%:
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(MAKE) --no-print-directory .venv-new
	@echo "Installing requirements-$*.txt into .venv; the first time takes a minute or two …"
	@$(BIN)/python -m pip install --disable-pip-version-check -r requirements-$*.txt
	@touch $@

.PHONY: .venv-new
.venv-new:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Snipix needs Python 3.11 or later. Name one: make PYTHON=python3.11 …"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python can't make virtual environments. On Debian: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv --clear .venv
