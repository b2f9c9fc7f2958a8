#!/usr/bin/env bash
# Installs into .venv, checks the code with the lines of .pre-commit-config.yaml, then runs the tests: the quick ones with branch
# coverage; without it, because it makes them about a third slower, those of the networks and the slow ones.
# Arguments replace all of that: bash launch/test.sh tests/metrics -x runs pytest alone.
set -euo pipefail
extras=test
. "$(dirname "$0")/environment.sh"
[ $# -eq 0 ] || exec .venv/bin/python -m pytest "$@"

export PYRIGHT_PYTHON_IGNORE_WARNINGS=1 # pyright would look on the network for a newer version of itself
.venv/bin/python -m ruff check
.venv/bin/python -m ruff format --check
.venv/bin/python -m pyright
# What the first half compiled the second need not. With a size, JAX locks the folder.
JAX_COMPILATION_CACHE_DIR=$(mktemp -d)
trap 'rm -rf "$JAX_COMPILATION_CACHE_DIR"' EXIT
export JAX_COMPILATION_CACHE_DIR JAX_COMPILATION_CACHE_MAX_SIZE=10000000000
# Files in their order: by default those of few tests come last, which are the longest, and one core would wait for them.
set -- -n 2 --dist loadfile --no-loadscope-reorder --durations=20
.venv/bin/python -m pytest "$@" -m "not slow and not networks" --cov --cov-report=term
.venv/bin/python -m pytest "$@" -m "slow or networks"
