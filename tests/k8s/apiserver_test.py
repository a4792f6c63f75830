#!/usr/bin/env python3
"""Applies k8s/ to a real API server (kube-apiserver and etcd, no kubelet, no controllers).

Every overlay, every combination of components in k8s/tests and what `vallm deploy --runtime k8s` writes is
applied twice in a namespace that enforces the restricted pod security standard: by server-side dry run, then
for good. A pod of each pod template is made as a controller would, so that admission judges it. Unknown fields
and warnings of the server are failures.

    apiserver_test.py            exit 77: kubectl, or what tests/k8s/install.sh builds, is missing
"""

import atexit
import copy
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
KUBE = pathlib.Path(os.environ.get("VALLM_KUBE_DIR", ROOT / "build/kube"))
BIN = pathlib.Path(os.environ.get("VALLM_BIN_DIR", ROOT / "build/release/bin"))
MODEL = ROOT / "tools/demo_model/Qwen3-Demo-MoE-FP8"
WORK = pathlib.Path(tempfile.mkdtemp(prefix="vallm-kube-"))
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Cluster:
    """etcd and kube-apiserver with a directory of their own; stops with this process."""

    def __init__(self):
        self.processes = []
        self.namespaces = 0
        atexit.register(self.stop)
        client, peer, api = free_ports(3)
        self.start("etcd", f"--data-dir={WORK}/etcd", f"--listen-client-urls=http://127.0.0.1:{client}",
                   f"--advertise-client-urls=http://127.0.0.1:{client}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
                   f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}", f"--initial-cluster=default=http://127.0.0.1:{peer}",
                   "--unsafe-no-fsync")
        token = secrets.token_hex(16)
        (WORK / "tokens.csv").write_text(f"{token},test,test,system:masters\n")
        subprocess.run(["openssl", "genrsa", "-out", WORK / "accounts.key", "2048"], check=True, capture_output=True)
        self.start("kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}", f"--cert-dir={WORK}/certs",
                   "--bind-address=127.0.0.1", f"--secure-port={api}", f"--token-auth-file={WORK}/tokens.csv",
                   "--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24",
                   f"--service-account-key-file={WORK}/accounts.key", f"--service-account-signing-key-file={WORK}/accounts.key",
                   "--service-account-issuer=https://kubernetes.default.svc")
        self.command = ["kubectl", f"--server=https://127.0.0.1:{api}", f"--token={token}", "--insecure-skip-tls-verify",
                        f"--cache-dir={WORK}/cache"]
        self.wait_until("the API server is ready", "get", "--raw", "/readyz")

    def start(self, program, *arguments):
        log = open(WORK / f"{program}.log", "wb")
        self.processes.append(subprocess.Popen([KUBE / "bin" / program, *arguments], stdout=log, stderr=log))

    def wait_until(self, what, *arguments):
        for _ in range(600):
            if self.kubectl(*arguments).returncode == 0:
                return
            for process in self.processes:
                if process.poll() is not None:
                    name = pathlib.Path(process.args[0]).name
                    sys.exit(f"{name} ended:\n" + (WORK / f"{name}.log").read_text()[-3000:])
            time.sleep(0.2)
        sys.exit(f"waited in vain until {what}")

    def kubectl(self, *arguments, given=None):
        given = given if given is None or isinstance(given, str) else json.dumps(given)
        return subprocess.run([*self.command, *arguments], input=given, text=True, capture_output=True)

    def apply(self, objects, *flags):
        return self.kubectl("apply", "--server-side", "--validate=strict", *flags, "-f", "-", given=listed(objects))

    def make_namespace(self, name, labels):
        """A namespace and what the controllers would put into it: its service account."""
        done = self.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
                           {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}])
        assert done.returncode == 0, done.stderr

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(WORK, ignore_errors=True)


def listed(objects):
    return {"apiVersion": "v1", "kind": "List", "items": objects}


def render(directory):
    """The objects of a kustomization, through the client's own reading of YAML."""
    text = subprocess.run(["kubectl", "kustomize", directory], check=True, capture_output=True, text=True).stdout
    # `create --dry-run=client` asks a server for its kinds; that of the test knows all.
    done = CLUSTER.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", given=text)
    assert done.returncode == 0, done.stderr
    objects, rest, decoder = [], done.stdout.strip(), json.JSONDecoder()
    while rest:
        value, end = decoder.raw_decode(rest)
        objects += value["items"] if value["kind"] == "List" else [value]
        rest = rest[end:].strip()
    return objects


def deploy(name, *flags):
    subprocess.run([BIN / "vallm", "deploy", "--model", MODEL, "--runtime", "k8s", "--dry-run", "--output-dir", WORK / name, *flags],
                   check=True, capture_output=True)
    return WORK / name / "overlay"


def pods_of(workload):
    """A pod as the workload's controller makes it."""
    template = copy.deepcopy(workload["spec"]["template"])
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]}
    pod["metadata"].update(name=f"{workload['metadata']['name']}-0", namespace=workload["metadata"]["namespace"])
    return pod


