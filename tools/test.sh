#!/usr/bin/env bash
# Installs, builds and runs every test through ctest. Exit 0 only if all passed; the last line is
# "N passed, N failed".
#
#   tools/test.sh [--preset release] [ctest options ...]     e.g. tools/test.sh -L unit
set -uo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
preset=release
case "${1:-}" in
  -h | --help) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
  --preset) preset="${2:?--preset needs a name}"; shift 2 ;;
esac

"$root/tools/install_deps.sh" build test || exit 1
"$root/tests/clients/install.sh"
"$root/tests/k8s/install.sh" promtool || echo "test: no promtool; the alert rules are not judged by it" >&2
"$root/tools/build.sh" "$preset" || { echo "test: the build failed" >&2; exit 1; }

log="$root/build/$preset/ctest.log"
ctest --test-dir "$root/build/$preset" --output-on-failure --no-tests=error -j "$(nproc)" "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

# ctest's own summary counts skipped tests as passed; they are named above it.
failed=$(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests failed out of ([0-9]+)$/\1/p' "$log" | tail -1)
total=$(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests failed out of ([0-9]+)$/\2/p' "$log" | tail -1)
skipped=$(grep -cE '\*\*\*Skipped' "$log")
if [ -z "$total" ]; then
  echo "test: ctest ran no test" >&2
  exit 1
fi
echo "$((total - failed - skipped)) passed, $failed failed$([ "$skipped" -gt 0 ] && echo ", $skipped skipped")"
exit "$status"
