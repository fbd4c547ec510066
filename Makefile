# Every target is one line of intent; `make help` lists them. Works with GNU make on Debian and macOS.
PY := .venv/bin/python
PYTEST := $(PY) -m pytest -q -p no:cacheprovider
DURATION ?=
TAPE ?=
SPEED ?=
SEED ?=
export PYTHONPATH := .
export PYTHONDONTWRITEBYTECODE := 1
COMPILE := .venv/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options --no-header

GATE_TESTS := tests/unit/libs/common/risk tests/property/test_event_states.py $(addprefix tests/unit/services/executor/test_,approval.py seal.py risk_desk.py control.py)
GATE_CODE := libs/common/risk/*,$(subst $() ,,$(foreach n,approval seal risk_desk event_sums pace shard_cash,services/executor/core/$(n).py,))

.DEFAULT_GOAL := help
.PHONY: help setup demo test ci fmt lint type arch docs requirements unit property cov-gate contract component replay test-faults-executor test-controls system bench bench-halt bench-budget lock clean .runtime

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

setup: ## make .venv (Python 3.11 or later; PYTHON=… chooses) with everything for tests
	@tools/environment.sh dev

.runtime:
	@tools/environment.sh runtime

demo: .runtime ## trade in a simulated venue: DURATION=60 TAPE=<file or folder> SPEED=10 SEED=1
	@exec $(PY) -m libs.cli demo $(if $(DURATION),--duration $(DURATION)) $(if $(TAPE),--tape "$(TAPE)") $(if $(SPEED),--speed $(SPEED)) $(if $(SEED),--seed $(SEED))

test: setup ## install what is needed and run every check and test
	@$(PY) -m tools.run_tests

ci: test ## what CI runs

fmt: setup ## format the code and fix what can be fixed
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

lint: setup ## ruff with all rules, and the house rules in tools/
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && $(PY) -m tools.check_house

type: setup ## mypy, strict
	@.venv/bin/mypy

arch: setup ## import rules: pure cores, independent services
	@.venv/bin/lint-imports

docs: setup ## write the generated documents anew
	@$(PY) -m tools.generate_subjects && $(PY) -m tools.generate_order_life && $(PY) -m tools.generate_guards

requirements: setup ## the requirements files are pinned, hashed, URL-free and whole
	@$(PY) -m tools.check_requirements

unit: setup ## tests of single modules
	@$(PYTEST) -n 2 tests/unit

property: setup ## tests of invariants
	@$(PYTEST) -n 2 tests/property

cov-gate: setup ## every branch of rules, approval, seal and desk is run by its own tests
	@.venv/bin/coverage run --data-file=.coverage-gate -m pytest -q -p no:cacheprovider $(GATE_TESTS)
	@.venv/bin/coverage report --data-file=.coverage-gate -m --fail-under=100 --include='$(GATE_CODE)'

contract: setup ## golden messages, the venue's recorded answers, README, Makefile
	@$(PYTEST) tests/contract

component: setup ## one service's shell with real servers
	@$(PYTEST) tests/component

replay: setup ## recorded sessions through the cores
	@$(PYTEST) tests/replay

test-faults-executor: setup ## end the executor at every await and effect of its order path, singly and in pairs
	@$(PYTEST) -s tests/faults

test-controls: setup ## provoke every trigger and rule, unplug each, print the table and write var/controls.json
	@$(PYTEST) tests/controls

system: setup ## all services as real processes
	@$(PYTEST) tests/system

bench: setup ## measure, print and write var/bench.json
	@$(PY) -m bench

bench-halt: setup ## halt HALTS=1000 times in each scenario, with 5,000 orders on three shards
	@$(PY) -m bench.halts

bench-budget: setup ## the write budget over HOURS=24 simulated hours, against the venue's bucket rules
	@$(PY) -m bench.budget --hours $(or $(HOURS),24)

lock: setup ## compile requirements/*.txt from the .in files
	@cd requirements && ../$(COMPILE) -o runtime.txt runtime.in && ../$(COMPILE) -o dev.txt dev.in
	@$(PY) -m tools.check_requirements

clean: ## remove what running and testing left (the environment stays)
	@rm -rf var .mypy_cache .ruff_cache .hypothesis .import_linter_cache
