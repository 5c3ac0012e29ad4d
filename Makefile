# Everything is set up here: `make demo` and `make test` on a fresh machine need Python 3.11 or newer, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export GYM_HOME ?= $(CURDIR)/.gym
export DAGSTER_HOME = $(GYM_HOME)/dagster
READY := $(VENV)/.ready
FUZZED := gym_enrichment_tests/fuzz gym_enrichment_tests/unit/pipeline/test_formulas.py

PORT ?= 3000
ADMIN_PORT ?= 3001

.PHONY: demo test soak check audit fuzz bench bench-fleet compare eval real-model pictures ui fleet install clean

install: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY)  ## the whole main job on the sample, offline, no key
	$(BIN)/gym-enrichment demo

# More workers than cores: tests of servers, pauses and leases mostly wait.
test: $(READY)  ## every test; nothing but this folder and loopback is touched
	$(BIN)/python -m pytest -n 3 --dist loadscope

soak: $(READY)  ## every fault, the rare and slow ones too; writes docs/faults.md
	GYM_FAULTS_TABLE=docs/faults.md $(BIN)/python -m pytest gym_enrichment_tests/acceptance/faults gym_enrichment_tests/acceptance/test_fleet.py -m "soak or not soak"

bench: $(READY)  ## speed and memory, side by side; writes benchmarks/results.json
	$(BIN)/python -m benchmarks.bench

bench-fleet: $(READY)  ## workers together, and Dagster's own overhead; writes benchmarks/fleet.json
	$(BIN)/python -m benchmarks.fleet

compare: $(READY)  ## today's Celery fan-out against the variants, on real gyms; writes docs/comparison.md
	$(BIN)/python -m benchmarks.compare

fuzz: $(READY)  ## everything that parses, on 100,000 new inputs and more
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES-4000} $(BIN)/python -m pytest -n 2 $(FUZZED)

eval: $(READY)  ## quality, figure by figure: golden set, hostile reviews, real data where it is there
	GYM_LLM=$${GYM_LLM-offline} $(BIN)/gym-enrichment eval
	GYM_LLM=$${GYM_LLM-offline} $(BIN)/python -m benchmarks.quality

real-model: $(READY)  ## a small real model on the CPU: compiles its server for some minutes, then asks it
	test -x .venv-model/bin/python || $(PYTHON) -m venv .venv-model
	.venv-model/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/real_model.txt
	$(BIN)/python -m benchmarks.real_model --python .venv-model/bin/python

pictures: $(READY)  ## docs/pictures: the demo's report page and Dagster's UI, in the Chromium of this machine
	$(BIN)/python -m gym_enrichment_tests.pictures

check: $(READY)  ## lint, format, types, import contracts, known vulnerabilities of the pins
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m gym_enrichment_tests.audit --offline-passes

audit: $(READY)  ## the pinned versions against known vulnerabilities; fails where nobody can be asked
	$(BIN)/python -m gym_enrichment_tests.audit

ui: $(READY)  ## Dagster's UI and daemon on 127.0.0.1:3000, on the instance below GYM_HOME
	umask 077 && mkdir -p "$(DAGSTER_HOME)"
	test -f "$(DAGSTER_HOME)/dagster.yaml" || cp gym_enrichment/dagster.yaml "$(DAGSTER_HOME)/dagster.yaml"
	$(BIN)/dagster dev --workspace workspace.yaml --host 127.0.0.1 --port 3000

fleet: $(READY)  ## a whole fleet on this machine: Postgres, Valkey, webservers, daemon, workers; Ctrl-C stops it
	$(BIN)/python -m deploy --port $(PORT) --admin-port $(ADMIN_PORT)

clean:
	rm -rf $(VENV) .venv-model .gym
