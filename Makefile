# Three targets do all the set-up on a machine that has only python3, pip, venv and make:
#   make demo   install and run the demo (about 7 minutes on 2 cores after installation)
#   make test   install the development extra and run the whole test suite
#   make again  run one committed row of the results again, drawn at random (minutes; some need ../shared/glue)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_OUTPUT ?= runs/demo
GLUE := ../shared/glue

.PHONY: demo test wheel-test lint types docs results claims again bench-serving fuzz lock audit check clean

demo: $(VENV)/.demo
	$(BIN)/crild demo --output $(DEMO_OUTPUT)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

wheel-test: $(BIN)/python
	$(BIN)/python -m tools.wheel

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.dev
	$(BIN)/python -m tools.reference
	$(BIN)/python -m tools.architecture
	$(BIN)/python -m tools.stub

results: $(VENV)/.dev
	$(BIN)/python -m tools.results

claims: $(VENV)/.dev
	$(BIN)/python -m tools.claims

again: $(VENV)/.demo $(if $(wildcard $(GLUE)),runs/texts)
	$(BIN)/python -m tools.again

# Without labels, 4,749 each: experiments/further_pairs.yaml, experiments/further_reviews.yaml.
runs/texts: $(wildcard $(GLUE)/*/train.tsv)
	mkdir -p $@
	head -n 4750 $(GLUE)/STS-B/train.tsv | cut -f 8,9 > $@/STS-B.tsv
	head -n 4750 $(GLUE)/QQP-part/train.tsv | cut -f 4,5 > $@/QQP.tsv
	head -n 4750 $(GLUE)/SST-2/train.tsv | tail -n +2 | cut -f 1 > $@/SST-2.txt
	head -n 4749 $(GLUE)/CoLA/train.tsv | cut -f 4 > $@/CoLA.txt

# About half an hour on 2 cores that do nothing else, the first time; exit code 3 says that they did something else.
bench-serving: $(VENV)/.dev
	$(BIN)/python -m benchmarks.serving
	$(BIN)/python -m tools.serving_picture

fuzz: $(VENV)/.dev
	$(BIN)/python -m tools.fuzz --seconds 300

lock: $(VENV)/.dev
	$(BIN)/python -m tools.lock

# pip-audit in an environment of its own: what it needs is no part of the lock.
audit:
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet pip-audit
	build/audit/bin/python -m tools.audit

check: lint types test

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[demo]"
	touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) runs build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
