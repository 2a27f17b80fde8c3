# Every target makes the environment it needs first; Python 3.10 or newer and make are enough.
PYTHON ?= python3
BIN := .venv/bin

# Many commands are started, and each would compile the whole package.
export PYTHONDONTWRITEBYTECODE =

.PHONY: run ui test test-cluster stress check format docs benchmarks lock pin clean
.DEFAULT_GOAL := run

.venv/installed: requirements.lock pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "Python 3.10 or newer is needed: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# Samples, the whole asset graph, the answers, and what to do next.
run: .venv/installed
	@$(BIN)/warehouse samples
	@$(BIN)/warehouse ingest
	@$(BIN)/warehouse answers
	@echo
	@echo "Next: 'make ui' opens the asset graph on http://127.0.0.1:3000; drop files named posts… or"
	@echo "votes… or CSV files of trips into data/inbox, or take your own with"
	@echo "'$(BIN)/warehouse ingest FILE'. '$(BIN)/warehouse simulate' has the sample school and"
	@echo "deliveries live on, '$(BIN)/warehouse serve' answers over HTTP. Ask with"
	@echo "'$(BIN)/warehouse sql \"SELECT …\"', or open data/warehouse.db in any SQL program."

# The Dagster UI, with schedules and sensors, on http://127.0.0.1:3000.
ui: .venv/installed
	$(BIN)/dg dev

# Tests start some hundred processes, which would compile the package each by itself.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/installed
	$(BIN)/pytest --numprocesses 3 --dist worksteal --quiet

# Every table computed by an engine of its own, in an environment of its own: its client brings
# pandas, which DuckDB then imports in every command.
test-cluster: .venv/cluster/installed
	.venv/cluster/bin/pytest --numprocesses 4 --dist worksteal --quiet warehouse_assets_tests/cluster \
		warehouse_assets_tests/orchestration/test_computation*.py warehouse_assets_tests/deploy

.venv/cluster/installed: .venv/installed requirements-cluster.lock
	$(PYTHON) -m venv .venv/cluster
	.venv/cluster/bin/pip install --quiet --disable-pip-version-check \
		--requirement requirements-cluster.lock
	.venv/cluster/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# Kills and crowds for a while; the short form is part of the tests.
MINUTES ?= 20
stress: .venv/installed
	$(BIN)/python -m warehouse_assets_tests.stress --minutes $(MINUTES)

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/dg check defs

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The pages of the documentation that follow from the code.
docs: .venv/installed
	$(BIN)/python -m warehouse_assets_tests.reference docs

# The project beside its baselines, two hours; its table goes into docs/benchmarks.md.
benchmarks: .venv/installed
	$(BIN)/python -m benchmarks --write

# Newest versions that fit, for every supported Python.
lock: .venv/installed
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --extra dev \
		--no-emit-index-url --no-annotate --no-header \
		--output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --extra dev \
		--extra cluster --extra s3 --extra sail --extra moto --extra compose --extra kubernetes --extra schemas \
		--no-emit-index-url --no-annotate --no-header \
		--constraint requirements.lock --output-file requirements-cluster.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade \
		--extra compose --extra kubernetes --extra cluster --extra s3 --extra mcp --no-emit-index-url --no-annotate \
		--no-header --constraint requirements-cluster.lock \
		--output-file deploy/requirements.lock pyproject.toml

# The digests of the images that containers are made of, as lines for deploy/.env; needs Docker.
PYTHON_IMAGE ?= python:3.12-slim
POSTGRES_IMAGE ?= postgres:18
pin:
	@for image in PYTHON_IMAGE=$(PYTHON_IMAGE) POSTGRES_IMAGE=$(POSTGRES_IMAGE); do \
		docker pull --quiet $${image#*=} > /dev/null || exit 1; \
		docker inspect --format "$${image%%=*}={{index .RepoDigests 0}}" $${image#*=} || exit 1; \
	done

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
