# Every task of the project. `make` lists them; the first that needs it makes the environment in .venv.
# Works with GNU make from 3.81 (macOS) and a plain /bin/sh.

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
IMAGE ?= mylist
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

# Stamps: what is installed is what these lock files say, so a second run starts at once. Each holds what the one before
# it holds.
LOCAL := $(VENV)/.local
TEST := $(VENV)/.test
DEVELOPMENT := $(VENV)/.development
# When one of these changes, the package is installed again, which compiles it.
COMPILED := $(wildcard hatch_build.py service/mylist/*/_*.pyx)

# The tasks start many Python processes. With compiled files kept, each starts in a third of the time.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run serve seed test-fast test test-extended test-mongodb test-all test-lowest test-image-python mutations soak test-watch coverage faults bench loadtest e2e lint format image kind-up kind-down up down lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

# `exec` everywhere below: Ctrl-C and SIGTERM reach the program itself, not a shell in between.

run: $(LOCAL) ## Serve the API on this machine with its own MongoDB and Redis, sample data included
	@exec $(BIN)/mylist dev $(ARGS)

serve: $(LOCAL) ## Serve the API on the MongoDB and Redis that the environment or .env names
	@exec $(BIN)/mylist serve $(ARGS)

seed: $(LOCAL) ## Fill the MongoDB of `make serve` with the sample. Reset it: ARGS=--reset. Add load: ARGS="--users 1000"
	@exec $(BIN)/mylist seed $(ARGS)

# pytest-xdist workers. Each has stores of its own; they wait more than they compute, hence more of them than cores.
WORKERS ?= 4
# `test-all` and `coverage` also measure what `make test` covers. The slower tests are not measured: they judge what
# happens under load and in time.
COVERAGE ?=
PYTEST = $(PY) $(if $(COVERAGE),-m coverage run) -m pytest

test-fast: $(TEST) ## Run the tests that need no server, in seconds; some: make test-fast ARGS="-k lock"
	@exec $(PYTEST) -p no:schemathesis --numprocesses $(WORKERS) --dist loadfile tests/unit $(ARGS)

test: $(TEST) ## Run the tests that prove the product; some: make test ARGS=tests/contract
	@exec $(PYTEST) --tier fast --tier standard --numprocesses $(WORKERS) --dist loadfile $(ARGS)

test-extended: $(DEVELOPMENT) ## Run the tests that `make test` leaves out, because they take minutes or need the tools that .ci/run installs
	@exec $(PYTEST) --tier extended --numprocesses $(WORKERS) --dist loadfile $(ARGS)

test-mongodb: $(TEST) ## Check how a MongoDB of any topology behaves: make test-mongodb TEST_MONGODB_URI=mongodb://...
	@exec $(PY) -m pytest --tier mongodb tests/mongodb $(ARGS)

test-all: ## Run every test; print the line coverage of `make test`
	@$(MAKE) COVERAGE=yes forget-coverage test report-coverage
	@exec $(MAKE) test-extended

coverage: COVERAGE = yes
coverage: forget-coverage test ## Run `make test` and write what it covers as HTML: build/coverage/html/index.html
	@$(PY) -m coverage combine --quiet
	@$(PY) -m coverage html --quiet --fail-under=0 --directory build/coverage/html
	@$(PY) -m coverage report --fail-under=0

forget-coverage:
	@rm -rf build/coverage && mkdir -p build/coverage
report-coverage: $(TEST)
	@$(PY) -m coverage combine --quiet && $(PY) -m coverage report

# --- The versions that are promised: the lowest of everything on the oldest Python, and the image's Python. Each run has
# an environment of its own, made when its lock changes.
LOWEST_VENV := build/lowest
IMAGE_VENV := build/image-python
OLDEST_PYTHON := $(shell sed -n 's/^requires-python = ">=\([0-9.]*\),.*/\1/p' pyproject.toml)
IMAGE_PYTHON := $(shell sed -n 's/^ARG PYTHON_IMAGE=python:\([0-9]*\.[0-9]*\).*/\1/p' Dockerfile)
# The requirements of the service and its embedded servers, by the bounds in pyproject.toml.
BOUNDED := $(shell sed -nE '/^(dependencies|tracing|local) = \[/,/^\]/s/^ *"([A-Za-z0-9-]+).*/\1/p' pyproject.toml)

test-lowest: $(LOWEST_VENV)/.installed ## Run contract and integration tests that depend on libraries, on the oldest Python with the lowest versions
	$(call TEST_IN,$(LOWEST_VENV),-m "not own_logic")

test-image-python: $(IMAGE_VENV)/.installed ## Run contract and integration tests on the Python of the image
	$(call TEST_IN,$(IMAGE_VENV))

define TEST_IN
@$(BIN)/uv pip show --quiet --python $(1) $(BOUNDED) | awk '/^Name:/ { name = $$2 } /^Version:/ { print name, $$2 }'
@exec $(1)/bin/python -m pytest --tier fast --tier standard --numprocesses $(WORKERS) --dist loadfile \
	$(2) tests/contract tests/integration $(ARGS)
endef

$(LOWEST_VENV)/.installed: locks/lowest.txt locks/docs.txt locks/install.txt pyproject.toml $(COMPILED) | $(PY)
	@echo "Installing the lowest versions into $(LOWEST_VENV) ..."
	@devtools/install.sh $(VENV) locks/lowest.txt $(LOWEST_VENV) $(OLDEST_PYTHON)
	@touch $@

$(IMAGE_VENV)/.installed: locks/test.txt locks/docs.txt locks/install.txt pyproject.toml $(COMPILED) Dockerfile | $(PY)
	@echo "Installing what the tests need into $(IMAGE_VENV), on Python $(IMAGE_PYTHON) ..."
	@devtools/install.sh $(VENV) locks/test.txt $(IMAGE_VENV) $(IMAGE_PYTHON)
	@touch $@

mutations: $(DEVELOPMENT) ## Introduce one fault at a time, and expect a test to fail for each: make mutations ARGS="--tier fast"
	@exec $(PY) -m devtools.mutations $(ARGS)

soak: $(DEVELOPMENT) ## Load one process for ten minutes (or DURATION seconds): memory, descriptors, latency stay flat
	@exec $(PY) -m tests.faults.soak --seconds $(or $(DURATION),600)

test-watch: $(DEVELOPMENT) ## Run the tests again on every change: make test-watch ARGS=tests/contract
	@exec $(PY) -m watchfiles '$(PY) -m pytest $(or $(ARGS),tests/unit)' service tests

faults: $(DEVELOPMENT) ## Prove freshness while parts fail: make faults DURATION=600 MODE=strict REDIS=sentinel MONGODB=replica-set
	@exec $(PY) -m tests.faults.freshness \
		--duration $(or $(DURATION),600) --seed $(or $(SEED),1) --mode $(or $(MODE),strict) \
		--redis $(or $(REDIS),server) --mongodb $(or $(MONGODB),server) $(ARGS)

bench: $(DEVELOPMENT) ## Measure the service side by side with its libraries (needs wrk); some: make bench ARGS="--groups reads"
	@exec $(PY) -m bench $(ARGS)

loadtest: $(DEVELOPMENT) ## Load the service with typical requests, and compare with thresholds: make loadtest SCENARIO=mixed DURATION=60 USERS=60
	@exec $(PY) -m loadtests $(or $(SCENARIO),cached-latency) \
		$(if $(DURATION),--duration $(DURATION)) $(if $(USERS),--users $(USERS)) $(ARGS)

e2e: $(DEVELOPMENT) ## Try the chart on the cluster of KUBECONFIG: upgrade, kills, drain; its images: make e2e ARGS="--image ..."
	@exec $(PY) -m tests.e2e $(ARGS)

lint: $(DEVELOPMENT) lint-workflows lint-files lint-prose ## Check code, types, imports, prose, links, Markdown, YAML, shell, Dockerfiles, workflows
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	@exec $(BIN)/lint-imports --no-logo

# GitHub's schema of workflows, and what an attacker could do with one; then the hooks of .pre-commit-config.yaml.
lint-workflows: $(DEVELOPMENT)
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	$(BIN)/zizmor --offline --no-progress --quiet .github
	$(BIN)/prek validate-config .pre-commit-config.yaml

# Each has its exceptions, with their reasons, in a file of its own; rumdl's are in pyproject.toml.
lint-files: $(DEVELOPMENT)
	$(BIN)/rumdl check --quiet .
	$(BIN)/yamllint --strict $$(git ls-files '*.yaml' '*.yml')
	$(BIN)/shellcheck $$(git ls-files '*.sh') .ci/run
	$(BIN)/hadolint $$(git ls-files '*Dockerfile')

# The first time on a machine that cannot download Vale this takes a minute: it is built.
lint-prose: $(DEVELOPMENT)
	$(PY) -m devtools.prose

format: $(DEVELOPMENT) ## Format the code and fix what can be fixed
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

# A tool that `make` cannot install.
NEEDS_DOCKER = @docker info >/dev/null 2>&1 || { echo "make $@ needs Docker, and no daemon answers; install or start it. \`make run\` needs neither Docker nor kind." >&2; exit 1; }
NEEDS_KIND = @command -v kind >/dev/null && command -v kubectl >/dev/null || { echo "make $@ needs kind and kubectl; install both. \`make run\` needs neither Docker nor kind." >&2; exit 1; }

image: ## Build the container image, tagged mylist:<version>
	$(NEEDS_DOCKER)
	docker build --target runtime --tag $(IMAGE):$(VERSION) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) .

