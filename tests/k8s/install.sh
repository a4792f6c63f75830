#!/usr/bin/env bash
# Builds what apiserver_test.py and rules_test.sh need, from the Go module proxy, pinned: etcd and
# kube-apiserver (go.mod beside this file), promtool (promtool/go.mod), and the definitions of the custom resources that
# k8s/components use. Needs Go 1.26; takes about 20 minutes on one core and 3 GB of Go's caches, which is why
# tools/test.sh does not call it. Idempotent.
#
#   tests/k8s/install.sh             into build/kube, or $VALLM_KUBE_DIR
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
command -v go >/dev/null || die "Go is missing: install Go 1.26 or later"
mkdir -p "$out/bin"
out="$(cd "$out" && pwd)"
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
if [ ! -x "$out/bin/promtool" ]; then
  (cd promtool && go build -trimpath -ldflags='-s -w' -o "$out/bin/promtool" github.com/prometheus/prometheus/cmd/promtool)
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
echo "$out: $(ls "$out/bin" | tr '\n' ' ')and $(ls "$out/crds" | wc -l) definitions of custom resources"
