# Growth Engine: everything a person or CI needs. `make` alone shows the list.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup run test lint types drills protocol bench lock i18n format found clean

PYTHON ?= python3
PORT ?= 8000
GROWTH_DATA_DIR ?= .data
export PORT GROWTH_DATA_DIR

BIN := .venv/bin
READY := .venv/.ready
UV := $(BIN)/uv --quiet
SYNC := $(UV) pip sync --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock

help: ## show this list
	@grep -E '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'
	@echo "  PORT=8000, GROWTH_DATA_DIR=.data and PYTHON=python3 may be set, e.g. make run PORT=9000"

setup: $(READY) ## make the virtual environment (run and test do it by themselves)

# Everything pinned with hashes, uv itself too; compiled now, since the environment may forbid it later
# and each start would then take seconds longer; the stamp makes the next run quick. uv brings its own
# list of authorities; behind a proxy with one of its own, the machine's list is tried next.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Growth Engine needs Python 3.11 or newer; $(PYTHON) is missing or older. Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
	  echo "The virtual environment could not be made: see above (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Installing the pinned packages …"
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	@$(SYNC) 2>.venv/sync.log || $(SYNC) --system-certs || { cat .venv/sync.log >&2; exit 1; }
	@$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(READY)

run: $(READY) ## run everything on this machine; Ctrl-C stops it
	@exec $(BIN)/growth-engine up --data-dir "$(GROWTH_DATA_DIR)" --port "$(PORT)"

ifdef T
test: $(READY) ## lint, types and all tests; T=path runs these tests only
	$(BIN)/pytest $(T)
else
test: $(READY)
	@$(MAKE) --no-print-directory -j2 lint types
	$(BIN)/pytest -n 2 --dist loadgroup
endif
# What tests compile is kept, also where the environment forbids it: else each run compiles all of it anew,
# in both processes, and each of the many programs that tests start does so again.
test drills protocol: export PYTHONDONTWRITEBYTECODE =

lint: $(READY) ## style, formatting and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(BIN)/lint-imports > .venv/imports.log || { cat .venv/imports.log; exit 1; }
	@tail -n 2 .venv/imports.log

format: $(READY) ## put style and formatting right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY) ## mypy, strict
	$(BIN)/mypy

drills: $(READY) ## the fault drills alone: kill, fill, unplug, and hours of random shops (SEEDS=1000 STEPS=500)
	MONEY_SEEDS=$(or $(SEEDS),1000) MONEY_STEPS=$(or $(STEPS),500) $(BIN)/pytest -m drill tests

protocol: $(READY) ## the sandbox held to the platforms' protocol
	$(BIN)/pytest -n 2 -m protocol tests/sandbox

bench: $(READY) ## the benchmarks (B=name for one); figures go to the screen
	@for file in $(or $(B:%=benchmarks/%.py),$(wildcard benchmarks/*.py)); do \
	  case $$file in */_*) continue;; esac; echo "== $$file"; $(BIN)/python $$file || exit 1; done

lock: ## write requirements.lock anew from pyproject.toml (newest allowed versions with U=--upgrade)
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header $(U) --output-file requirements.lock --quiet

i18n: $(READY) ## gather the words, update the catalogues, compile them
	$(BIN)/pybabel --quiet extract -F pyproject.toml -k N_ -k _l -k lazy_gettext --no-location --sort-output \
	  --project growth-engine -o growth_engine/translations/messages.pot growth_engine campaigns webhooks
	@for locale in zh en; do \
	  test -f growth_engine/translations/$$locale/LC_MESSAGES/messages.po && { action=update keep=--no-fuzzy-matching; } || { action=init keep=; }; \
	  $(BIN)/pybabel --quiet $$action $$keep -i growth_engine/translations/messages.pot -d growth_engine/translations -l $$locale || exit 1; \
	done
	$(BIN)/pybabel --quiet compile -d growth_engine/translations

found: $(READY) ## write down anew which jobs, reactions, plays and routes are found
	UPDATE_FOUND=1 $(BIN)/pytest -q tests/engine/cli/test_found.py

clean: ## remove caches (never the data folder)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
