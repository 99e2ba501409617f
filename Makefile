# check: what runs before each commit, in seconds. test: everything. CI (.ci/run) runs the same in a fresh copy.
BIN := .venv/bin

.PHONY: check test pin figures

.venv: pyproject.toml
	python3 -m venv .venv
	$(BIN)/pip install -e '.[standard,test]'
	touch .venv

check: .venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/unit

test: .venv
	$(BIN)/python -m pytest

# deploy/constraints.txt: the exact versions in the container image.
pin: .venv
	$(BIN)/python deploy/pin.py

# The plots of bench/results/*.json.
figures: .venv
	$(BIN)/python -m bench.report
