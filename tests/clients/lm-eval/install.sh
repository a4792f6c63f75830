#!/usr/bin/env bash
# Installs EleutherAI's lm-evaluation-harness, pinned and without PyTorch, into .venv beside this file for
# lm_eval_test.py: about 900 MB, which is why install.sh of the other clients leaves it out. Idempotent.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

stamp=$(sha256sum <requirements.txt | cut -d' ' -f1)
[ -f .venv/.vallm-stamp ] && [ "$(cat .venv/.vallm-stamp)" = "$stamp" ] && exit 0
python3 -m venv .venv
.venv/bin/pip install -q --disable-pip-version-check -r requirements.txt
echo "$stamp" >.venv/.vallm-stamp
