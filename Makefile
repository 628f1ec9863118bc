# Everything a person does with this checkout. `make help` lists the targets.
# Each target installs what it needs into .venv first; nothing outside the checkout is touched.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# What, when changed, asks for a new installation (editable: Python files do not).
SOURCES := pyproject.toml setup.py $(wildcard csrc/*.cpp csrc/*.h csrc/cpu/* csrc/cuda/*)

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-deep sanitize check bench bench-quick calibrate cards demo docs docs-fast bench-cuda cuda-report docs-translations \
        format clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | \
	  while IFS="$$(printf '\t')" read -r name what; do printf '  make %-11s %s\n' "$$name" "$$what"; done

quickstart: $(VENV)/.runtime  ## Install, build, train mnist_cnn on the embedded digits
	$(BIN)/cnnzoo train mnist_cnn

test: $(VENV)/.dev  ## Run the tests
	$(BIN)/python -m pytest

test-deep: $(VENV)/.dev  ## Random cases by the thousand for the operator (about 6 minutes)
	tests/csrc/run.sh plain 20000
	CNNZOO_EXAMPLES=20000 $(BIN)/python -m pytest -s tests/ops/test_properties.py

sanitize:  ## Run the kernels' tests under AddressSanitizer, UBSan and ThreadSanitizer
	tests/csrc/run.sh asan
	tests/csrc/run.sh tsan 1000

check: $(VENV)/.dev  ## Check format, lint, types, architecture and the examples in docstrings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py
	$(BIN)/python -m pytest -q --doctest-modules cnnzoo
	$(BIN)/python -m benchmarks.cards check
	$(BIN)/python docs/build.py --fast
	$(BIN)/python docs/_ext/zoodocs/catalogues.py check

bench: $(VENV)/.bench  ## Compare the operator with everyone: JSON, tables, a picture (14 minutes)
	$(BIN)/python -m benchmarks.compare

bench-quick: $(VENV)/.bench  ## The same in two minutes, without torch.compile
	$(BIN)/python -m benchmarks.compare --quick

bench-cuda: $(VENV)/.bench  ## Compare the CUDA kernels with PyTorch on this machine's GPU
	$(BIN)/python -m benchmarks.cuda_compare

cuda-report: $(VENV)/.dev  ## Compile the CUDA kernels and show what they take (needs nvcc, no GPU)
	cd tests/cuda && ../../$(BIN)/python -m gates

calibrate: $(VENV)/.dev  ## Time the operator's choices for this instruction set, and ship them
	$(BIN)/python -m benchmarks.calibrate
	$(BIN)/python -m benchmarks.calibrate --dtype bfloat16 --threads 1

cards: $(VENV)/.dev  ## Measure the bundled weights: their cards, and the table in docs/models.md
	$(BIN)/python -m benchmarks.cards

demo: $(VENV)/.dev  ## Draw a digit in the browser and look into the network
	$(BIN)/cnnzoo demo

docs: $(VENV)/.dev  ## Build the site, tutorials run, in English and Chinese (10 minutes)
	$(BIN)/python docs/build.py

docs-fast: $(VENV)/.dev  ## Build the English pages without running the tutorials
	$(BIN)/python docs/build.py --fast

docs-translations: $(VENV)/.dev  ## Count missing translations; more than allowed fails
	$(BIN)/python docs/_ext/zoodocs/catalogues.py check

format: $(VENV)/.dev  ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove what was built (.venv and your runs stay)
	rm -rf build dist *.egg-info cnnzoo/_C*.so cnnzoo/_native_build.json $(VENV)/.runtime $(VENV)/.dev $(VENV)/.bench
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# torch goes first: the build below finds its headers there instead of fetching it a second time.
$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install 'torch>=2.10' 'torchvision>=0.25'
	@touch $@

$(VENV)/.runtime: $(VENV)/.torch $(SOURCES)
	$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.torch $(SOURCES)
	$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.runtime

$(VENV)/.bench: $(VENV)/.torch $(SOURCES)
	$(PIP) install --editable '.[bench]'
	@touch $@ $(VENV)/.runtime
