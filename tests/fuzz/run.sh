#!/usr/bin/env bash
# Builds the fuzz targets in build/fuzz (clang, AddressSanitizer and UndefinedBehaviorSanitizer) and
# runs each: every input of its corpus, then new ones for a while. An input that breaks a law or a
# sanitizer is left in build/fuzz/found. Exit 77 where clang is missing.
#
#   tests/fuzz/run.sh [SECONDS [TARGET ...]]      default: 8 seconds each, all targets
set -uo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
here="$root/tests/fuzz"
build="$root/build/fuzz"
mkdir -p "$root/build"
seconds="${1:-8}"
[ $# -gt 0 ] && shift
targets=("$@")
[ ${#targets[@]} = 0 ] && targets=(encode_fuzz tokenizer_json_fuzz template_fuzz chat_fuzz output_fuzz request_fuzz)

if ! command -v clang++-14 >/dev/null || ! echo 'int main() {}' | clang++-14 -fsanitize=address -x c++ - -o /dev/null 2>/dev/null; then
  echo "fuzz: skipped: needs clang-14 and libclang-rt-14-dev (tools/install_deps.sh test)"
  exit 77
fi

# Only the fuzz targets and the libraries under them: nothing of gRPC.
"$root/tools/build.sh" fuzz "${targets[@]}" >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }

run_one() {
  local target="$1" args=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1)
  # A short run is a test: it draws the same inputs each time.
  [ "$seconds" -lt 60 ] && args+=(-seed=1)
  [ -f "$here/$target.dict" ] && args+=(-dict="$here/$target.dict")
  local new="$build/new/$target" log="$build/$target.log" seeds=("$here/corpus/$target")
  [ "$target" = template_fuzz ] && seeds+=("$root/tests/data/conformance/templates")
  rm -rf "$new"
  mkdir -p "$new" "$build/found"
  if "$build/tests/$target" "${args[@]}" -artifact_prefix="$build/found/$target-" "$new" "${seeds[@]}" >"$log" 2>&1; then
    echo "$target: $(sed -nE 's/^stat::number_of_executed_units: *([0-9]+)$/\1 inputs/p' "$log"), $(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -1)"
  else
    echo "$target: FAILED; the input is in $build/found, the log is $log"
    grep -aE 'broken:|ERROR:|runtime error:|SUMMARY:|Test unit written' "$log"
    return 1
  fi
}

export -f run_one
export root here build seconds
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'run_one {}'
status=$?
[ "$status" = 0 ] && echo "fuzz: no input broke anything" || exit 1
