#!/usr/bin/env bash
# Installs EvalScope, the reference of `vallm eval`, and what its rules need, pinned, into a virtual
# environment of its own (5 GB: it brings PyTorch). Not part of the test suite.
#
#   tests/clients/eval_peers/install.sh [DIRECTORY]      default: /tmp/vallm-evalscope
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="${1:-/tmp/vallm-evalscope}"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"
echo "$venv/bin/python $here/scorers.py"
