#!/usr/bin/env bash
# Makes a model with random weights in a temporary folder and runs model_bench on it.
#
#   tests/bench/model_bench.sh [--like RELEASE] [--layers N] [--build DIR] [TPxTHREADS ...]
#
# Default: 4 layers of Qwen3-30B-A3B-FP8 (3.7 GB of disk, and as much memory). Needs a built tree.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build="$root/build/release" like=Qwen3-30B-A3B-FP8 layers=4 configs=()
while [ $# -gt 0 ]; do
  case "$1" in
    --like) like=$2; shift 2 ;;
    --layers) layers=$2; shift 2 ;;
    --build) build=$2; shift 2 ;;
    -h | --help) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) configs+=("$1"); shift ;;
  esac
done
model=$(mktemp -d "${TMPDIR:-/tmp}/vallm-model-bench-XXXXXX")
trap 'rm -rf "$model"' EXIT
"$build/bin/vallm" make-model "$model" --like "$like" --layers "$layers" --seed 1
"$build/bench/model_bench" "$model" "$build/bin/vallm-worker" "${configs[@]}"
