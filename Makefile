# Short names for the scripts of the project. The active environment is used if it has umt, else .venv is made.
SHELL := /bin/bash
ENV := source benchmarks/setup_env.sh && umt_ensure_env mmseg,demo,test

.PHONY: help setup test fast lint docs example
help: ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/'
setup: ## make the environment, with all extras that the tests need
	$(ENV)
test: ## run all tests
	bash tests/run_all.sh
fast: ## run the tests that are not marked slow
	bash tests/run_all.sh --fast
lint: ## check format, style, types and the direction of imports
	$(ENV) && ruff format --check . && ruff check . && mypy && lint-imports
docs: ## make the gallery's pictures, and build the documentation into site/
	$(ENV) && bash docs/pictures.sh && mkdocs build --strict
example: ## run the main job on the embedded data
	bash benchmarks/run_all.sh
