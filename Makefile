# Every target sets up what it needs and says so. `make` alone lists them.
SHELL := /bin/sh
PYTHON ?=
export PYTHON
STAGEWRIGHT := .venv/bin/stagewright
CODE := pipeline stages sandbox tests benchmarks docs

.PHONY: help setup engine image images demo test test-clis test-local-model test-slow lint types format bench bench-sandbox bench-vendors capabilities lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.complete ## a virtual environment in .venv/ from the hash lock, with stagewright in it

.venv/.complete: requirements.lock pyproject.toml bin/setup
	@bin/setup

engine: ## a Docker engine that answers: the running one, else one that is started or installed
	@bin/engine

image: setup engine ## the sandbox image stagewright/python, built once
	@$(STAGEWRIGHT) sandbox build

images: setup engine ## every sandbox image of ours: stagewright/python, stagewright/node
	@$(STAGEWRIGHT) sandbox build --all

demo: image ## play the recorded session on the example repository: no model, no key, no cost
	@$(STAGEWRIGHT) demo

test: images ## all tests, Docker tests included
	.venv/bin/python -m pytest

test-clis: image ## the real command-line programs against loopback servers; installs them into .cache/clis (needs Node)
	@bin/clis
	.venv/bin/python -m pytest -m clis tests/clis

test-local-model: image ## whole runs with a real, small model; installs it and its server into .cache/local-model (125 MB)
	@bin/local-model
	.venv/bin/python -m pytest -m local_model tests/local_model

test-slow: image ## the tests that take a minute or more
	.venv/bin/python -m pytest -m slow

lint: setup ## ruff: rules and format
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: setup ## mypy, strict, over code and tests
	.venv/bin/mypy $(CODE)

format: setup ## rewrite files as `make lint` wants them
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: image ## what is measured: start-up and tool calls, as ratios
	@for benchmark in benchmarks/[a-z]*.py; do echo "$$benchmark"; .venv/bin/python "$$benchmark" || exit 1; done

bench-sandbox: image ## what a sandbox costs, beside `docker exec` and mini-swe-agent, against its limits
	.venv/bin/python -m benchmarks.sandbox

bench-vendors: setup ## what the vendors' SDKs cost: import, a call beside plain HTTP, the cached share of a session
	.venv/bin/python -m benchmarks.vendors

capabilities: setup ## write the vendors' tables into docs/vendors/, from their modules
	.venv/bin/python -m docs.capabilities

lock: setup ## write requirements.lock anew; needs uv
	uv pip compile --quiet --generate-hashes --no-header --universal --python-version 3.11 \
	    --group dev pyproject.toml --output-file requirements.lock

clean: ## remove what the other targets made in this folder
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
