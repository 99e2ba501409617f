# check: what runs before each commit, in seconds. test: everything. CI (.ci/run) runs the same in a fresh copy.
BIN := .venv/bin

.PHONY: check types core-tests other-unit-tests test pin figures

.venv: pyproject.toml
	python3 -m venv .venv
	$(BIN)/pip install -e '.[standard,test]'
	touch .venv

# Three things at once: the two halves of the unit tests take about as long as all the rest.
check: .venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	+$(MAKE) --no-print-directory -j3 --output-sync=target types core-tests other-unit-tests

types: .venv
	$(BIN)/mypy

core-tests: .venv
	$(BIN)/python -m pytest tests/unit/core

other-unit-tests: .venv
	$(BIN)/python -m pytest tests/unit --ignore=tests/unit/core

test: .venv
	$(BIN)/python -m pytest

# deploy/constraints.txt: the exact versions in the container image.
pin: .venv
	$(BIN)/python deploy/pin.py

# The plots of bench/results/*.json.
figures: .venv
	$(BIN)/python -m bench.report
