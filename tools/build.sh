#!/usr/bin/env bash
# Configures and builds one preset; sourced by quickstart.sh and test.sh, or run by hand.
#
#   tools/build.sh [PRESET] [TARGET ...]      default: release, everything
#
# ccache makes the second build a matter of seconds. Builds run at low priority.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
preset="${1:-release}"
[ $# -gt 0 ] && shift

# Paths relative to the checkout let every clone on a machine share one cache.
export CCACHE_BASEDIR="$root" CCACHE_NOHASHDIR=1
cd "$root"
log="build/$preset.configure.log"
mkdir -p build
cmake --preset "$preset" >"$log" 2>&1 || { cat "$log" >&2; echo "build: cmake --preset $preset failed" >&2; exit 1; }
exec nice cmake --build --preset "$preset" -- "$@"
