"""The three services as processes of their own, with the engine's metrics, and what they use.

    with Services(["--device=mock"]) as services:
        services.base_url, services.engine_address, services.engine_metrics()
"""

import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from stack import BIN_DIR, MODEL_DIR, descendants, free_port

START_SECONDS = 60
STOP_SECONDS = 30


class Services:
    def __init__(self, engine_args=(), gateway_args=(), tokenizer_args=(), model_dir=MODEL_DIR):
        ports = {name: free_port() for name in ("tokenizer", "engine", "metrics", "api", "management")}
        address = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        self.engine_address = address["engine"]
        self.base_url = f"http://{address['api']}"
        self.api = ("127.0.0.1", ports["api"])
        self.management_url = f"http://{address['management']}"
        self._metrics_url = f"http://{address['metrics']}/metrics"
        self._logs = tempfile.TemporaryDirectory(prefix="vallm-test-")
        self.log_dir = pathlib.Path(self._logs.name)
        log = f"--log-dir={self.log_dir}"
        self._commands = {
            "vallm-tokenizer": ["--model", model_dir, "--listen", address["tokenizer"], log, *tokenizer_args],
            "vallm-engine": ["--model", model_dir, "--listen", address["engine"],
                             "--metrics-listen", address["metrics"], log, *engine_args],
            "vallm-gateway": ["--host=127.0.0.1", "--port", ports["api"], "--management-host=127.0.0.1",
                              "--management-port", ports["management"], "--tokenizer", address["tokenizer"],
                              "--engine", address["engine"], "--served-model-name=demo", log, *gateway_args],
        }  # fmt: skip
        self.processes = {}

    def __enter__(self):
        try:
            for name, arguments in self._commands.items():
                argv = [str(BIN_DIR / name), *map(str, arguments)]
                with open(self.log_dir / f"{name}.out", "wb") as out:
                    self.processes[name] = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)
            self._wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name}: {(self.log_dir / f'{name}.out').read_text(errors='replace')}")
            try:
                with urllib.request.urlopen(self.base_url + "/health/ready"):
                    return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        raise RuntimeError(f"the services were not ready within {START_SECONDS} s")

    def __exit__(self, *_):
        self.stop()
        self._logs.cleanup()

    def stop(self):
        """Drains them, the gateway first; afterwards their logs are complete."""
        for name in ("vallm-gateway", "vallm-engine", "vallm-tokenizer"):
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise RuntimeError(f"{name} did not stop within {STOP_SECONDS} s") from None

    def all_running(self):
        return all(process.poll() is None for process in self.processes.values())

    def vitals(self):
        """{program: {"rss_kib", "threads", "fds"}}; a worker counts as a program."""
        found = {}
        for name, process in self.processes.items():
            for pid in [process.pid, *descendants(process.pid)]:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                program = re.search(r"^Name:\t(.*)$", status, re.M)[1]
                found[program] = {
                    "rss_kib": int(re.search(r"^VmRSS:\s+(\d+)", status, re.M)[1]),
                    "threads": int(re.search(r"^Threads:\s+(\d+)", status, re.M)[1]),
                    "fds": len(os.listdir(f"/proc/{pid}/fd")),
                }
        return found

    def engine_metrics(self):
        with urllib.request.urlopen(self._metrics_url) as reply:
            return reply.read().decode()

    def gateway_metrics(self):
        with urllib.request.urlopen(self.management_url + "/metrics") as reply:
            return reply.read().decode()

    def log_lines(self, program):
        """What a program logged; complete once it has stopped."""
        # Some name their log without the "vallm-".
        path = next(p for p in self.log_dir.glob("*.log") if p.stem.removeprefix("vallm-") == program.removeprefix("vallm-"))
        return path.read_text(errors="replace").splitlines()
