#!/usr/bin/env bash
# Installs into .venv, then runs the tests. Arguments replace those of pytest: bash launch/test.sh tests/metrics -x
set -euo pipefail
extras=test
. "$(dirname "$0")/environment.sh"
# Files in their order: by default those of few tests come last, which are the longest, and one core would wait for them.
[ $# -gt 0 ] || set -- -n 2 --dist loadfile --no-loadscope-reorder --durations=10
exec .venv/bin/python -m pytest "$@"