class ApiServerTest(unittest.TestCase):
    maxDiff = None

    def accepts(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("Warning", done.stderr)

    def refuses(self, done, why):
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn(why, done.stderr)

    def check(self, directory, level="restricted"):
        """Applies a kustomization and makes its pods. `level`: of the pod security that the namespace enforces."""
        objects = render(directory)
        # A namespace of its own: two overlays share one, and nothing here finishes the deletion of any.
        CLUSTER.namespaces += 1
        name = f"check-{CLUSTER.namespaces}"
        [declared] = {each["metadata"]["namespace"] for each in objects if each["kind"] != "Namespace"}
        labels = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn")}
        for each in objects:
            if each["kind"] == "Namespace":
                self.assertEqual(each["metadata"]["name"], declared)
                self.assertEqual(each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], level)
                self.accepts(CLUSTER.apply([each], "--dry-run=server"))
        objects = [each for each in objects if each["kind"] != "Namespace"]
        for each in objects:
            each["metadata"]["namespace"] = name
        CLUSTER.make_namespace(name, labels)
        self.accepts(CLUSTER.apply(objects, "--dry-run=server"))
        self.accepts(CLUSTER.apply(objects))
        workloads = [each for each in objects if each["kind"] in ("Deployment", "StatefulSet")]
        self.assertGreaterEqual(len(workloads), 3)
        for workload in workloads:
            self.accepts(CLUSTER.kubectl("create", "-f", "-", given=pods_of(workload)))
        # Applied again, it changes nothing: the server keeps what was written, as it was written.
        again = CLUSTER.kubectl("diff", "--server-side", "-f", "-", given=listed(objects))
        self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
        return objects

    def test_overlays(self):
        overlays = sorted((ROOT / "k8s/overlays").iterdir())
        self.assertGreaterEqual(len(overlays), 4)
        for overlay in overlays:
            with self.subTest(overlay.name):
                self.check(overlay)

    def test_every_component(self):
        used = "\n".join(path.read_text() for path in (ROOT / "k8s/tests").glob("*/kustomization.yaml"))
        for component in (ROOT / "k8s/components").iterdir():
            self.assertIn(f"components/{component.name}\n", used)
        kinds = {each["kind"] for each in self.check(ROOT / "k8s/tests/everything")}
        self.assertLessEqual({"Certificate", "HTTPRoute", "ScaledObject", "ServiceMonitor", "PrometheusRule"}, kinds)

    def test_a_path_of_the_nodes_needs_a_namespace_that_allows_it(self):
        objects = self.check(ROOT / "k8s/tests/node-path", "privileged")
        [engine] = [each for each in objects if each["kind"] == "StatefulSet"]
        CLUSTER.make_namespace("refusing", RESTRICTED)
        pod = pods_of(engine)
        pod["metadata"]["namespace"] = "refusing"
        self.refuses(CLUSTER.kubectl("create", "-f", "-", given=pod), 'violates PodSecurity "restricted:latest": restricted volume types')

    def test_what_deploy_writes(self):
        self.check(deploy("dies", "--image", "registry.example.com:5000/vallm:1.0", "--device", "vacc", "--devices", "0-7",
                          "--instance", "3", "--tensor-parallel-size", "2", "--max-model-len", "4096", "--served-model-name", "Qwen3",
                          "--k8s-model-claim", "models", "--k8s-resource", "vastai.com/va", "--api-key", "secret"))

    def test_what_deploy_writes_for_a_path_of_the_nodes(self):
        self.check(deploy("path", "--device", "cpu", "--k8s-namespace", "mine"), "privileged")

    def test_the_server_judges(self):
        CLUSTER.make_namespace("judged", RESTRICTED)
        [gateway] = [each for each in render(ROOT / "k8s/tests/everything")
                     if each["kind"] == "Deployment" and each["metadata"]["name"] == "vallm-gateway"]
        gateway["metadata"]["namespace"] = "judged"

        unknown = copy.deepcopy(gateway)
        unknown["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
        self.refuses(CLUSTER.apply([unknown], "--dry-run=server"), "livenesProbe")

        lax = pods_of(gateway)
        del lax["spec"]["containers"][0]["securityContext"]["capabilities"]
        self.refuses(CLUSTER.kubectl("create", "-f", "-", given=lax), "unrestricted capabilities")

        monitor = {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "m", "namespace": "judged"},
                   "spec": {"selector": {}, "endpoints": [{"port": 9000}]}}
        self.refuses(CLUSTER.apply([monitor], "--dry-run=server"), "port")


def main():
    if not shutil.which("kubectl"):
        print("skipped: kubectl is missing")
        return 77
    if not all((KUBE / each).exists() for each in ("bin/etcd", "bin/kube-apiserver", "crds")):
        print(f"skipped: no kube-apiserver in {KUBE}: tests/k8s/install.sh builds it (about 20 minutes)")
        return 77
    global CLUSTER
    CLUSTER = Cluster()
    crds = CLUSTER.kubectl("apply", "--server-side", "-f", KUBE / "crds")
    assert crds.returncode == 0, crds.stderr
    CLUSTER.wait_until("the custom resources are served", "wait", "--for=condition=Established", "--all", "crd", "--timeout=60s")
    # What a cluster's administrator makes.
    done = CLUSTER.apply([{"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "vastai"}, "handler": "vastai"}])
    assert done.returncode == 0, done.stderr
    print(CLUSTER.kubectl("version").stdout)
    return not unittest.main(exit=False, verbosity=2).result.wasSuccessful()


if __name__ == "__main__":
    sys.exit(main())
