# `make paper` regenerates both papers at mini scale, `make test` tests everything; `make help` lists the rest.
# Each sets up .venv on first use, from requirements.lock. Variables: PYTHON=python3.12, CORES=4, VENV=folder;
# of bundle and restore PROFILE=smoke, BUNDLE=file, REMOTE=name, FORCE=1.
CORES ?= all
VENV ?= .venv
PROFILE ?= mini
BIN := $(VENV)/bin
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(SUPPORTED)' 2>/dev/null && echo "$$python" && break; done)

.PHONY: help setup paper smoke test test-slow bundle restore lint clean
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

paper: $(VENV)/.package ## Both papers, profile mini, from nothing to results/mini/report.html
	@$(BIN)/snakemake --cores $(CORES)
	@echo "The report is $(CURDIR)/results/mini/report.html"

smoke: $(VENV)/.package ## The same jobs in minutes, profile smoke; its numbers mean nothing
	@$(BIN)/snakemake --cores $(CORES) --configfile config/smoke.yaml
	@echo "The report is $(CURDIR)/results/smoke/report.html"

test: $(VENV)/.package ## All tests but those of test-slow, the smoke pipeline among them
	@$(BIN)/python -m pytest -n logical

test-slow: $(VENV)/.package ## One full-size step of every job of the papers, on a CPU: 13 minutes, 11 gigabytes
	@$(BIN)/python -m pytest -m full_size

bundle: $(VENV)/.package ## All that PROFILE makes in one archive for reviewers, dist/PROFILE-COMMIT.tar.gz
	@$(BIN)/snakemake --cores $(CORES) --configfile config/$(PROFILE).yaml
	@$(BIN)/distillery bundle --profile $(PROFILE)

restore: $(VENV)/.package ## Bring back what was published of PROFILE from DVC, or with BUNDLE=file from a bundle
	@$(BIN)/distillery restore $(if $(BUNDLE),--bundle "$(BUNDLE)",--profile $(PROFILE)) \
		$(if $(REMOTE),--remote $(REMOTE)) $(if $(FORCE),--force)

lint: $(VENV)/.package ## The quality gates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

clean: ## Remove what the embedded profiles wrote (the environment and the DVC cache stay)
	rm -rf $(foreach profile,mini smoke,$(addsuffix /$(profile),data checkpoints results logs))

setup: $(VENV)/.package ## Only set up the environment

# Two stamps: a changed lock installs anew, a changed pyproject.toml only registers the package again.
$(VENV)/.requirements: requirements.lock
	@"$(or $(PYTHON),false)" -c '$(SUPPORTED)' 2>/dev/null || { echo >&2 \
		"Python 3.11, 3.12 or 3.13 is needed and $(or $(PYTHON),none of python3 and python3.11 to python3.13) is not one; pass it as PYTHON=/path/to/python3."; exit 1; }
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv $(VENV) || { echo >&2 \
		"$(PYTHON) cannot make a virtual environment; install its venv package (Debian, Ubuntu: apt-get install python3-venv)."; exit 1; }
	$(BIN)/pip install --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.package: $(VENV)/.requirements pyproject.toml
	@# setuptools comes from the lock, so nothing is fetched here.
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@
