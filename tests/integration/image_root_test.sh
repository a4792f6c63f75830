#!/usr/bin/env bash
# The roots that the container images are made of hold all that their programs need: each starts
# in its root, without being root. What is in them is listed (SBOM), to the last library.
#
#   image_root_test.sh BIN_DIR           exit 77: no right to change the root directory
set -euo pipefail
bin="$(realpath "$1")"
collect="$(dirname "${BASH_SOURCE[0]}")/../../k8s/images/collect_runtime.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# By the validator of the SPDX project where tests/clients/install.sh has put it.
spdx="$(dirname "${BASH_SOURCE[0]}")/../clients/.venv/bin/pyspdxtools"
valid_sbom() {
  python3 - "$1" <<'PY'
import json, pathlib, sys
root = pathlib.Path(sys.argv[1])
listed = json.loads((root / "usr/share/vallm/sbom.spdx.json").read_text())
names = {each["name"] for each in listed["packages"]}
assert {"libgrpc++1.51", "libc6", "libstdc++6", "cpp-httplib", "nlohmann-json3-dev", "ca-certificates"} <= names, names
related = {each["relatedSpdxElement"] for each in listed["relationships"]}
assert related == {each["SPDXID"] for each in listed["packages"]}
PY
  [ ! -x "$spdx" ] || "$spdx" -i "$1/usr/share/vallm/sbom.spdx.json"
}

in_root() {
  local root="$1"
  shift
  if [ "$(id -u)" = 0 ]; then chroot --userspec=65532:65532 "$root" "$@"; else unshare -r chroot "$root" "$@"; fi
}

"$collect" "$work/probe" /bin/true
in_root "$work/probe" /usr/bin/true 2>/dev/null || { echo "skipped: cannot change the root directory"; exit 77; }

for image in "engine vallm-engine vallm-worker" "tokenizer vallm-tokenizer" "gateway vallm-gateway" \
  "vallm vallm vallm-engine vallm-worker vallm-tokenizer vallm-gateway"; do
  read -r name programs <<<"$image"
  # shellcheck disable=SC2086  # a list of words
  "$collect" "$work/$name" $(printf "$bin/%s " $programs)
  for program in $programs; do
    in_root "$work/$name" "/usr/bin/$program" --help >"$work/help" || { echo "$program does not start in its root"; exit 1; }
    grep -q '^Usage:' "$work/help" || { echo "$program printed no help"; exit 1; }
  done
  [ ! -e "$work/$name/bin/sh" ] || { echo "$name: a shell got into the image"; exit 1; }
  valid_sbom "$work/$name" || { echo "$name: not a valid SBOM"; exit 1; }
  echo "$name: $(du -sm "$work/$name" | cut -f1) MB"
done

# A library from nowhere is not passed over.
mkdir -p "$work/gateway/usr/lib"
cp "$work/gateway/usr/bin/vallm-gateway" "$work/gateway/usr/lib/libfromnowhere.so.1"
if "$(dirname "$collect")/make_sbom.sh" "$work/gateway" vallm-gateway 1 2>"$work/why"; then echo "listed a library of no package"; exit 1; fi
grep -q 'no package has /usr/lib/libfromnowhere.so.1' "$work/why" || { cat "$work/why"; exit 1; }
