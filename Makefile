# Everything that the project can be told to do; `make help` lists it.
#
# One environment, .venv, grows in two stages: what serving needs, and on top of it what
# developing needs. Another, .venv-mlops, trains routing models. Each is installed again when its
# lock changes; `make clean` starts anew.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
CONFIG ?= examples/quickstart/config.yaml
HOST ?= 127.0.0.1
PORT ?= 4000
WORKERS ?= 1
# The build of torch that trains; TORCH=path/of/a.whl takes another one.
TORCH ?= torch==2.13.0
# Further arguments: PYTEST="tests/unit -k retry", BENCH="--help", ACCEPTANCE="--run", LOCK="--upgrade"
PYTEST ?=
BENCH ?=
ACCEPTANCE ?=
EMULATE ?=
LOCK ?=

BIN := .venv/bin
SERVE := .venv/.serve
DEV := .venv/.dev
MLOPS := .venv-mlops/.mlops
CDK := .venv-cdk/.cdk
TEMPLATES := .venv-templates/.templates
CDK_CLI := node_modules/.installed
SCHEMAS := .venv-schemas/.schemas
EMULATOR := .venv-emulator/.emulator
RUNTIME := .venv-runtime/.runtime
NODE := $(if $(wildcard tests/node/package.json),tests/node/node_modules/.installed)

pip := -m pip install --quiet --quiet --disable-pip-version-check --no-input
install := $(BIN)/python $(pip)
install_mlops := .venv-mlops/bin/python $(pip)
compiled := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate \
	--custom-compile-command "make lock" $(LOCK)
compile := $(compiled) --python-version 3.11
# For what runs on Lambda's runtime, and beside it.
compile_lambda := $(compiled) --python-version 3.12

.PHONY: help run test check format bench acceptance smoke synth layers functions emulate mlops lock clean image image-amd64 image-arm64

help: ## List the commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: $(SERVE) ## Serve CONFIG (examples/quickstart/config.yaml) on HOST:PORT (127.0.0.1:4000)
	@exec $(BIN)/trunkline serve --config $(CONFIG) --host $(HOST) --port $(PORT) --workers $(WORKERS)

test: $(DEV) $(MLOPS) $(NODE) ## Run the whole test suite
	@tools/apt-install redis-server nginx-light $(if $(shell command -v initdb),,postgresql)
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(PYTEST)

check: $(DEV) $(SCHEMAS) ## Check format, lint, types, import layers, schemas and portability
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tools.check_portable
	@.venv-schemas/bin/python -m tools.check_schemas

format: $(DEV) ## Format the code and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(DEV) $(MLOPS) $(RUNTIME) ## Measure against other gateways; writes bench/results/
	@$(BIN)/python -m bench $(BENCH)

acceptance: $(DEV) ## List the 93 criteria with the tests that show each, and what is uncovered
	@$(BIN)/python -m tests.acceptance $(ACCEPTANCE)

emulate: $(DEV) $(CDK) $(CDK_CLI) $(EMULATOR) ## Deploy into an emulated AWS, use it and destroy it
	@tools/apt-install redis-server $(if $(shell command -v initdb),,postgresql)
	@$(BIN)/python -m tests.emulation $(EMULATE)

layers: $(DEV) ## Build the layers of the functions on Lambda, for both architectures
	@$(BIN)/python -m layers build --architecture all

functions: $(DEV) $(RUNTIME) ## Run the functions from their layers, under the emulator of Lambda's runtime
	@tools/apt-install redis-server $(if $(shell command -v initdb),,postgresql)
	@$(BIN)/python -m layers build --architecture x86_64
	@$(BIN)/python -m pytest tests/runtime

image: image-amd64 image-arm64 ## Build the container images for amd64 and arm64, and try them

# Without Docker, in the store build/images. The tests run each image on its own platform, which
# QEMU plays where it isn't this machine's.
image-amd64 image-arm64: image-%: $(DEV)
	@tools/apt-install buildah debootstrap $(if $(filter-out $(shell dpkg --print-architecture),$*),qemu-user-static binfmt-support)
	@$(BIN)/python -m tools.image $*
	@TRUNKLINE_IMAGES=$* $(BIN)/python -m pytest --capture no tests/images

smoke: $(SERVE) ## Start `make run`, ask it what the README asks, and stop it
	@$(BIN)/python -m tools.smoke

synth: $(SERVE) $(CDK) $(TEMPLATES) $(CDK_CLI) ## Synthesise the stacks for AWS, and check them
	@node_modules/.bin/cdk synth --quiet --no-notices --context assets=none
	@.venv-cdk/bin/python -m pytest -c tests/infrastructure/pytest.ini --confcutdir tests/infrastructure \
		tests/infrastructure $(PYTEST)

mlops: $(MLOPS) ## Set up .venv-mlops, which trains routing models

