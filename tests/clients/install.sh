#!/usr/bin/env bash
# Installs the pinned test clients beside this file: npm packages into node_modules, Python
# packages into .venv. Idempotent; says what it could not install and leaves those tests to skip.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

stamp() { cat "$@" | sha256sum | cut -d' ' -f1; }
fresh() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

node_stamp=$(stamp package.json package-lock.json)
if ! fresh node_modules/.vallm-stamp "$node_stamp"; then
  if ! command -v npm >/dev/null; then
    echo "clients: npm not found; tests with Node clients and the full Qwen3 tokenizer will skip"
  elif npm ci --no-audit --no-fund --loglevel=error; then
    echo "$node_stamp" >node_modules/.vallm-stamp
  else
    echo "clients: npm ci failed; tests with Node clients and the full Qwen3 tokenizer will skip"
  fi
fi

python_stamp=$(stamp requirements.txt)
if ! fresh .venv/.vallm-stamp "$python_stamp"; then
  if python3 -m venv .venv && .venv/bin/pip install -q --disable-pip-version-check -r requirements.txt; then
    echo "$python_stamp" >.venv/.vallm-stamp
  else
    echo "clients: pip install failed; tests with the Python client will skip"
  fi
fi
exit 0