# Installs metrics-server too, because nothing scales without it. An existing cluster gets new images.
KIND := mylist

kind-up: image ## Make a cluster for make e2e on this machine, with kind and Docker, and load the images into it
	$(NEEDS_KIND)
	docker build --file loadtests/Dockerfile --tag mylist-loadtest:$(VERSION) .
	kind get clusters | grep -qx $(KIND) || kind create cluster --name $(KIND) --config k8s/kind.yaml --wait 5m
	kind load docker-image --name $(KIND) $(IMAGE):$(VERSION) mylist-loadtest:$(VERSION)
	kubectl --context kind-$(KIND) apply --kustomize k8s/metrics-server
	kubectl --context kind-$(KIND) --namespace kube-system rollout status deployment/metrics-server --timeout 5m

kind-down: ## Remove that cluster and all that is in it
	$(NEEDS_KIND)
	kind delete cluster --name $(KIND)

up: ## Start the API, MongoDB and Redis in containers until they are healthy; then: docker compose run --rm seed
	$(NEEDS_DOCKER)
	docker compose up --detach --build --wait

down: ## Stop those containers; their data stays (docker compose down --volumes drops it)
	$(NEEDS_DOCKER)
	docker compose down

# The development lock is resolved first and constrains the others: one version of everything, everywhere.
RESOLVE = $(BIN)/uv pip compile --quiet --universal --python-version $(OLDEST_PYTHON) \
	--generate-hashes --no-header --no-annotate
