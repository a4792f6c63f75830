"""What peer gateways cost beside ours: requests and streamed tokens per second of the gateway's own processor time.

  python3 -m venv DIR && DIR/bin/pip install smg==1.13.0 'litellm[proxy]==1.84.10'
  tests/bench/gateway_peers.py --venv DIR [smg] [litellm]

The backend of every peer is one and the same vallm with the mock device, over HTTP: a peer only passes on what that
answers. Ours is counted with its tokenizer, which renders, encodes and decodes: what a peer leaves to its backend.
The backend's and the load generator's time is not counted. Each peer has one process."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from gateway_bench import engine, processor_seconds, run_load, TICKS  # noqa: E402
from services import Services  # noqa: E402
from stack import descendants, free_port  # noqa: E402

START_SECONDS = 120
LOADS = {
    "short": (0, ["--requests", 8000, "--concurrency", 32, "--max-tokens", 8]),
    "stream": (0.004, ["--stream", "--requests", 320, "--concurrency", 64, "--max-tokens", 256]),
}


def smg(venv, port, backend, _):
    return [venv / "bin/smg", "launch", "--host", "127.0.0.1", "--port", port, "--worker-urls", backend, "--policy", "round_robin"]


def litellm(venv, port, backend, folder):
    config = {"model_list": [{"model_name": "demo", "litellm_params": {
        "model": "openai/demo", "api_base": backend + "/v1", "api_key": "none"}}]}  # fmt: skip
    (folder / "litellm.yaml").write_text(json.dumps(config))
    return [venv / "bin/litellm", "--config", folder / "litellm.yaml", "--host", "127.0.0.1", "--port", port]


PEERS = {"smg": smg, "litellm": litellm}


def seconds_of(pid):
    total = 0
    for each in [pid, *descendants(pid)]:
        text = pathlib.Path(f"/proc/{each}/stat").read_text()
        fields = text[text.rindex(")") + 2 :].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


class Peer:
    """A peer in front of the backend, as a process."""

    def __init__(self, name, venv, backend):
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="vallm-peer-")
        folder = pathlib.Path(self._folder.name)
        self._log = folder / "log"
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen([str(part) for part in PEERS[name](venv, self.port, backend, folder)],
                                            stdout=log, stderr=subprocess.STDOUT, cwd=folder)  # fmt: skip

    def __enter__(self):
        body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/chat/completions", body, {"Content-Type": "application/json"})
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(request, timeout=10):
                    return self
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.3)
        text = self._log.read_text(errors="replace")[-3000:]
        self.__exit__()
        raise RuntimeError(f"the peer does not answer: {text}")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._folder.cleanup()


def report(name, case, result, used):
    count = result["completed"] if case == "short" else result["tokens"]
    what = "requests" if case == "short" else "tokens"
    rate = result["requests_per_s"] if case == "short" else result["tokens_per_s"]
    latency = result["total_ms" if case == "short" else "first_ms"]
    print(f"{case:7} {name:8} {count / used:9.0f} {what} per second of its own core ({rate:.0f} per second by the clock); "
          f"{'latency' if case == 'short' else 'first token'} p50 {latency['p50']:.1f}, p99 {latency['p99']:.1f} ms", flush=True)  # fmt: skip


def measure(case, peers, venv):
    step_s, load = LOADS[case]
    with Services(engine(64, step_s)) as services:
        run_load("http", "--port", services.api[1], "--requests", 200, "--concurrency", 32, "--max-tokens", 8)  # warm
        before = processor_seconds(services)
        result = run_load("http", "--port", services.api[1], *load)
        used = {name: seconds - before[name] for name, seconds in processor_seconds(services).items()}
        report("vallm", case, result, used["vallm-gateway"] + used["vallm-tokenizer"])
        for name in peers:
            with Peer(name, venv, services.base_url) as peer:
                run_load("http", "--port", peer.port, "--requests", 100, "--concurrency", 16, "--max-tokens", 8)
                began = seconds_of(peer.process.pid)
                result = run_load("http", "--port", peer.port, *load)
                report(name, case, result, seconds_of(peer.process.pid) - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=pathlib.Path, required=True, help="where the peers are installed")
    parser.add_argument("--case", choices=LOADS, action="append", help="default: all")
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(PEERS) + "; default: all")
    options = parser.parse_args()
    for name in options.peers:
        if name not in PEERS:
            parser.error(f"unknown peer {name}; there are {', '.join(PEERS)}")
    for case in options.case or LOADS:
        measure(case, options.peers or list(PEERS), options.venv.resolve())


if __name__ == "__main__":
    main()
