#!/usr/bin/env bash
# The installer, run in a root that holds a shell, a C library and nothing else of ours: what it
# installs starts there, deploys a model with one command, and stops it again.
#
#   installer_test.sh BIN_DIR MODEL_DIR      exit 77: no patchelf, or no right to change the root
set -euo pipefail
bin="$(realpath "$1")" model="$(realpath "$2")"
source_dir="$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")"
command -v patchelf >/dev/null || { echo "skipped: patchelf not found"; exit 77; }
[ "$(id -u)" = 0 ] || { echo "skipped: needs root to change the root directory"; exit 77; }
work=$(mktemp -d)
root="$work/root"
cleanup() {
  chroot "$root" /usr/bin/bash -c 'PATH=/usr/bin HOME=/home /opt/vallm/bin/vallm stop --now' >/dev/null 2>&1 || true
  umount "$root/proc" "$root/dev" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

"$source_dir/tools/make_installer.sh" --bin-dir "$bin" --output "$work/vallm.run"
tools=()
for tool in bash cat chmod cut dirname grep gzip head id mkdir mv readlink rm sed sha256sum tail tar uname; do tools+=("$(command -v "$tool")"); done
"$source_dir/k8s/images/collect_runtime.sh" "$root" "${tools[@]}"
# The rest of the C library, which a shell has no use for.
libc=$(ldd "$(command -v bash)" | grep -oE '/[^ ]+/libc\.so\.6')
for library in m dl pthread rt resolv; do cp -L "$(dirname "$libc")"/lib$library.so.[0-9] "$root$(dirname "$libc")/"; done
ln -s bash "$root/usr/bin/sh"
ln -s usr/bin "$root/bin"
mkdir -p "$root/proc" "$root/dev" "$root/home" "$root/model"
mount -t proc proc "$root/proc" 2>/dev/null || { echo "skipped: cannot mount /proc"; exit 77; }
mount --bind /dev "$root/dev"
cp "$model"/* "$root/model/"
cp "$work/vallm.run" "$root/"
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/bin HOME=/home "$@"; }
cp "$(command -v env)" "$root/usr/bin/"

fail() { echo "FAILED: $1"; [ ! -f "$work/said" ] || cat "$work/said"; exit 1; }
# says WHAT COMMAND...: runs it in the root; it has to end well and say that.
says() {
  local what="$1"
  shift
  inside "$@" >"$work/said" 2>&1 || fail "$*"
  grep -qF -- "$what" "$work/said" || fail "$* did not say: $what"
}
click=(/opt/vallm/bin/vallmdeploy Qwen3-TP2 /model --device mock --host 127.0.0.1 --port 28731 --management-port 28732)
says ./bin/vallmdeploy /vallm.run --list
says "installed in /opt/vallm" /vallm.run --prefix /opt/vallm
says "installed in /opt/vallm" /vallm.run --prefix=/opt/vallm
[ ! -e "$root/opt/vallm/.new" ] || fail "something was left"
says "pass  chat template" /opt/vallm/bin/vallm doctor /model --device mock --port 28731 --management-port 28732
says "All instances are up and running" "${click[@]}"
says '"model": "Qwen3-TP2"' /opt/vallm/bin/vallm status --json
says "nothing to do" "${click[@]}"
says stopped /opt/vallm/bin/vallm stop --purge
for process in /proc/[0-9]*; do
  [ "$(readlink "$process/root" 2>/dev/null)" != "$root" ] || fail "left behind: $(tr '\0' ' ' <"$process/cmdline")"
done

if inside /opt/vallm/bin/vallmdeploy Qwen3-TP3 /model 2>"$work/err"; then fail "TP3 was taken"; fi
grep -q "there is Qwen3-TP2 and Qwen3-TP4" "$work/err" || fail "TP3: $(cat "$work/err")"
head -c 100000 "$root/vallm.run" >"$root/half.run"
chmod +x "$root/half.run"
if inside /half.run --prefix /half 2>"$work/err"; then fail "half an installer installed"; fi
grep -q damaged "$work/err" || fail "half: $(cat "$work/err")"
echo ok
