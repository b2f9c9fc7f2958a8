#!/usr/bin/env bash
# Adds to .venv what the parity tests compare with: torch (its CPU build, where pip finds one), torchvision, timm,
# torch-fidelity, pytorch-fid and prdc; peft, and accelerate, which it needs, for torch diffusers' LoRA. Without them these tests
# are skipped. Run launch/test.sh or launch/local.sh first: they make .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || { echo "no .venv here yet: run launch/test.sh first" >&2; exit 2; }
python=$(command -v python3 || command -v python)
pip() { "$python" -m pip --python .venv/bin/python --disable-pip-version-check install --quiet "$@"; }
pip torch==2.13.0
# Their own requirements would bring another build of torch; of the rest, all is there.
pip --no-deps torchvision==0.28.0 timm==1.0.31 torch-fidelity==0.4.0 pytorch-fid==0.3.0 prdc==0.2 \
    peft==0.19.1 accelerate==1.15.0
