# `make demo` and `make test` are all a newcomer needs: Python 3.11 or later, and make.
# The environment is in .venv; a second run finds it there. `make clean` takes it away.
PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8000
ARGS ?=
MINUTES ?= 1

run := $(VENV)/bin/python

.PHONY: demo test lint types bench peers crash chaos punctual planted lock clean
.DELETE_ON_ERROR:
.SECONDARY:

demo: $(VENV)/installed-demo
	@exec $(run) manage.py demo --host $(HOST) --port $(PORT)

test: $(VENV)/installed-test
	@$(run) -m pytest $(ARGS)

lint: $(VENV)/installed-lint
	$(run) -m ruff format --check .
	$(run) -m ruff check .
	$(VENV)/bin/lint-imports

types: $(VENV)/installed-lint
	$(run) -m mypy
	$(run) -m mypy example_project tests/typing
	$(run) -m pyright --pythonpath $(run)

bench: $(VENV)/installed-test
	@$(run) -m tests.bench $(ARGS)

# Races us against other systems. They are installed into an environment of their own, by this alone.
peers: $(VENV)/installed-test build/peers/installed
	@$(run) -m tests.bench peers $(ARGS)

build/peers/installed: tests/bench/peers/requirements.txt
	@$(PYTHON) -m venv build/peers
	@build/peers/bin/python -m pip install --quiet --requirement $<
	@touch $@

crash: $(VENV)/installed-test
	@$(run) -m tests.crash $(ARGS)

chaos: $(VENV)/installed-test
	@exec $(run) -m tests.chaos --minutes $(MINUTES) $(ARGS)

punctual: $(VENV)/installed-test
	@exec $(run) -m tests.chaos.punctual

planted: $(VENV)/installed-test
	@$(run) -m tests.planted $(ARGS)

# The newest of everything, for every Python that we support.
lock: $(VENV)/installed-release
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(run) -m uv pip compile pyproject.toml --universal --upgrade --all-extras \
		--group test --group lint --group release --no-annotate --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) build dist .coverage* htmlcov .*_cache .hypothesis

# One rule for all groups of pyproject.toml, done again when that or the lock file changes.
$(VENV)/installed-%: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed: make PYTHON=python3.13 …")'
	@echo "Installing into $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(run) -m pip install --quiet --upgrade "pip>=25.1" # earlier ones know no groups
	@$(run) -m pip install --quiet --constraint requirements.lock --editable ".[rq,tasks,live,secrets,postgres]" --group $*
	@touch $@
