# Needs a Python >= 3.11 with venv, and make; everything else goes into .venv and .tox here.
#   make demo    the main job on an emulated CPU: fill a pool, optimize, store to tails, restore; build/demo.html shows it
#   make test    tests on every interpreter present, lint, types, docs; SLOW=1: those that take seconds each, too
#   make bench   benchmarks
#   make picture draw the README's picture again
#   make figures draw the figures for slides again; needs Chromium
#   make clean   remove what the above installed and cached

CANDIDATES := python3.13 python3.12 python3.11 python3 python
SUITABLE   := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON     ?= $(firstword $(foreach name,$(CANDIDATES),$(shell $(name) -c '$(SUITABLE)' >/dev/null 2>&1 && echo $(name))))

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install

.PHONY: help demo test bench picture figures clean

help:
	@sed -n 's/^#   //p' Makefile

demo: .venv/installed
	@mkdir -p build
	$(BIN)/hvolab run --cpu emulated --html build/demo.html

test: .venv/tox-installed
	$(BIN)/tox run-parallel --parallel auto $(if $(SLOW),,-m quick)

bench: .venv/tox-installed
	$(BIN)/tox run -e bench

picture: .venv/installed
	$(BIN)/python -m docs.hvolab_docs.picture

figures: .venv/installed
	$(PIP) --editable '.[report,browser]'
	$(BIN)/python -m docs.hvolab_docs.figures

clean:
	rm -rf .venv .tox .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist

.venv/created:
	@test -n '$(PYTHON)' || { echo 'hvolab needs Python 3.11 or newer with venv (Debian: python3-venv), and found none; name one: make PYTHON=/path/to/python' >&2; exit 1; }
	'$(PYTHON)' -m venv --clear .venv
	@touch $@

.venv/installed: .venv/created pyproject.toml
	$(PIP) --editable '.[emulation,report]'
	@touch $@

.venv/tox-installed: .venv/created tox.ini
	$(PIP) 'tox>=4.23,<5' 'tox-uv>=1.16,<2'
	@touch $@
