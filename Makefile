# One command each, from a bare clone with Python 3.11 or newer, git and make.
#
#   make serve ARGS="--simulate"    start the daemon
#   make test                       what CI runs: lint, then all tests; ARGS go to pytest
#   make lint                       formatting, lint, types, import contracts
#   make format                     mend what ruff can mend
#   make bench                      measure the README's numbers anew
#   make venv                       .venv with what the daemon needs
#   make venv-dev                   .venv with what tests and checks need, too
#   make lock                       newest versions that pyproject.toml allows, into both locks
#   make charts                     Chart.js for the dashboard, from npm by the lock file
#   make clean                      remove what the others made
#   make help                       this list
#
# PYTHON=... chooses the interpreter that .venv is made from.

MAKEFLAGS += --no-print-directory
PY := .venv/bin/python

# The first python that is new enough. Variables that would make it import from elsewhere are dropped.
define find_python
unset PYTHONHOME PYTHONPATH PYTHONSTARTUP __PYVENV_LAUNCHER__; \
for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11); do \
  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then break; fi; \
  python=; \
done; \
if [ -z "$$python" ]; then \
  echo 'exai: error: no Python 3.11 or newer $(if $(PYTHON),at "$(PYTHON)",on the PATH); try make PYTHON=/path/to/python' >&2; \
  exit 2; \
fi
endef
make_venv = $(find_python); exec "$$python" .ci/environment.py
rebuild = $(if $(PYTHON),--rebuild-for "$$python")

.PHONY: help serve venv venv-dev charts test lint format bench lock clean

help:
	@sed -n 's/^#   //p' Makefile

# To make, a recipe that ends by a signal has failed: `exai stop` would show as an error.
serve: venv
	@$(PY) .ci/charts.py --if-possible
	@exec $(PY) -m exai_ops serve --stop-is-success $(ARGS)

# Both may be asked for at once: the script takes a lock, and what dev installs holds the runtime's packages.
venv:
	@$(make_venv) runtime $(rebuild)

venv-dev:
	@$(make_venv) dev $(rebuild)

charts:
	@$(find_python); exec "$$python" .ci/charts.py

lint: venv-dev
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command as main; main()'

# A worker a core, a file's tests together, the longest files first.
test: lint charts
	$(PY) -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

format: venv-dev
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

bench: venv-dev
	@exec $(PY) -m benchmarks $(ARGS)

UV_COMPILE = compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
  --no-annotate --custom-compile-command 'make lock' pyproject.toml

# Newest versions that pyproject.toml allows; the dev lock holds the runtime's versions and more.
lock:
	@$(find_python); set -e; \
	test -x .venv-lock/bin/uv || { "$$python" -m venv --clear .venv-lock; .venv-lock/bin/python -m pip install -q uv; }; \
	.venv-lock/bin/uv pip $(UV_COMPILE) --upgrade --group pyproject.toml:build -o requirements.lock >/dev/null; \
	.venv-lock/bin/uv pip $(UV_COMPILE) --upgrade --group pyproject.toml:dev -c requirements.lock \
	  -o requirements-dev.lock >/dev/null

clean:
	rm -rf exai_ops/dashboard/static/vendor
	rm -rf .venv .venv-lock .venv-bench build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find exai_ops tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
