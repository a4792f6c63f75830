"""Starts a whole vallm (vallm serve) on free ports and stops it again.

    with Stack(["--instance", "1"]) as stack:
        stack.base_url   # http://127.0.0.1:PORT/v1

or from the command line, running one command against it (its exit code is ours; 77 = skipped):

    python3 stack.py [--serve-arg=--tensor-parallel-size=2 ...] -- COMMAND [ARG ...]

The command sees VALLM_TEST_BASE_URL, VALLM_TEST_MANAGEMENT_URL, VALLM_TEST_API_KEY,
VALLM_TEST_MODEL and VALLM_TEST_SERVE_PID. Standard library only.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN_DIR = pathlib.Path(os.environ.get("VALLM_BIN_DIR", ROOT / "build/release/bin"))
MODEL_DIR = ROOT / "tools/demo_model/Qwen3-Demo-MoE-FP8"
API_KEY = "token-abc123"
MODEL_NAME = "demo"
START_SECONDS = 60
STOP_SECONDS = 30


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def descendants(pid):
    """Process ids of all living descendants of pid."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        fields = text[text.rindex(")") + 2 :].split()
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


class Stack:
    def __init__(self, serve_args=(), bin_dir=BIN_DIR, model_dir=MODEL_DIR):
        self.port, self.management_port = free_port(), free_port()
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self.management_url = f"http://127.0.0.1:{self.management_port}"
        self._logs = tempfile.TemporaryDirectory(prefix="vallm-test-")
        self.log_dir = pathlib.Path(self._logs.name)
        self._command = [
            str(bin_dir / "vallm"), "serve", str(model_dir),
            "--host", "127.0.0.1", "--port", str(self.port),
            "--management-port", str(self.management_port),
            "--tokenizer-port", "0", "--engine-port", "0",
            "--served-model-name", MODEL_NAME, "--api-key", API_KEY,
            "--log-dir", str(self.log_dir), *serve_args,
        ]  # fmt: skip
        self.process = None

    def __enter__(self):
        with open(self.log_dir / "serve.out", "wb") as out:
            self.process = subprocess.Popen(self._command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            self.wait_ready()
        except BaseException:
            self.print_logs()
            self.stop()
            raise
        return self

    def wait_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"vallm serve ended with {self.process.returncode} before it was ready")
            # The API answers once one instance serves; vallm serve says when all of them do.
            if "is ready after" in (self.log_dir / "serve.out").read_text(errors="replace"):
                return
            time.sleep(0.1)
        raise RuntimeError(f"vallm serve was not ready within {START_SECONDS} s")

    def print_logs(self):
        for path in sorted(self.log_dir.iterdir()):
            text = path.read_text(errors="replace")[-4000:]
            print(f"--- {path.name}\n{text}", file=sys.stderr)

    def stop(self):
        """Stops by SIGTERM and returns the processes it left behind (none, if all is well)."""
        family = descendants(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.print_logs()
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise RuntimeError(f"vallm serve did not stop within {STOP_SECONDS} s")
        left = [pid for pid in family if self._is_running(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return left

    @staticmethod
    def _is_running(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def __exit__(self, *_):
        left = self.stop()
        self._logs.cleanup()
        if left:
            raise RuntimeError(f"vallm serve left processes behind: {left}")

    def environment(self):
        return {
            **os.environ,
            "VALLM_TEST_BASE_URL": self.base_url,
            "VALLM_TEST_MANAGEMENT_URL": self.management_url,
            "VALLM_TEST_API_KEY": API_KEY,
            "VALLM_TEST_MODEL": MODEL_NAME,
            "VALLM_TEST_SERVE_PID": str(self.process.pid),
        }


def main(argv):
    split = argv.index("--")
    prefix = "--serve-arg="
    serve_args = [part for arg in argv[:split] for part in arg.removeprefix(prefix).split("=", 1)]
    with Stack(serve_args) as stack:
        result = subprocess.run(argv[split + 1 :], env=stack.environment())
        if result.returncode not in (0, 77):
            stack.print_logs()
    return result.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
