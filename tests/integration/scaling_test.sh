#!/usr/bin/env bash
# The simulation of docs/scaling.md gives the same digits again, and those of the page in both languages.
#
#   scaling_test.sh
set -euo pipefail
root="$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")"
command -v python3 >/dev/null || { echo "skipped: python3 not found"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$root/tools/scaling/simulate.py" --plot "$work/scaling.svg" >"$work/out"
cmp "$work/scaling.svg" "$root/docs/images/scaling.svg" || { echo "the plot is not that of the page"; exit 1; }
rows=$(grep -c '^| [0-9a-z]' "$work/out")
[ "$rows" -ge 15 ] || { echo "only $rows rows"; exit 1; }
grep '^| [0-9a-z]' "$work/out" | while read -r line; do
  for page in scaling.md scaling.zh-CN.md; do
    grep -qF -- "$line" "$root/docs/$page" || { echo "not in $page: $line"; exit 1; }
  done
done