lock: $(DEV) ## Lock the dependencies anew; LOCK=--upgrade moves them to their newest versions
	@$(compile) pyproject.toml --output-file requirements/serve.txt
	@$(compile) pyproject.toml --extra dev --constraint requirements/serve.txt --output-file requirements/dev.txt
	@echo hatchling | $(compile) - --constraint requirements/dev.txt --output-file requirements/build.txt
	@$(compile) --group pyproject.toml:cdk --output-file requirements/cdk.txt
	@$(compile_lambda) pyproject.toml --extra lambda --constraint requirements/serve.txt --output-file requirements/lambda.txt
	@$(compile) --group pyproject.toml:schemas --output-file requirements/schemas.txt
	@$(compile) --group pyproject.toml:templates --output-file requirements/templates.txt
	@$(compile_lambda) --group pyproject.toml:emulator --output-file requirements/emulator.txt
	@$(compile_lambda) --group pyproject.toml:runtime --output-file requirements/runtime.txt
	@$(compile) pyproject.toml --extra mlops --override requirements/mlops-overrides.txt --constraint requirements/serve.txt --output-file requirements/mlops.txt

clean: ## Remove the environment and everything built
	rm -rf .venv .venv-* build dist tests/node/node_modules .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .schemathesis

$(BIN)/python .venv-mlops/bin/python .venv-schemas/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Trunkline needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || tools/apt-install python3-venv
	@$(PYTHON) -m venv $(@D)/..

# Locked files first, so that building the package itself asks no registry for anything.
$(SERVE): requirements/serve.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing what serving needs into .venv"
	@$(install) --require-hashes -r requirements/serve.txt -r requirements/build.txt
	@$(install) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements/dev.txt $(SERVE)
	@echo "Installing what developing needs into .venv"
	@$(install) --require-hashes -r requirements/dev.txt
	@touch $@

# Builds of torch differ between machines, so that none's hash can stand in the lock. What torch
# needs is in the lock, which puts its versions in place of those that came with torch.
$(MLOPS): requirements/mlops.txt requirements/build.txt pyproject.toml | .venv-mlops/bin/python
	@echo "Installing what training needs into .venv-mlops"
	@$(install_mlops) $(TORCH)
	@$(install_mlops) --no-deps --require-hashes -r requirements/mlops.txt -r requirements/build.txt
	@$(install_mlops) --no-deps --no-build-isolation --editable .
	@touch $@

# The emulator of the runtime interface is a program that comes in the wheel of another one.
$(RUNTIME): requirements/runtime.txt requirements/rie.txt
	@python=$$(tools/lambda-python) && echo "Installing the runtime of Lambda into .venv-runtime" && \
		$$python -m venv --clear .venv-runtime
	@.venv-runtime/bin/python $(pip) --require-hashes -r requirements/runtime.txt
	@$(BIN)/python $(subst install,download,$(pip)) --no-deps --require-hashes -r requirements/rie.txt --dest .venv-runtime/wheels
	@cd .venv-runtime/wheels && ../bin/python -m zipfile --extract *.whl . && \
		install samcli/local/rapid/aws-lambda-rie-x86_64 ../bin/aws-lambda-rie
	@rm -r .venv-runtime/wheels
	@touch $@

$(EMULATOR): requirements/emulator.txt
	@python=$$(tools/lambda-python) && echo "Installing the emulator of AWS into .venv-emulator" && \
		$$python -m venv --clear .venv-emulator
	@.venv-emulator/bin/python $(pip) --require-hashes -r requirements/emulator.txt
	@touch $@

$(SCHEMAS): requirements/schemas.txt | .venv-schemas/bin/python
	@echo "Installing what checks other programs' files into .venv-schemas"
	@.venv-schemas/bin/python $(pip) --require-hashes -r requirements/schemas.txt
	@touch $@

$(CDK): requirements/cdk.txt
	@echo "Installing what synthesising the stacks needs into .venv-cdk"
	@test -x .venv-cdk/bin/python || $(PYTHON) -m venv .venv-cdk
	@.venv-cdk/bin/python $(pip) --require-hashes -r requirements/cdk.txt
	@touch $@

$(TEMPLATES): requirements/templates.txt
	@echo "Installing what checks templates into .venv-templates"
	@test -x .venv-templates/bin/python || $(PYTHON) -m venv .venv-templates
	@.venv-templates/bin/python $(pip) --require-hashes -r requirements/templates.txt
	@touch $@

$(CDK_CLI): package.json package-lock.json
	@echo "Installing the CDK's command line"
	@npm ci --no-audit --no-fund --loglevel error
	@touch $@

tests/node/node_modules/.installed: tests/node/package.json tests/node/package-lock.json
	@echo "Installing the Node packages that the tests use"
	@npm ci --prefix tests/node --no-audit --no-fund --loglevel error
	@touch $@
