# Each target does all set-up it needs: `make bench` and `make test` work in a bare clone.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
JOBS ?= 2
# How pip gets torch; for CPU-only wheels see the README ("Smaller downloads").
PIP_FLAGS ?=

# What `make regression` compares with: a baseline's experiment, a folder, or a git revision.
EXPERIMENT ?= ci
BASE ?= $(EXPERIMENT)
# Which changes `make mutants` tries, and how many.
SEED ?= 0
COUNT ?= 100
# What `make calibrate` has collected; hours of it, so it is kept and continued.
CALIBRATION ?= results/calibration

.PHONY: fuzz regression calibrate calibrate-statistics bench ci-bench test test-fast test-gpu explore mutants lint type report install bench-harness docs clean help

help:
	@echo "make bench          sweep the quick experiment, write reports/quick/"
	@echo "make test           the whole test suite"
	@echo "make explore        new examples for the property tests; a failing one is kept as @example(...) over its test"
	@echo "make mutants        seeded changes to the code that numbers come from: are they noticed? (SEED=0 COUNT=100)"
	@echo "make test-gpu       tests that need a CUDA device; without one they say so and are skipped"
	@echo "make report         draw reports/quick/ again from the newest run"
	@echo "make fuzz           seeded attempts to get something wrong through: configurations, files, generators, kills"
	@echo "make lint type      ruff, the import contracts, mypy"
	@echo "make regression     measure ci afresh and compare it with its baseline (BASE=REVISION: with a revision's)"
	@echo "make calibrate      error rates of the gate, measured; some hours, continues where it was stopped"
	@echo "make calibrate-statistics  what intervals and verdicts claim, tried on many seeds; hours, continues too"
	@echo "make bench-harness  benchmarks of the harness itself"
	@echo "make docs           write docs/catalogue.md and the tables of docs/results-format.md anew"
	@echo "make clean          remove what was installed and measured (not the baselines)"

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -e ".[dev]"
	@touch $@

bench: install
	$(BIN)/ganprune run quick --jobs $(JOBS)

report: install
	$(BIN)/ganprune report quick

test: install
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

test-fast: install
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow"

# Fails only for what nobody has seen before, so it is no part of CI.
explore: install
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile explore -n $(JOBS) --dist loadfile

# Hours; continues where it was stopped.
mutants: install
	$(BIN)/python -m tests.mutants --seed $(SEED) --count $(COUNT) --jobs $(JOBS)

test-gpu: install
	$(BIN)/python -m pytest tests/gpu tests/strategies/criteria tests/measure -k "gpu or cuda"

fuzz: install
	$(BIN)/python -m tests.fuzz --jobs $(JOBS)

bench-harness: install
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only -o addopts="-ra --import-mode=importlib" -s -q \
		--benchmark-columns=min,median,stddev,rounds

regression: install
	$(BIN)/ganprune run $(EXPERIMENT) --fresh --jobs $(JOBS)
	$(BIN)/ganprune compare $(BASE) $(EXPERIMENT)

calibrate: install
	$(BIN)/python -m bench.gate.calibration quality --data $(CALIBRATION)
	$(BIN)/python -m bench.gate.calibration timing idle --data $(CALIBRATION)
	$(BIN)/python -m bench.gate.calibration timing busy --data $(CALIBRATION)
	$(BIN)/python -m bench.gate.calibration write --data $(CALIBRATION)

# Hours; continues where it was stopped. Several processes: --part NAME and --seeds FIRST:END for each, then `merge`.
calibrate-statistics: install
	$(BIN)/python -m bench.gate.calibration.statistics collect --data $(CALIBRATION)
	$(BIN)/python -m bench.gate.calibration.statistics write --data $(CALIBRATION)

docs: install
	$(BIN)/python -m bench.documentation

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

type: install
	$(BIN)/python -m mypy

clean:
	rm -rf $(VENV) build dist results/runs .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find reports -mindepth 1 ! -name .gitkeep -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
