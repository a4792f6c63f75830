#!/usr/bin/env bash
# Installs what vallm needs from the distribution: the packages of tools/packages.txt and the
# header of cpp-httplib 0.41.0. Idempotent; does nothing (and needs no root) when all is there.
#
#   tools/install_deps.sh [build] [test] [dev] [arm64]      sections of packages.txt; default: build
set -euo pipefail

readonly HTTPLIB_VERSION=0.41.0
readonly HTTPLIB_NAME="vallm-httplib-${HTTPLIB_VERSION}"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

die() { echo "install_deps: $*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "need root to run: $* (run as root or install sudo)"
  fi
}

section() { awk -v want="[$1]" '/^\[/{on=($0==want);next} on && NF && !/^#/{print $1}' "$here/packages.txt"; }

# A package counts as present when dpkg knows it, or when the tool it brings comes from elsewhere
# (nodejs and npm are often installed from another source, which conflicts with Debian's npm; any
# Chromium will do).
present() {
  case "$1" in
    chromium) command -v chromium >/dev/null || command -v google-chrome >/dev/null ;;
    npm) command -v npm >/dev/null ;;
    nodejs) command -v node >/dev/null ;;
    *) dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed' ;;
  esac
}

install_packages() {
  command -v apt-get >/dev/null || die "apt-get not found: this script knows Debian 12. Install the packages of $here/packages.txt by hand"
  local missing=() p s
  for s in "$@"; do
    for p in $(section "$s"); do present "$p" || missing+=("$p"); done
  done
  [ ${#missing[@]} = 0 ] && return 0
  echo "install_deps: installing ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null \
    || die "apt-get install failed; see the message above"
}

httplib_present() {
  local d
  for d in "${VALLM_HTTPLIB_DIR:-}" "/usr/local/include/$HTTPLIB_NAME" "$HOME/.local/include/$HTTPLIB_NAME"; do
    [ -n "$d" ] && [ -f "$d/httplib.h" ] && return 0
  done
  return 1
}

# The first Debian mirror of this machine that is not the security archive.
debian_mirror() {
  local uri
  uri=$(grep -hoE '(https?|mirror\+file|file)://[^ ]+' /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null \
    | grep -E 'debian/?$' | grep -v security | head -1)
  echo "${uri:-http://deb.debian.org/debian}"
}

# Debian signs its source archives; apt checks the signature against the machine's own keyring.
# A private apt state keeps trixie-backports out of the machine's own package lists.
install_httplib() {
  httplib_present && return 0
  echo "install_deps: fetching cpp-httplib $HTTPLIB_VERSION from Debian's source archive"
  local work mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg target
  [ -f "$keyring" ] || die "$keyring is missing: install debian-archive-keyring"
  mirror=$(debian_mirror)
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # expand now: the variable is local
  trap "rm -rf '$work'" EXIT
  mkdir -p "$work"/{parts,lists/partial,cache/archives/partial,src}
  echo "deb-src [signed-by=$keyring] $mirror trixie-backports main" >"$work/parts/src.list"
  local opts=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/parts"
    -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=)
  apt-get "${opts[@]}" update -qq || die "cannot read trixie-backports from $mirror: is the mirror reachable?"
  (cd "$work/src" && apt-get "${opts[@]}" source --tar-only --download-only -qq cpp-httplib) \
    || die "cannot download the source of cpp-httplib from $mirror"
  local tarball
  tarball=$(find "$work/src" -name "cpp-httplib_${HTTPLIB_VERSION}*.orig.tar.*" | head -1)
  [ -n "$tarball" ] || die "trixie-backports no longer has cpp-httplib $HTTPLIB_VERSION (found: $(ls "$work/src")); set VALLM_HTTPLIB_DIR to a folder with its httplib.h"
  tar -C "$work/src" -xf "$tarball" --strip-components=1 --wildcards '*/httplib.h'
  target="/usr/local/include/$HTTPLIB_NAME"
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then target="$HOME/.local/include/$HTTPLIB_NAME"; mkdir -p "$target"; cp "$work/src/httplib.h" "$target/"
  else as_root install -D -m 644 "$work/src/httplib.h" "$target/httplib.h"; fi
}

sections=("$@")
[ ${#sections[@]} = 0 ] && sections=(build)
for s in "${sections[@]}"; do
  case "$s" in
    build | test | dev | arm64) ;;
    -h | --help) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown section '$s': use build, test, dev or arm64" ;;
  esac
done
install_packages "${sections[@]}"
install_httplib
