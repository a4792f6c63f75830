#!/usr/bin/env bash
# Makes the folder that the preset `arm64` compiles against: the [build] libraries of packages.txt for
# Debian 12 on arm64, unpacked and not installed. Needs no root and changes nothing of the machine's own apt.
#
#   tools/arm64_sysroot.sh [FOLDER]          default: build/arm64-sysroot
#
# The compiler, and qemu-user to run what it makes: tools/install_deps.sh arm64
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
case "${1:-}" in -h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;; esac
sysroot="${1:-$here/../build/arm64-sysroot}"
die() { echo "arm64_sysroot: $*" >&2; exit 1; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keyring" ] || die "$keyring is missing: install debian-archive-keyring"
[ ! -e "$sysroot" ] || die "$sysroot exists: remove it to make it anew"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{parts,lists/partial,cache/archives/partial}
: >"$work/status"
mirror=$(grep -hoE '(https?|mirror\+file|file)://[^ ]+' /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
  grep -E 'debian/?$' | grep -v security | head -1 || true)
echo "deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} bookworm main" >"$work/parts/debian.list"
apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=
  -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/parts" -o "Dir::State=$work"
  -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache")
# Compiler, protoc and the other tools are this machine's; gRPC's package only has to find its own.
mapfile -t packages < <(awk '/^\[/{on=($0=="[build]");next} on && /^lib|^protobuf|-dev$/{print $1}' "$here/packages.txt")
"${apt[@]}" update || die "cannot read the package lists of ${mirror:-deb.debian.org}"
"${apt[@]}" install --download-only -y --no-install-recommends libc6-dev libstdc++-12-dev "${packages[@]}" >/dev/null ||
  die "cannot download the libraries for arm64; see above"
mkdir -p "$work/root"
for package in "$work"/cache/archives/*.deb; do dpkg-deb -x "$package" "$work/root"; done
# Absolute links would lead out of the folder.
find "$work/root" -type l -lname '/*' -printf '%p %l\n' | while read -r link target; do
  ln -srf "$work/root$target" "$link"
done
mkdir -p "$(dirname "$sysroot")"
mv "$work/root" "$sysroot"
echo "arm64_sysroot: $(realpath "$sysroot"), $(du -sm "$sysroot" | cut -f1) MB"