COMPILE = $(RESOLVE) $(ARGS)
CONSTRAINED = $(COMPILE) --constraints locks/development.txt
# Starts from locks/test.txt and takes the packages of BOUNDED, and their dependencies, to their lowest versions.
LOWEST = $(RESOLVE) --resolution lowest-direct $(BOUNDED:%=--upgrade-package %)

lock: $(DEVELOPMENT) ## Bring locks/ in line with pyproject.toml; newest versions: make lock ARGS=--upgrade
	@$(COMPILE) pyproject.toml --extra dev --group build --group docs --group install --group reload \
		--output-file locks/development.txt >/dev/null
	@$(CONSTRAINED) pyproject.toml --extra tracing --output-file locks/runtime.txt >/dev/null
	@$(CONSTRAINED) pyproject.toml --extra local --extra tracing --group build --output-file locks/local.txt >/dev/null
	@$(CONSTRAINED) pyproject.toml --extra test --group build --output-file locks/test.txt >/dev/null
	@$(CONSTRAINED) pyproject.toml --extra loadtest --output-file locks/loadtest.txt >/dev/null
	@$(CONSTRAINED) --group build --output-file locks/build.txt >/dev/null
	@$(COMPILE) --group compiler --output-file locks/compiler.txt >/dev/null
	@$(CONSTRAINED) --no-deps --group docs --output-file locks/docs.txt >/dev/null
	@$(CONSTRAINED) --group install --output-file locks/install.txt >/dev/null
	@$(CONSTRAINED) --group reload --output-file locks/reload.txt >/dev/null
	@sed -n '/==/s/ \\$$//p' locks/test.txt >locks/lowest.txt
	@$(LOWEST) pyproject.toml --extra test --group build --output-file locks/lowest.txt >/dev/null
	@$(COMPILE) --no-deps tests/chart/tools/helm.in --output-file tests/chart/tools/helm.txt >/dev/null
	@$(COMPILE) tests/chart/tools/checkov.in --output-file tests/chart/tools/checkov.txt >/dev/null
	@$(COMPILE) --no-deps devtools/prose/go.in --output-file devtools/prose/go.txt >/dev/null

