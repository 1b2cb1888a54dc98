# Everything a newcomer needs: `make eval` and `make test`. Both install what is missing first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two files side by side; the tests of one file share their fixtures.
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile

.PHONY: setup eval test test-slow test-all lint clean

setup: $(VENV)/.ready

eval: setup
	$(BIN)/python run_eval.py

test: setup
	$(PYTEST) -m "not slow"

test-slow: setup
	$(PYTEST) -m slow

test-all: test test-slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.ready: pyproject.toml constraints.txt setup.sh
	bash setup.sh $(PYTHON) $(VENV)
	touch $@

clean:
	rm -rf $(VENV)
