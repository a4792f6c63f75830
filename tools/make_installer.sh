#!/usr/bin/env bash
# Builds an installer that needs nothing but a shell, tar and gzip: the programs, every library they
# need but the C library's, and vallmdeploy.
#
#   tools/make_installer.sh [--bin-dir DIR] [--output FILE]      default: build/release/bin, vallm-VERSION-MACHINE.run
#
# Needs patchelf (tools/packages.txt). The result: FILE [--prefix DIR] [--list] [--help]
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
bin="$root/build/release/bin" output=""
while [ $# -gt 0 ]; do
  case "$1" in
    --bin-dir) bin="$(realpath "$2")"; shift 2 ;;
    --output) output="$2"; shift 2 ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "make_installer: unknown option '$1'" >&2; exit 2 ;;
  esac
done
command -v patchelf >/dev/null || { echo "make_installer: patchelf is not installed" >&2; exit 1; }

readonly PROGRAMS=(vallm vallm-gateway vallm-engine vallm-tokenizer vallm-worker)
version=$("$bin/vallm" --version | awk '{print $2}')
output="${output:-vallm-$version-$(uname -m).run}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tree/bin" "$work/tree/lib"

# The C library and its loader have to be the machine's own.
is_system() { case "$(basename "$1")" in ld-linux* | libc.so* | libm.so* | libpthread.so* | libdl.so* | librt.so* | libresolv.so*) return 0 ;; esac; return 1; }
for program in "${PROGRAMS[@]}"; do
  install -m 755 --strip "$bin/$program" "$work/tree/bin/"
  if missing=$(ldd "$bin/$program" | grep 'not found'); then echo "make_installer: $program: $missing" >&2; exit 1; fi
  ldd "$bin/$program" | grep -oE '/[^ ]+' | while read -r library; do
    is_system "$library" || cp -Ln "$library" "$work/tree/lib/" || true
  done
  # shellcheck disable=SC2016  # the loader's variable, not the shell's
  patchelf --set-rpath '$ORIGIN/../lib' "$work/tree/bin/$program"
done
for library in "$work"/tree/lib/*; do
  chmod 644 "$library"
  # shellcheck disable=SC2016
  patchelf --set-rpath '$ORIGIN' "$library"
done
install -m 755 "$root/tools/deploy/vallmdeploy" "$work/tree/bin/"
install -m 644 "$root/LICENSE" "$work/tree/"
echo "$version" >"$work/tree/VERSION"

tar -C "$work/tree" --sort=name --owner=0 --group=0 --mtime=@0 -c . | gzip -n -9 >"$work/payload"
size=$(wc -c <"$work/payload")
sum=$(sha256sum "$work/payload" | cut -d' ' -f1)
sed -e "s/@VERSION@/$version/" -e "s/@MACHINE@/$(uname -m)/" -e "s/@SIZE@/$size/" -e "s/@SUM@/$sum/" \
  "$root/tools/deploy/installer_head.sh" >"$work/head"
cat "$work/head" "$work/payload" >"$output"
chmod +x "$output"
echo "$output: $((size >> 20)) MiB"
