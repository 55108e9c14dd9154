# The two commands of the README, and what a change has to pass. `.ci/run` runs lint, test and build.
.DEFAULT_GOAL := help
.PHONY: help setup quickstart test test-slow lint bench build clean

BIN := .venv/bin
# A worker that crashes ends the run: a new one in its place may wait forever.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile --max-worker-restart 0

help:  ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup:  ## build .venv from the lock (seconds when nothing changed)
	@scripts/setup

quickstart: setup  ## demonstrations → codec → policy → closed loop → report.html
	$(BIN)/vla quickstart

test: setup  ## every test that needs no GPU, no network and less than a minute
	$(PYTEST) -m "not slow and not gpu and not network"

test-slow: setup  ## the long ones and the fault campaigns
	$(PYTEST) -m "slow and not gpu and not network"

lint: setup  ## ruff, pyright, import rules, lock
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright
	scripts/check-imports
	scripts/lock --check

bench: setup  ## every benchmark beside its peer or limit
	$(BIN)/python benchmarks/run_all.py

build: setup  ## five wheels in dist/, each installed alone and tried
	scripts/build

clean:  ## what the other targets made, except .venv and runs/
	rm -rf dist build .pytest_cache .ruff_cache .hypothesis
	find packages tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
