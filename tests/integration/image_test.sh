#!/usr/bin/env bash
# Packs the built programs into images by the runtime stages of k8s/images/Containerfile (the build stage's
# place is taken by BIN_DIR), and serves the demo model from them: not root, read-only root file systems, no
# capabilities.
#
#   image_test.sh BIN_DIR                exit 77: no podman that can run a container
#
set -euo pipefail
bin="$(realpath "$1")"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
skip() { echo "skipped: $*"; exit 77; }
fail() { echo "FAILED: $*"; for name in engine tokenizer gateway; do echo "-- $name"; "${podman[@]}" logs "vallm-$name-$$" 2>&1 | tail -20 || true; done; exit 1; }

command -v podman >/dev/null || skip "podman is missing (tools/packages.txt)"
work=$(mktemp -d)
cat >"$work/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
CONF
export CONTAINERS_CONF="$work/containers.conf"
podman=(podman --root "$work/storage" --runroot "$work/run" --log-level=error)
clean() {
  "${podman[@]}" rm -af -t 0 >/dev/null 2>&1 || true
  "${podman[@]}" rmi -af >/dev/null 2>&1 || true
  umount "$work/storage/overlay" 2>/dev/null || true
  rm -rf "$work" 2>/dev/null || true
}
trap clean EXIT

# --- images
mkdir "$work/build"
"$root/k8s/images/collect_runtime.sh" "$work/build/root-engine" "$bin/vallm-engine" "$bin/vallm-worker"
"$root/k8s/images/collect_runtime.sh" "$work/build/root-tokenizer" "$bin/vallm-tokenizer"
"$root/k8s/images/collect_runtime.sh" "$work/build/root-gateway" "$bin/vallm-gateway"
"$root/k8s/images/collect_runtime.sh" "$work/build/root-vallm" "$bin"/vallm{,-engine,-worker,-tokenizer,-gateway}
build() {
  "${podman[@]}" build -q --build-context "build=$work/build" -f "$root/k8s/images/Containerfile" --target "$1" \
    -t "localhost/vallm-$1" "$root" 2>&1
}
log=$(build gateway) || skip "podman cannot build here: $log"
for target in engine tokenizer vallm engine-demo tokenizer-demo; do
  log=$(build "$target") || { echo "$log"; exit 1; }
done
for target in engine tokenizer gateway vallm engine-demo tokenizer-demo; do
  user=$("${podman[@]}" inspect --type image -f '{{.Config.User}}' "localhost/vallm-$target")
  [ "$user" = 65532:65532 ] || fail "$target runs as '$user'"
  ! "${podman[@]}" run --rm --network none --entrypoint /bin/sh "localhost/vallm-$target" -c true 2>/dev/null || fail "$target has a shell"
done

# --- run them
confined=(--network host --read-only --read-only-tmpfs=false --cap-drop ALL --security-opt no-new-privileges --pids-limit 512)
probe=$("${podman[@]}" run --rm "${confined[@]}" localhost/vallm-gateway --version 2>&1) || skip "podman cannot run a container here: $probe"
[[ "$probe" == "vallm "* ]] || fail "gateway --version: $probe"

read -r engine tokenizer http management < <(python3 -c '
import socket
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*(each.getsockname()[1] for each in taken))')
start() {
  local name="$1" image="$2"
  shift 2
  "${podman[@]}" run -d --name "vallm-$name-$$" "${confined[@]}" "localhost/vallm-$image" "$@" >/dev/null
}
start engine engine-demo --model=/models/demo --listen="127.0.0.1:$engine" --tensor-parallel-size=2
start tokenizer tokenizer-demo --model=/models/demo --listen="127.0.0.1:$tokenizer"
start gateway gateway --host=127.0.0.1 --port="$http" --management-port="$management" --engine="127.0.0.1:$engine" \
  --tokenizer="127.0.0.1:$tokenizer" --served-model-name=demo
for _ in $(seq 600); do
  curl -sf "http://127.0.0.1:$management/health/ready" >/dev/null && break
  sleep 0.1
done
answer=$(curl -sf "http://127.0.0.1:$http/v1/chat/completions" -H 'Content-Type: application/json' \
  -d '{"model": "demo", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16, "temperature": 0}') || fail "no answer"
python3 - "$answer" <<'PY' || fail "$answer"
import json, sys
answer = json.loads(sys.argv[1])
assert answer["choices"][0]["message"]["content"] and answer["usage"]["completion_tokens"] > 1, answer
PY

# --- nothing was written, they are who they should be, and they stop when asked
for name in engine tokenizer gateway; do
  changes=$("${podman[@]}" diff "vallm-$name-$$" | grep -vE '^[AC] /(run|etc|dev|proc|sys)(/|$)' || true)
  [ -z "$changes" ] || fail "$name wrote to its root: $changes"
  pid=$("${podman[@]}" inspect -f '{{.State.Pid}}' "vallm-$name-$$")
  [ "$(awk '/^Uid:/{print $2}' "/proc/$pid/status")" = 65532 ] || fail "$name does not run as 65532"
  [ "$(awk '/^CapEff:/{print $2}' "/proc/$pid/status")" = 0000000000000000 ] || fail "$name has capabilities"
  [ "$(awk '/^NoNewPrivs:/{print $2}' "/proc/$pid/status")" = 1 ] || fail "$name may gain privileges"
done
for name in gateway engine tokenizer; do
  "${podman[@]}" stop -t 20 "vallm-$name-$$" >/dev/null
  code=$("${podman[@]}" inspect -f '{{.State.ExitCode}}' "vallm-$name-$$")
  [ "$code" = 0 ] || fail "$name ended with $code after SIGTERM"
done
"${podman[@]}" images --format '{{.Repository}} {{.Size}}'
