# make run: the demo, from nothing. make test: the tests, from nothing. Everything lives in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONSAFEPATH := 1
.DEFAULT_GOAL := help

help:  ## what can be done here
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(VENV)/run.stamp  ## the demo: a simulated shop, points, balances pushed back, proof at the end
	@$(BIN)/stampcard demo

# More workers than two cores: many tests wait for servers of their own. What is compiled is kept, whatever the caller's
# environment says of it: every process that a test starts would compile it anew.
test: $(VENV)/dev.stamp  ## all tests, on SQLite and PostgreSQL
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 4 --dist worksteal $(ARGS)

lint: $(VENV)/dev.stamp  ## ruff, mypy strict, import-linter
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache

format: $(VENV)/dev.stamp  ## let ruff put the code in shape
	@$(BIN)/ruff check --fix-only . ; $(BIN)/ruff format .

bench: $(VENV)/dev.stamp  ## speed as ratios measured in one run
	@$(BIN)/python -P tests/benchmarks/run.py $(ARGS)

docs: $(VENV)/dev.stamp  ## write the generated parts of the documentation anew
	@$(BIN)/python -P docs/generate.py && $(BIN)/python -P docs/plugin_api.py && $(BIN)/python -P docs/commands.py && $(BIN)/python -P docs/coverage.py && $(BIN)/python -P docs/fulfilment.py && $(BIN)/python -P docs/schemas.py
	@$(BIN)/python -P -m stampcard_webhooks.openapi > docs/reference/openapi.json
	@$(BIN)/stampcard program schema > config/programs/program.schema.json

lock:  ## write requirements/*.txt anew: versions and hashes, no address of any index
	@$(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install -q uv
	@for which in run dev; do \
	  group=$$([ $$which = dev ] && echo "--group dev --extra testing"); \
	  $(VENV)/lock/bin/uv pip compile -q --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
	    --no-emit-find-links --python-version 3.11 $$group pyproject.toml requirements/build.in -o requirements/$$which.txt || exit 1; \
	done

clean:  ## remove the virtual environment
	rm -rf $(VENV)

$(VENV)/%.stamp: requirements/%.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/$*.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: help run test lint format bench docs lock clean
.SECONDARY:
