# Two commands do everything on a fresh machine: `make sweep TWS=2,4,8` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
TRAIN := .venv-train
DOCS := .venv-docs
ADDRESS ?= localhost:8000
TRAIN_TESTS = $(wildcard tests/unit/test_training_*.py tests/unit/test_*record.py tests/unit/test_record_*.py tests/unit/test_nir*.py tests/unit/test_notebooks.py tests/unit/test_quantization.py)
SAVE ?=
TWS ?= 2,4,8
ARCH ?= spikex,ptb
TRACE ?=
OUT ?= results/sweep
JOBS ?= 1
WORKERS ?= 2
FIGURES ?= results/figures
COLUMNS ?= 1
RATES := 0.01 0.05 0.2

.PHONY: help sweep figures test test-slow test-kernels test-rtl test-browser test-train coverage lint format traces clean bench docs docs-serve

help:
	@echo "make sweep TWS=2,4,8 [ARCH=spikex,ptb] [JOBS=2] [TRACE=file.npz] [OUT=results/sweep]   sweep time window sizes"
	@echo "make figures        a small study of the packaged trace, and its figures in results/figures [COLUMNS=2]"
	@echo "make test           all fast tests, kernels also without JIT and with bounds checks"
	@echo "make test-slow      tests that take minutes or download something"
	@echo "make test-rtl       the Verilog of the array against the simulator, with Icarus Verilog"
	@echo "make test-browser   reports in Chromium: no error, no request, what they draw and how they zoom"
	@echo "make test-train     tests of training and recording, with PyTorch and the frameworks of its networks"
	@echo "make bench          ratios against PyTorch and SCALE-Sim, compared with the saved run [SAVE=1]"
	@echo "make lint           ruff, mypy, import-linter"
	@echo "make coverage       fast tests without JIT, with coverage"
	@echo "make docs           the documentation as a site in build/site; any broken link or warning is an error"
	@echo "make docs-serve     the same at http://localhost:8000, renewed whenever a page changes"
	@echo "make traces         regenerate traces/ and the embedded trace"
	@echo "make clean          remove what these commands made"

# The environment: python3 -m venv needs ensurepip, which Debian packages apart.
$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found; on Debian: apt-get install python3 python3-venv, or say make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "make: Python 3.11 to 3.13 is needed, $(PYTHON) is another; say make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "make: Python's venv is missing; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

sweep: $(VENV)/.runtime
	$(BIN)/spikex-sim sweep $(TRACE) --grid tws=$(TWS) --arch $(ARCH) --jobs $(JOBS) --out $(OUT)

# One run, four machines, a sweep of windows and arrays, one of firing rates; then every figure of each.
figures: $(VENV)/.runtime
	$(BIN)/spikex-sim run $(TRACE) --tws 4 --out $(FIGURES)/run
	$(BIN)/spikex-sim compare $(TRACE) --arch spikex,ptb,sata,systolic-os --out $(FIGURES)/compare
	$(BIN)/spikex-sim sweep $(TRACE) --grid tws=$(TWS) --grid array.cols=8,16 --arch $(ARCH) --out $(FIGURES)/sweep
	for rate in $(RATES); do $(BIN)/spikex-sim trace synth --kind bernoulli --layer conv2 --rate $$rate \
	  --out $(FIGURES)/traces/rate-$$rate.npz || exit; done
	$(BIN)/spikex-sim sweep $(RATES:%=$(FIGURES)/traces/rate-%.npz) --grid tws=4 --arch $(ARCH) --out $(FIGURES)/rates
	for folder in run compare sweep rates traces/rate-0.05.npz; do \
	  $(BIN)/spikex-sim plot $(FIGURES)/$$folder --format pdf,png,svg --columns $(COLUMNS) || exit; done

# Kernels are compiled once here, not once in every test process. A quarter of the examples of property tests are tried; test-slow tries all.
test: export SPIKEX_EXAMPLES ?= 0.25
test: $(VENV)/.dev
	@$(BIN)/python -c 'from spikex_sim.run.simulate import prepare; prepare()'
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
	$(MAKE) --no-print-directory test-kernels

# Those with bounds checks are compiled beside the tests without JIT.
CHECKED = NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(VENV)/numba-boundscheck $(BIN)/python
test-kernels: $(VENV)/.dev
	$(CHECKED) -c 'from spikex_sim.run.simulate import prepare; prepare()' & \
	  NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n $(WORKERS) -q -m kernels && wait
	$(CHECKED) -m pytest -n $(WORKERS) -q -m kernels

test-rtl: $(VENV)/.dev
	@command -v iverilog >/dev/null || { echo "make: iverilog not found; on Debian: apt-get install iverilog"; exit 1; }
	SPIKEX_REQUIRE_RTL=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/rtl

# Playwright drives the Chromium that is there ($$CHROMIUM, or Debian's) and brings none.
test-browser: $(VENV)/.dev
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || { echo "make: chromium not found; on Debian: apt-get install chromium"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[browser]'
	SPIKEX_REQUIRE_BROWSER=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile tests/browser

test-slow: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[digits]'
	$(BIN)/python -m pytest -m slow
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/property tests/conformance

# An environment of its own: SCALE-Sim wants an older numpy.
$(BENCH)/.ready: $(VENV)/bin/python setup.cfg
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

# PyTorch 2.13.0, and frameworks that ask for packages (torchvision) which nothing here needs: without theirs.
$(TRAIN)/.ready: $(VENV)/bin/python setup.cfg
	$(PYTHON) -m venv $(TRAIN)
	$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check --editable \
	  '.[dev,digits,train,nir,notebooks]' nirtorch scipy tqdm loguru
	$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  'snntorch>=1.0' 'spikingjelly>=2.0' 'norse>=1.1'
	@touch $@

test-train: $(TRAIN)/.ready
	@$(TRAIN)/bin/python -c 'from spikex_sim.run.simulate import prepare; prepare()'
	$(TRAIN)/bin/python -m pytest -n $(WORKERS) --dist worksteal $(TRAIN_TESTS)

bench: $(BENCH)/.ready
	PYTHONPATH=scripts $(BENCH)/bin/python -m benchmarks.measure $(if $(SAVE),--save)

coverage: $(VENV)/.dev
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report=term --cov-report=xml

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site is made from sources alone: its environment has the tools of the extra docs, and not the package itself.
$(DOCS)/.ready: setup.cfg
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "make: Python's venv is missing; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -c 'import configparser; c = configparser.ConfigParser(); c.read("setup.cfg", "utf-8"); print(c["options.extras_require"]["docs"])' \
	  >$(DOCS)/requirements.txt
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(DOCS)/requirements.txt
	@touch $@

docs docs-serve: export NO_MKDOCS_2_WARNING := 1
docs: $(DOCS)/.ready
	$(DOCS)/bin/python scripts/check_pages.py
	$(DOCS)/bin/mkdocs build --strict
	$(DOCS)/bin/python scripts/check_site.py build/site

docs-serve: $(DOCS)/.ready
	$(DOCS)/bin/mkdocs serve --dev-addr $(ADDRESS)

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

traces: $(VENV)/.runtime
	$(BIN)/python scripts/make_traces.py

clean:
	rm -rf $(VENV) $(BENCH) $(TRAIN) $(DOCS) build results .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
