#!/usr/bin/env bash
# Installs into .venv, then runs the tests. Arguments replace those of pytest: bash launch/test.sh tests/metrics -x
set -euo pipefail
extras=test
. "$(dirname "$0")/environment.sh"
[ $# -gt 0 ] || set -- -n 2 --dist loadfile --durations=10
exec .venv/bin/python -m pytest "$@"
