#!/usr/bin/env bash
# Builds and runs tests of the engine under sanitizers: AddressSanitizer with
# UndefinedBehaviorSanitizer (asan), ThreadSanitizer (tsan). Exit 0 only if all passed without a
# report. docs/testing.md, "Sanitizers", says what is covered and what is not.
#
#   tools/sanitize.sh [asan|tsan] [ctest options ...]      default: both
#   tools/sanitize.sh asan --repeat until-fail:3           what follows a preset goes to ctest
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# What docs/testing.md says was run; a target joins when it was.
asan=(cpu_attention_test cpu_matmul_test cpu_moe_test cpu_pointwise_test cpu_thread_pool_test vacc_device_test)
tsan=(group_memory_test parallel_test cpu_thread_pool_test)

# run PRESET "TEST ..." [ctest options ...]
run() {
  local preset="$1" tests="$2"
  shift 2
  # shellcheck disable=SC2086  # names of targets
  "$root/tools/build.sh" "$preset" $tests || return 1
  ctest --test-dir "$root/build/$preset" --output-on-failure --no-tests=error "$@" -R "^(${tests// /|})\$"
}

presets=(asan tsan)
case "${1:-}" in
  -h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
  asan | tsan) presets=("$1"); shift ;;
esac
export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
failed=()
for preset in "${presets[@]}"; do
  declare -n list="$preset"
  run "$preset" "${list[*]}" "$@" || failed+=("$preset")
done
[ ${#failed[@]} -eq 0 ] || { echo "sanitize: ${failed[*]} failed" >&2; exit 1; }
