# Everything a newcomer needs: `make eval` and `make test`. Both set up what is missing first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup eval test lint clean

setup: $(VENV)/.ready

eval: setup
	$(BIN)/python run_eval.py

# Two files side by side; the tests of one share what was made for them.
test: setup
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.ready: pyproject.toml constraints.txt setup.sh
	bash setup.sh $(PYTHON) $(VENV)
	touch $@

clean:
	rm -rf $(VENV)
