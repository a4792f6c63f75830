#!/usr/bin/env bash
# Copies programs, and every shared library they need, into an empty root: all that an image of
# theirs has to hold.
#
#   collect_runtime.sh ROOT PROGRAM...       programs land in ROOT/usr/bin, the list of all that is in the
#                                            root in ROOT/usr/share/vallm/sbom.spdx.json
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
root="$1"
shift

# The account, certificates and temporary folder that a program may look for.
mkdir -p "$root/etc/ssl/certs" "$root/usr/bin" "$root/tmp"
chmod 1777 "$root/tmp"
echo 'vallm:x:65532:65532:vallm:/:/sbin/nologin' >"$root/etc/passwd"
echo 'vallm:x:65532:' >"$root/etc/group"
[ ! -f /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

for program in "$@"; do
  install -m 755 --strip "$program" "$root/usr/bin/"
  if missing=$(ldd "$program" | grep 'not found'); then
    echo "collect_runtime: $program: $missing" >&2
    exit 1
  fi
  # "name => /path (address)" and the loader's own "/path (address)"
  ldd "$program" | grep -oE '/[^ ]+' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -Ln "$library" "$root$library"
  done
done

"$(dirname "${BASH_SOURCE[0]}")/make_sbom.sh" "$root" "$(basename "$1")" "$("$1" --version | awk '{print $2; exit}')"
