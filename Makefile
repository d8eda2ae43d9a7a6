# TrainLedger from a checkout. `make help` lists what there is.
# PYTHON=python3.12 make serve    another Python than the newest that fits
# make serve ARGS="--port 9000"   options for the program, or for pytest in `make test` (ARGS=-n0: one after the other)

VENV := .venv
PY := $(VENV)/bin/python -X utf8
ARGS ?=
# Tests mostly wait for processes, so there are more of them than cores; those of one file share servers. Whatever the
# environment says, what pytest compiles is kept: each process would compile all tests and plugins, 7 s, for itself.
PARALLEL := --numprocesses=$(shell echo $$(($$(nproc) < 4 ? 6 : 8))) --dist=loadfile --no-loadscope-reorder
.DEFAULT_GOAL := help
.PHONY: help serve test check bench chaos model-server lock clean install install-dev

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 18

serve: install ## Start everything on this machine and print the URLs
	@exec $(VENV)/bin/trainledger serve $(ARGS)

test: install-dev ## Run the whole suite, also while the service runs
	@PYTHONDONTWRITEBYTECODE= $(PY) -m pytest $(PARALLEL) $(ARGS)

check: install-dev ## Lint, formatting, types, import directions
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(PY) -m mypy
	@$(PY) $(VENV)/bin/lint-imports

bench: install-dev ## Measure, and print the numbers of one run
	@$(PY) -m tests.bench $(ARGS)

chaos: install-dev ## Only the tests that kill things, in their long form
	@TRAINLEDGER_CHAOS=long $(PY) -m pytest -m chaos $(ARGS)

model-server: install-dev ## Install the model server that tests of deployments use (1.2 GB, once)
	@$(PY) -m tests.deployments.model_server

lock: install-dev ## Pin the dependencies anew
	@deploy/lock.sh

clean: ## Remove what can be made again; never data
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

install:
	@deploy/bootstrap.sh

install-dev:
	@deploy/bootstrap.sh dev
