# Everything is set up here: `make demo` and `make test` on a fresh machine need Python 3.11 or newer, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export GYM_HOME ?= $(CURDIR)/.gym
export DAGSTER_HOME = $(GYM_HOME)/dagster
READY := $(VENV)/.ready

.PHONY: demo test check bench bench-fleet compare eval pictures ui install clean

install: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY)  ## the whole main job on the sample, offline, no key
	$(BIN)/gym-enrichment demo

test: $(READY)  ## every test; nothing but this folder and loopback is touched
	$(BIN)/python -m pytest -n 2 --dist loadscope

bench: $(READY)  ## speed and memory, side by side; writes benchmarks/results.json
	$(BIN)/python -m benchmarks.bench

bench-fleet: $(READY)  ## workers together, and Dagster's own overhead; writes benchmarks/fleet.json
	$(BIN)/python -m benchmarks.fleet

compare: $(READY)  ## today's Celery fan-out against the variants, on real gyms; writes docs/comparison.md
	$(BIN)/python -m benchmarks.compare

eval: $(READY)  ## quality, figure by figure: golden set, hostile reviews, real data where it is there
	GYM_LLM=$${GYM_LLM-offline} $(BIN)/gym-enrichment eval
	GYM_LLM=$${GYM_LLM-offline} $(BIN)/python -m benchmarks.quality

pictures: $(READY)  ## docs/pictures: the report page of the demo, in the Chromium of this machine
	$(BIN)/python -m gym_enrichment_tests.pictures

check: $(READY)  ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

ui: $(READY)  ## Dagster's UI and daemon on 127.0.0.1:3000, on the instance below GYM_HOME
	mkdir -p "$(DAGSTER_HOME)"
	test -f "$(DAGSTER_HOME)/dagster.yaml" || cp gym_enrichment/dagster.yaml "$(DAGSTER_HOME)/dagster.yaml"
	$(BIN)/dagster dev --workspace workspace.yaml --host 127.0.0.1 --port 3000

clean:
	rm -rf $(VENV) .gym