clean: ## Remove the environment and everything generated; the local data in .data stays
	rm -rf $(VENV) build dist .coverage .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find service devtools tests bench loadtests observability charts -name __pycache__ -prune -exec rm -rf {} +
	rm -f service/mylist/domain/*.so

$(LOCAL): locks/local.txt locks/docs.txt locks/install.txt pyproject.toml $(COMPILED) | $(PY)
	@echo "Installing what the service needs into $(VENV) ..."
	@devtools/install.sh $(VENV) locks/local.txt
	@touch $@

$(TEST): locks/test.txt locks/docs.txt locks/install.txt pyproject.toml $(COMPILED) | $(PY)
	@echo "Installing what the tests need into $(VENV) ..."
	@devtools/install.sh $(VENV) locks/test.txt
	@touch $(LOCAL) $@

$(DEVELOPMENT): locks/development.txt locks/docs.txt locks/install.txt pyproject.toml $(COMPILED) | $(PY)
	@echo "Installing what all tasks need into $(VENV) ..."
	@devtools/install.sh $(VENV) locks/development.txt
	@touch $(LOCAL) $(TEST) $@

# A Python is tried by running it: a version manager may leave a command that only says it has none. 3.14 comes late,
# because `make run` cannot bring its own MongoDB there.
# Debian's python3 lacks ensurepip without python3-venv; then the system's pip serves the environment.
$(PY):
	@python=; \
	for candidate in $(or $(PYTHON),python3.13 python3.12 python3.11 python3.14 python3); do \
		if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then \
			python=$$candidate; break; \
		fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "mylist needs Python 3.11, 3.12, 3.13 or 3.14: install one, or name one: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	if $$python -c 'import ensurepip' 2>/dev/null; then \
		$$python -m venv --clear $(VENV); \
	elif $$python -m pip --version >/dev/null 2>&1; then \
		$$python -m venv --clear --without-pip $(VENV) && \
		printf '#!/bin/sh\nexec %s -m pip --python "$$(dirname "$$0")/python" "$$@"\n' "$$python" > $(BIN)/pip && \
		chmod +x $(BIN)/pip; \
	else \
		echo "$$python has no pip: install python3-venv or python3-pip (Debian, Ubuntu), or name another: make PYTHON=..." >&2; \
		exit 1; \
	fi
