#!/usr/bin/env bash
# Installs Open WebUI, pinned, into .venv beside this file for open_webui_test.py: about 1.2 GB, which is
# why install.sh of the other clients leaves it out. Needs Python 3.11 or 3.12. Idempotent.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly UV_VERSION=0.13.9
stamp=$(cat requirements.txt without.txt | sha256sum | cut -d' ' -f1)
[ -f .venv/.vallm-stamp ] && [ "$(cat .venv/.vallm-stamp)" = "$stamp" ] && exit 0

python=
for candidate in python3.12 python3.11 python3; do
  if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || { echo "open_webui: needs Python 3.11 or 3.12" >&2; exit 1; }

"$python" -m venv .venv
.venv/bin/pip install -q --disable-pip-version-check "uv==$UV_VERSION"
.venv/bin/uv pip install -q --python .venv/bin/python --override without.txt -r requirements.txt
echo "$stamp" >.venv/.vallm-stamp
