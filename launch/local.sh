#!/usr/bin/env bash
# One command from a fresh clone to a report: installs into .venv, then runs the loop on Colorized Digits.
# Arguments replace those of main: bash launch/local.sh --config=configs/digits.py:biased --workdir=runs/biased
set -euo pipefail
extras=
. "$(dirname "$0")/environment.sh"
[ $# -gt 0 ] || set -- --config=configs/digits.py --workdir=runs/digits
exec .venv/bin/python -m jaxloop.main "$@"
