#!/usr/bin/env bash
# Checks what a reviewer should not have to: dependency direction, file sizes and names, leftovers,
# and (with the [dev] packages) format and clang-tidy.
#
#   tools/check.sh [layers] [sizes] [leftovers] [format] [tidy]     default: all but tidy
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bad=0
fail() { bad=1; echo "check: $1"; printf '%s\n' "$2" | sed 's/^/    /'; }
# grep_none MESSAGE PATTERN PATH...: fails when PATTERN occurs in tracked files of PATH.
grep_none() {
  local message="$1" pattern="$2" hits
  shift 2
  hits=$(git grep -nE "$pattern" -- "$@" 2>/dev/null) && fail "$message" "$hits"
  return 0
}

readonly PURE=(tokenizer_service/bpe tokenizer_service/template tokenizer_service/output
  engine_service/constraint engine_service/scheduler engine_service/sampling engine_service/model
  engine_service/speculation engine_service/thinking)

layers() {
  grep_none "common must not know a service" '#include "(engine_service|gateway|tokenizer_service|tools)/' common
  grep_none "the gateway includes the engine" '#include "engine_service/' gateway
  grep_none "tokenizer_service includes another service" '#include "(engine_service|gateway)/' tokenizer_service
  local hits
  hits=$(git grep -nE '#include "tokenizer_service/' -- gateway | grep -vE 'tokenizer_service/(bpe/token_table|output/)|^gateway/tokenizer_copy\.') &&
    fail "the gateway may include tokenizer_service/output and bpe/token_table.h only, but for its copy of the service" "$hits"
  hits=$(git grep -nE '#include "(gateway|tokenizer_service)/' -- engine_service | grep -v 'tokenizer_service/bpe/') &&
    fail "engine_service may include tokenizer_service/bpe only" "$hits"
  grep_none "pure logic includes gRPC, protobuf or httplib" \
    '#include [<"](grpcpp/|google/protobuf|httplib|.*\.pb\.h)' "${PURE[@]}" engine_service/device
  grep_none "pure logic logs (CHECK is fine)" '(^|[^_A-Za-z])(V?LOG|DLOG)\(' "${PURE[@]}" engine_service/device
  grep_none "pure logic starts threads or reads the clock" \
    '^[^/]*(std::thread|std::jthread|absl::Now\(|system_clock::now|steady_clock::now)' "${PURE[@]}"
  grep_none "model sees device.h, not a backend" '#include "engine_service/device/(cpu|vacc)/' engine_service/model
  grep_none "a backend includes model or scheduler" '#include "engine_service/(model|scheduler)/' engine_service/device
  hits=$(git grep -lE '#include ([<"]httplib|"gateway/http_library)' -- gateway |
    grep -vE '^gateway/http_(server|connection|head|library)\.(cc|h)$') &&
    fail "only the HTTP server's own files include httplib" "$hits"
  grep_none "product code includes test code" '#include "tests/' 'common/*' 'engine_service/*' 'gateway/*' 'tokenizer_service/*' 'tools/*.cc' 'tools/*.h'
  grep_none "nlohmann/json.hpp in a header (use json_fwd.hpp)" '#include [<"]nlohmann/json\.hpp' \
    'common/*.h' 'engine_service/*.h' 'gateway/*.h' 'tokenizer_service/*.h' 'tools/*.h'
}

sizes() {
  local hits
  hits=$(git ls-files '*.cc' '*.h' '*.sh' 'tests/*.py' | grep -v '_data\.\(cc\|h\)$' | xargs wc -l | awk '$2 != "total" && $1 > 650 {print $1 " " $2}')
  [ -n "$hits" ] && fail "files over 650 lines: one purpose each?" "$hits"
  hits=$(git ls-files | grep -E '(^|/)(utils|helpers|types|misc)\.(h|cc)$')
  [ -n "$hits" ] && fail "a file name that says nothing" "$hits"
  return 0
}

leftovers() {
  grep_none "unfinished business" '\b(TODO|FIXME|XXX|HACK)\b' '*.cc' '*.h' '*.proto' '*.cmake' 'CMakeLists.txt' '*.py' ':!tools/demo_model'
  grep_none "tests switched off" 'DISABLED_' tests
  grep_none "building needs a program that only tests use" 'find_program\(.*REQUIRED' tests
}

format() {
  command -v clang-format-14 >/dev/null || { echo "check: clang-format-14 not found (tools/install_deps.sh dev): format not checked"; return 0; }
  local hits
  hits=$(git ls-files '*.cc' '*.h' | xargs clang-format-14 --dry-run 2>&1 | grep -oE '^[^:]+\.(cc|h)' | sort -u)
  [ -n "$hits" ] && fail "not formatted (clang-format-14 -i)" "$hits"
  return 0
}

tidy() {
  command -v clang-tidy-14 >/dev/null || { echo "check: clang-tidy-14 not found (tools/install_deps.sh dev)"; bad=1; return; }
  [ -f build/release/compile_commands.json ] || { echo "check: build the release preset first"; bad=1; return; }
  git ls-files 'common/*.cc' 'engine_service/*.cc' 'gateway/*.cc' 'tokenizer_service/*.cc' 'tools/*.cc' |
    xargs -P "$(nproc)" -n 1 clang-tidy-14 --quiet -p build/release 2>/dev/null || bad=1
}

steps=("$@")
[ ${#steps[@]} = 0 ] && steps=(layers sizes leftovers format)
for step in "${steps[@]}"; do
  case "$step" in
    layers | sizes | leftovers | format | tidy) "$step" ;;
    -h | --help) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "check: unknown step '$step'" >&2; exit 2 ;;
  esac
done
[ "$bad" = 0 ] && echo "check: ${steps[*]} ok"
exit "$bad"
