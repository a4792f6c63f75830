#!/usr/bin/env bash
# Gets what apiserver_test.py and rules_test.sh need, into build/kube or $VALLM_KUBE_DIR. Idempotent.
#
#   tests/k8s/install.sh             both:
#   tests/k8s/install.sh promtool    from Debian's package prometheus, which is not installed (it brings a
#                                    service): seconds; tools/test.sh calls this
#   tests/k8s/install.sh apiserver   etcd and kube-apiserver, built from the Go module proxy as go.mod beside this
#                                    file pins them, and the definitions of the custom resources that k8s/components
#                                    use, from their projects' modules. Needs Go 1.26, 20 minutes of one core and 3 GB of
#                                    Go's caches
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out="${VALLM_KUBE_DIR:-$PWD/../../build/kube}"

# module, version, checksum as in a go.sum, folder of the definitions
readonly DEFINITIONS="
github.com/prometheus-operator/prometheus-operator v0.92.1 h1:rHWuFo6SVya4FBSCNg2DCzyc4xAv54zk3eDTzp5mQZc= example/prometheus-operator-crd
sigs.k8s.io/gateway-api v1.6.3 h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc= config/crd/standard
github.com/kedacore/keda/v2 v2.21.0 h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps= config/crd/bases
github.com/cert-manager/cert-manager v1.21.2 h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68= deploy/crds
"

die() { echo "tests/k8s/install.sh: $*" >&2; exit 1; }
mkdir -p "$out/bin"
out="$(cd "$out" && pwd)"

promtool() {
  [ ! -x "$out/bin/promtool" ] || return 0
  command -v apt-get >/dev/null || die "promtool comes from a Debian package, and there is no apt-get; put it into $out/bin"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 777 "$work" # apt downloads as a user of its own
  cd "$work"
  apt-get download -qq prometheus 2>/dev/null || { apt-get update -qq && apt-get download -qq prometheus; } ||
    die "cannot download the package prometheus: run apt-get update as root first"
  cd - >/dev/null
  dpkg-deb -x "$work"/prometheus_*.deb "$work/package"
  install -m 755 "$work/package/usr/bin/promtool" "$out/bin/"
}

apiserver() {
  command -v go >/dev/null || die "Go is missing: install Go 1.26 or later"
  export CGO_ENABLED=0
  if [ ! -x "$out/bin/etcd" ]; then
    go build -trimpath -ldflags='-s -w' -o "$out/bin/etcd" go.etcd.io/etcd/server/v3
  fi
  if [ ! -x "$out/bin/kube-apiserver" ]; then
    version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
    of=k8s.io/component-base/version
    IFS=. read -r _ minor _ <<<"$version"
    go build -trimpath -ldflags="-s -w -X $of.gitVersion=$version -X $of.gitMajor=1 -X $of.gitMinor=$minor" \
      -o "$out/bin/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
  fi
  if [ ! -d "$out/crds" ]; then
    rm -rf "$out/crds.new"
    mkdir "$out/crds.new"
    while read -r module version sum folder; do
      [ -n "$module" ] || continue
      description=$(go mod download -json "$module@$version") || die "cannot download $module@$version"
      grep -qF "\"$sum\"" <<<"$description" || die "$module@$version is not what it was: $description"
      directory=$(sed -nE 's/^\t"Dir": "(.*)",?$/\1/p' <<<"$description")
      for file in "$directory/$folder"/*.yaml; do
        if grep -q '^kind: CustomResourceDefinition$' "$file"; then cp "$file" "$out/crds.new/"; fi
      done
    done <<<"$DEFINITIONS"
    chmod -R u+w "$out/crds.new"
    mv "$out/crds.new" "$out/crds"
  fi
  echo "$out: etcd, kube-apiserver and $(ls "$out/crds" | wc -l) definitions of custom resources"
}

case "${1:-all}" in
  promtool | apiserver) "$1" ;;
  all) promtool && apiserver ;;
  *) sed -n '2,13s/^# \{0,1\}//p' install.sh >&2; exit 2 ;;
esac
