#!/usr/bin/env bash
# Prometheus' own judgement of the alert rules: `promtool check rules`, and alerts_test.yaml. Every alert has a
# case there.
#
#   rules_test.sh                exit 77: promtool is missing; tests/k8s/install.sh builds it
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
promtool="${VALLM_KUBE_DIR:-$here/../../build/kube}/bin/promtool"
[ -x "$promtool" ] || promtool=$(command -v promtool) || { echo "skipped: no promtool; tests/k8s/install.sh builds it"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A PrometheusRule's spec is what Prometheus reads.
sed '1,/^spec:$/d; s/^  //' "$here/../../k8s/components/monitoring/alerts.yaml" >"$work/rules.yaml"
cp "$here/alerts_test.yaml" "$work/"
"$promtool" check rules --lint=all --lint-fatal "$work/rules.yaml"
"$promtool" test rules "$work/alerts_test.yaml"
for alert in $(sed -n 's/^ *- alert: //p' "$work/rules.yaml"); do
  grep -q "alertname: $alert$" "$work/alerts_test.yaml" || { echo "no case for $alert"; exit 1; }
done
