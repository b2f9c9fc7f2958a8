#!/usr/bin/env bash
# Installs what the tests of the review page need and pip does not have: Debian's Chromium. Without it these tests are skipped,
# but not in continuous integration (CI=true). As root, where there is apt-get.
set -euo pipefail
command -v chromium >/dev/null && exit 0
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
