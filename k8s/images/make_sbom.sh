#!/usr/bin/env bash
# Lists what an image's root holds, as SPDX 2.3, in ROOT/usr/share/vallm/sbom.spdx.json: the programs, the
# Debian package of every library, and what is compiled in from headers. A file that belongs to no package
# is an error: the list is whole or there is none.
#
#   make_sbom.sh ROOT NAME VERSION       NAME, VERSION: of the image's programs
#
# The time is SOURCE_DATE_EPOCH's, if that is set.
set -euo pipefail
[ $# = 3 ] || { sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
root="${1%/}" name="$2" version="$3"
tools="$(dirname "${BASH_SOURCE[0]}")/../../tools"
output="$root/usr/share/vallm/sbom.spdx.json"
die() { echo "make_sbom: $*" >&2; exit 1; }
command -v dpkg-query >/dev/null || die "needs Debian's dpkg-query to tell which package a library is from"

# The paths under which dpkg may know a file: through the merged /usr, or behind a symbolic link.
names_of() { printf '%s\n' "$1" "/usr$1" "${1#/usr}" "$(realpath "$1")"; }

# "name:arch reason" lines.
packages=""
add() { packages+="$1 $2"$'\n'; }
mapfile -t libraries < <(find "$root" -type f -name '*.so*' -printf '/%P\n' | sort)
declare -A owner
while IFS= read -r line; do
  owner["${line#*: }"]="${line%%: *}"
done < <(for library in "${libraries[@]}"; do names_of "$library"; done | sort -u | xargs dpkg-query -S 2>/dev/null)
for library in "${libraries[@]}"; do
  found=""
  while read -r path; do found="${found:-${owner[$path]:-}}"; done < <(names_of "$library")
  [ -n "$found" ] || die "no package has $library"
  add "$found" linked
done
[ -f "$root/etc/ssl/certs/ca-certificates.crt" ] && add ca-certificates data
for package in nlohmann-json3-dev libcli11-dev; do
  dpkg-query -W "$package" >/dev/null 2>&1 && add "$package" headers
done

# SPDXID NAME VERSION PURL SOURCE, as an object. All have been checked for their alphabet.
object() {
  local purl="" source=""
  [ -z "$4" ] || purl=',
      "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "'"$4"'"}]'
  [ -z "$5" ] || source=',
      "sourceInfo": "'"$5"'"'
  cat <<JSON
    {
      "SPDXID": "$1", "name": "$2", "versionInfo": "$3", "downloadLocation": "NOASSERTION", "filesAnalyzed": false,
      "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION"$source$purl
    }
JSON
}

architecture=$(dpkg --print-architecture)
# shellcheck disable=SC1091
distribution=$(. /etc/os-release && echo "$ID-$VERSION_ID")
objects="" relations=""
while read -r package reason; do
  [ -n "$package" ] || continue
  # shellcheck disable=SC2016  # dpkg's variables
  IFS='|' read -r plain number arch source source_number < <(
    dpkg-query -W -f '${Package}|${Version}|${Architecture}|${source:Package}|${source:Version}\n' "$package" | head -1)
  [[ "$plain$number$arch$source$source_number" =~ ^[A-Za-z0-9.+~:-]+$ ]] || die "cannot write down $plain $number"
  id="SPDXRef-Package-${plain//+/-plus}"
  encoded=${number//+/%2B} encoded=${encoded//:/%3A} encoded=${encoded//\~/%7E}
  case "$reason" in headers) relation=STATIC_LINK ;; data) relation=CONTAINS ;; *) relation=DYNAMIC_LINK ;; esac
  objects+=",
$(object "$id" "$plain" "$number" "pkg:deb/debian/${plain//+/%2B}@$encoded?arch=$arch&distro=$distribution" "Debian source package $source $source_number")"
  relations+=",
    {\"spdxElementId\": \"SPDXRef-vallm\", \"relationshipType\": \"$relation\", \"relatedSpdxElement\": \"$id\"}"
done < <(printf '%s' "$packages" | sort -u)
httplib=$(sed -n 's/^readonly HTTPLIB_VERSION=//p' "$tools/install_deps.sh")
[ -n "$httplib" ] || die "install_deps.sh no longer says which cpp-httplib it installs"
objects+=",
$(object SPDXRef-Package-cpp-httplib cpp-httplib "$httplib" "pkg:github/yhirose/cpp-httplib@v$httplib" "")"
relations+=',
    {"spdxElementId": "SPDXRef-vallm", "relationshipType": "STATIC_LINK", "relatedSpdxElement": "SPDXRef-Package-cpp-httplib"}'

digest=$(printf '%s' "$name$version$architecture$objects" | sha256sum | cut -c1-32)
created=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%dT%H:%M:%SZ)
mkdir -p "$(dirname "$output")"
cat >"$output" <<JSON
{
  "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "$name-$version-$architecture",
  "documentNamespace": "https://spdx.org/spdxdocs/$name-$version-$architecture-$digest",
  "creationInfo": {"created": "$created", "creators": ["Tool: vallm-make_sbom-$version"]},
  "packages": [
$(object SPDXRef-vallm "$name" "$version" "" "")$objects
  ],
  "relationships": [
    {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-vallm"}$relations
  ]
}
JSON
