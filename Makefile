# `make` lists what there is. Everything runs in one virtual environment, made from constraints.txt when first needed.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# One thread per process: torch, BLAS and several workers would otherwise fight for the same cores. Ray starts workers
# at niceness 15, where they starve beside any other process; its CPU workers need not hide GPUs that are not there.
export OMP_NUM_THREADS ?= 1
export RAY_worker_niceness ?= 0
export RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO ?= 0

.DEFAULT_GOAL := help
.PHONY: help setup check format test test-slow test-faults bench bench-overhead bench-peers bench-optimizers bench-report bench-fidelity demo docs screenshot build clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create the environment in VENV (.venv) from constraints.txt

$(STAMP): constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	@echo "installing the packages of constraints.txt into $(VENV): some minutes"
	$(BIN)/python -m pip install -qq --disable-pip-version-check --requirement constraints.txt
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

check: $(STAMP) ## Lint, formatting, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest tests/unit/test_structure.py

format: $(STAMP) ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(STAMP) ## The tests, without the slow ones
	$(BIN)/pytest -m "not slow and not ray" -n 2 --dist loadfile
	$(BIN)/pytest -m "not slow and ray"

test-slow: $(STAMP) ## The slow tests alone
	$(BIN)/pytest -m slow

test-faults: $(STAMP) ## Twenty rounds of kill -9 at random moments: drivers, trial actors, workers
	PARETUNE_FAULT_ROUNDS=20 $(BIN)/pytest -m "" tests/e2e/test_faults.py tests/e2e/test_gang_faults.py

bench: bench-overhead ## Every benchmark of BENCHMARKS.md

bench-overhead: $(STAMP) ## Seconds per trial beyond the training itself, against bare Ray Tune
	$(BIN)/python benchmarks/overhead.py inline --trials 200 --rounds 3
	$(BIN)/python benchmarks/overhead.py distributed --trials 20

bench-peers: ## Environments of the libraries that paretune is compared with, in PARETUNE_PEERS
	benchmarks/optimizers/install.sh

# make bench-optimizers GROUPS=ml,noisy PEERS=paretune,ax SEEDS=0-4 PENDING=8
GROUPS ?= all
PEERS ?= paretune,random,sobol,optuna-tpe,optuna-tpe-mv,optuna-gp,optuna-nsga2,nevergrad
SEEDS ?= 0-9
PENDING ?= 1
WORKERS ?= 1
bench-optimizers: $(STAMP) ## Results after equal numbers of trials against other libraries: GROUPS, PEERS, SEEDS, PENDING, WORKERS
	$(BIN)/python -m benchmarks.optimizers run $(GROUPS) --peers $(PEERS) --seeds $(SEEDS) --pending $(PENDING) --workers $(WORKERS)

bench-report: $(STAMP) ## docs/optimizers.md and its figure from the results that are there
	$(BIN)/python -m benchmarks.optimizers report

# make bench-fidelity ARMS=gp+asha,random+asha,syne-bohb SEEDS=0-4 CLUSTER=64 WORKERS=2
ARMS ?= gp+asha,random+asha,random+asha:kind=promote,random+hyperband,random+median,random+one_epoch_topk,random+none,tpe+asha
CLUSTER ?= 8
bench-fidelity: $(STAMP) ## Searches that end trials early, on a virtual clock: ARMS, SEEDS, CLUSTER (simulated), WORKERS; docs/fidelity.md
	$(BIN)/python -m benchmarks.fidelity run --arms $(ARMS) --seeds $(SEEDS) --workers $(CLUSTER) --processes $(WORKERS)
	$(BIN)/python -m benchmarks.fidelity report

demo: $(STAMP) ## Search a small CNN for error and latency: two minutes, then a report
	$(BIN)/paretune run search_spaces/cnn.yaml

docs: $(STAMP) ## Write docs/reference/cli.md from the commands' own help
	mkdir -p docs/reference
	$(BIN)/typer paretune.cli._app utils docs --name paretune --title "Command line" --output docs/reference/cli.md

CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
screenshot: ## Draw the demo's report as docs/report.png (needs Chromium)
	@test -n "$(CHROMIUM)" || { echo "no Chromium found: make screenshot CHROMIUM=..."; exit 1; }
	@test -f paretune-results/cnn/report.html || { echo "no report yet: make demo"; exit 1; }
	profile=$$(mktemp -d); "$(CHROMIUM)" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
	  --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars \
	  --user-data-dir="$$profile" --window-size=1280,1600 --virtual-time-budget=8000 \
	  --screenshot=docs/report.png "file://$(CURDIR)/paretune-results/cnn/report.html"; rm -rf "$$profile"

build: $(STAMP) ## Wheel and source distribution into dist/
	$(BIN)/python -m build --no-isolation

clean: ## Remove what was built; results stay
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find platform trainables tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
