# The project's commands. `make help` lists them; each sets up what it needs by itself.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?= -n auto --maxprocesses 4
INTEGRATION_ARGS ?= -n auto --maxprocesses 4 --dist loadgroup
SPARK_ARGS ?= tests/integration/test_spark.py
LOCK_ARGS ?=
AUDIT_ARGS ?=

BIN := $(VENV)/bin
# One environment: the dev lock only adds to the runtime lock (same pins, a test says so), so
# `make demo` and `make test` follow each other in any order. The stamps spare the second set-up.
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev
# PySpark alone: it comes as a source archive of half a gigabyte, which only its own tests need.
SPARK := $(VENV)/.installed-spark
PACKAGE := pyproject.toml src/churnml/__init__.py requirements-uv.lock .ci/setup_venv.py
COMPILE := $(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(LOCK_ARGS)

# Where this is set (many containers), every command would compile pandas and its like anew: minutes.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-integration test-spark lint audit format setup lock clean clean-all
.DELETE_ON_ERROR:

help: ## List these commands
	@echo "Usage: make COMMAND [PYTHON=python3.12] [VENV=.venv]"
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(RUN) ## Simulate a company, train, score, serve and explain one account (under 5 minutes)
	$(BIN)/churnml demo
	@echo "The commands churnml and mlflow are in $(BIN): say '. $(BIN)/activate' once."

test: $(DEV) ## Run the tests that need nothing but this checkout
	$(BIN)/python -m pytest -m "not integration and not acceptance" $(PYTEST_ARGS)

test-integration: $(DEV) ## Run the tests that start servers or need CHURNML_REAL_DATA
	$(BIN)/python -m pytest -m "(integration or acceptance) and not spark" $(INTEGRATION_ARGS)

test-spark: $(SPARK) ## Run the tests that need Java and PySpark (the first time fetches half a gigabyte)
	$(BIN)/python -m pytest -m spark $(SPARK_ARGS)

lint: $(DEV) ## Check style, formatting, types and the layer rule
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(DEV) ## Look up known vulnerabilities of what is locked (AUDIT_ARGS='-s osv' asks OSV instead of PyPI)
	$(BIN)/python .ci/audit.py requirements.lock $(AUDIT_ARGS)

format: $(DEV) ## Mend style and formatting where a tool can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

setup: $(DEV) ## Set up the environment for development, and nothing else

lock: $(DEV) ## Write the locks again (LOCK_ARGS=--upgrade takes newer versions)
	$(COMPILE) pyproject.toml requirements.in -o requirements.lock
	$(COMPILE) pyproject.toml requirements.in --extra dev -c requirements.lock -o requirements-dev.lock
	echo uv | $(COMPILE) - -o requirements-uv.lock
	echo 'pyspark<5' | $(COMPILE) - -o requirements-spark.lock

clean: ## Remove caches, builds and the demo's outputs
	rm -rf build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

clean-all: clean ## Remove the environments too
	rm -rf $(VENV) .venv-3.*

$(RUN): requirements.lock $(PACKAGE)
	@$(call set_up,requirements.lock)
	@touch $@

$(DEV): requirements.lock requirements-dev.lock $(PACKAGE)
	@$(call set_up,requirements-dev.lock)
	@touch $(RUN) $@

$(SPARK): requirements-spark.lock $(DEV)
	@$(call set_up,requirements-spark.lock)
	@touch $@

define set_up
command -v "$(PYTHON)" >/dev/null || { \
	echo "make: no '$(PYTHON)' here. Expected Python 3.11 or newer. Install it, or say make PYTHON=/path/to/python3.11." >&2; exit 1; }; \
"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "make: '$(PYTHON)' is $$("$(PYTHON)" -V 2>&1). Expected Python 3.11 or newer. Say make PYTHON=/path/to/python3.11." >&2; exit 1; }; \
"$(PYTHON)" .ci/setup_venv.py "$(VENV)" $(1)
endef
