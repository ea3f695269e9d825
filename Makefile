# Every chore of the project. A laptop and the continuous checks run the same targets.
# `make demo` and `make test` are all that a newcomer needs; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
SECONDS ?= 60
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup demo check test hil bench docs fuzz soak conformance release lock clean apt-test

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(STAMP)-venv:
	@sh tools/setup/venv.sh "$(PYTHON)" "$(VENV)"
	@touch $@

# Each lock is installed with every hash checked; the build backend comes from the same lock, so nothing is
# fetched that is not pinned.
$(STAMP)-demo: locks/demo.txt pyproject.toml $(STAMP)-venv
	@echo "installing pinned packages into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r locks/demo.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(STAMP)-test: locks/test.txt $(STAMP)-demo
	@echo "installing what the tests need ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --prefer-binary --no-build-isolation -r locks/test.txt
	@touch $@

# The signing side makes deltas with detools, which has no wheel: where no C compiler is and may be installed, the
# tests that need it are skipped and say so.
$(STAMP)-release: locks/release.txt $(STAMP)-test | apt-test
	@if sh tools/setup/compiler.sh $(BIN)/python; then \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --prefer-binary --no-build-isolation -r locks/release.txt && touch $@; fi

setup: $(STAMP)-demo  ## the environment only: .venv with .venv/bin/wayside in it

demo: setup  ## the main job for a minute, with its ledger; needs no root
	@$(BIN)/wayside demo --seconds $(SECONDS)

apt-test:
	@sh tools/setup/apt_test.sh

test: apt-test $(STAMP)-test $(STAMP)-release  ## every test (installs what it drives through apt when it may: Mosquitto, libnfc, PostgreSQL, RAUC, a browser, a C compiler)
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

check: $(STAMP)-test $(STAMP)-release  ## lint, types, import contracts, names, lengths, spelling, pages drawn from code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/codespell
	@$(BIN)/python -m tools.checks
	@$(BIN)/python -m tools.docs --check

hil: $(STAMP)-test $(STAMP)-release  ## the end-to-end suite in its long form; RIG=hil_tests/rigs/<bench>.toml for real hardware
	@$(BIN)/python -m pytest hil_tests edge/tests --long $(if $(RIG),--rig $(RIG)) $(ARGS)

bench: $(STAMP)-test $(STAMP)-release  ## measure against the bare loop and write docs/bench.md
	@$(BIN)/wayside bench --write docs/bench.md $(ARGS)
	@$(BIN)/wayside bench codecs --write docs/bench.md
	@$(BIN)/wayside bench ota --write docs/bench.md

docs: $(STAMP)-test  ## regenerate the pages that are drawn from code (AsyncAPI, schemas, the page of keys)
	@$(BIN)/python -m tools.docs --write

$(STAMP)-fuzz: locks/fuzz.txt $(STAMP)-test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --prefer-binary --no-build-isolation -r locks/fuzz.txt
	@touch $@

fuzz: $(STAMP)-fuzz  ## a minute of hostile bytes, led by coverage, for every decoder and framer
	@$(BIN)/python -m protocols.tests.guided_fuzz --seconds $(FUZZ_SECONDS) $(ARGS)

soak: $(STAMP)-test $(STAMP)-release  ## whatever has a long form: hostile bytes, hundreds of power cuts
	@$(BIN)/python -m pytest --long -m long $(ARGS)

conformance: $(STAMP)-test  ## the public TUF conformance suite; TUF_CONFORMANCE=<folder of its checkout>
	@test -n "$(TUF_CONFORMANCE)" || { echo "conformance: name a checkout of theupdateframework/tuf-conformance: make conformance TUF_CONFORMANCE=<folder>" >&2; exit 2; }
	@test -f "$(TUF_CONFORMANCE)/tuf_conformance/conftest.py" || { echo "conformance: $(TUF_CONFORMANCE) has no tuf_conformance/conftest.py" >&2; exit 2; }
	@command -v faketime >/dev/null || { echo "conformance: faketime is not installed (apt install faketime)" >&2; exit 2; }
	@$(BIN)/python -m pytest -c /dev/null --rootdir "$(TUF_CONFORMANCE)" -o pythonpath="$(TUF_CONFORMANCE)" "$(TUF_CONFORMANCE)/tuf_conformance" \
	    --entrypoint "$(CURDIR)/$(BIN)/python -m tools.tuf_client" $(ARGS)

release: check test  ## a reproducible wheel and source archive in dist/
	@rm -rf dist
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m hatchling build
	@ls -l dist

lock: $(STAMP)-venv  ## pin every dependency anew, with hashes
	@sh tools/setup/lock.sh "$(VENV)"

clean:  ## remove the environment and all that was built
	@rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
