"""Rolling restarts under load, on a machine that stalls: no request may fail.

    python3 rolling_test.py                                       device mock, one restart: seconds
    python3 rolling_test.py --device cpu --tensor-parallel-size 2 --restarts 10 --freeze 0
    python3 rolling_test.py --restarts 5 --tokens 3000 --token-time 0.02 --drain-timeout 10 --freeze 30

Two instances; as many streams as there are slots and some more, so that a drained instance cannot hand on what it
runs, and answers that take longer than draining waits. Meanwhile one process at a time (engine, worker,
tokenizer, gateway, supervisor) is stopped by SIGSTOP and goes on after up to --freeze seconds; the tokenizer, of which
there is one, after 10 at most, because what the gateway's copy of it does not
do waits 15 s for it. Every answer is compared with the one of an undisturbed
run. Standard library only.
"""

import argparse
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

from load import named
from stack import BIN_DIR, MODEL_DIR, descendants, free_port

MODEL = "Qwen3"
FROZEN = ("vallm-engine", "vallm-worker", "vallm-tokenizer", "vallm-gateway", "vallm")
PATIENCE = 900


def chat(port, text, tokens):
    """The text of an answer; RuntimeError says why there is none."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": tokens, "stream": True,
            "temperature": 0, "ignore_eos": True}  # fmt: skip
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        raw = reply.read().decode()
    if reply.status != 200 or not raw.endswith("data: [DONE]\n\n"):
        raise RuntimeError(f"status {reply.status}: …{raw[-300:]}")
    answer = ""
    for line in raw.splitlines():
        if not line.startswith("data: {"):
            continue
        frame = json.loads(line[6:])
        if "error" in frame:
            raise RuntimeError(f"cut after {len(answer)} characters: {frame['error']}")
        for choice in frame["choices"]:
            answer += (choice["delta"].get("reasoning_content") or "") + (choice["delta"].get("content") or "")
    return answer


class Load:
    """Chats in so many threads, one after the other; every third is a short one."""

    def __init__(self, port, streams, tokens):
        self.port, self.tokens = port, tokens
        self.finished, self.failures, self.slowest = 0, [], 0.0
        self._mutex, self._stop = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(streams)]
        with concurrent.futures.ThreadPoolExecutor(streams) as pool:
            self._expected = list(pool.map(lambda i: chat(port, f"stream {i}", self._length(i)), range(streams)))

    def _length(self, number):
        return 16 if number % 3 == 2 else self.tokens

    def _run(self, number):
        while not self._stop.is_set():
            begin, failure = time.monotonic(), None
            try:
                if chat(self.port, f"stream {number}", self._length(number)) != self._expected[number]:
                    failure = "another answer"
            except Exception as error:  # whatever a client would see
                failure = repr(error)
            with self._mutex:
                self.finished += 1
                self.slowest = max(self.slowest, time.monotonic() - begin)
                if failure:
                    self.failures.append(f"{time.strftime('%X')} stream {number}: {failure}")

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


class Freezer:
    """Stops a process at a time until it is told to end."""

    def __init__(self, supervisor, longest, dice):
        self.counts = dict.fromkeys(FROZEN, 0)
        self._supervisor, self._longest, self._dice = supervisor, longest, dice
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop.wait(self._dice.uniform(0, 2)):
            name = self._dice.choice(FROZEN)
            family = descendants(self._supervisor)
            candidates = [self._supervisor] if name == "vallm" else named(family, name)
            if not candidates:
                continue
            longest = min(self._longest, 10) if name == "vallm-tokenizer" else self._longest
            victim, seconds = self._dice.choice(candidates), self._dice.uniform(min(1, longest), longest)
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGSTOP)
                print(f"{time.strftime('%X')} {name} {victim} stands still for {seconds:.1f} s", flush=True)
                self.counts[name] += 1
                self._stop.wait(seconds)
                os.kill(victim, signal.SIGCONT)

    def __enter__(self):
        if self._longest > 0:
            self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        if self._longest > 0:
            self._thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="mock")
    parser.add_argument("--tensor-parallel-size", default=1, type=int)
    parser.add_argument("--restarts", default=1, type=int)
    parser.add_argument("--streams", default=12, type=int)
    parser.add_argument("--tokens", default=300, type=int, help="of a long answer")
    parser.add_argument("--token-time", default=0.002, type=float, help="seconds, of device mock")
    parser.add_argument("--drain-timeout", default=1.0, type=float)
    parser.add_argument("--freeze", default=2.0, type=float, help="seconds at most; 0: nothing stands still")
    parser.add_argument("--seed", default=1, type=int)
    o = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vallm-rolling-") as root:
        environment = {**os.environ, "VALLM_STATE_DIR": root}

        def vallm(*arguments):
            return subprocess.run([str(BIN_DIR / "vallm"), *map(str, arguments)], env=environment, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)  # fmt: skip

        port = free_port()
        try:
            deployed = vallm("deploy", "--model", MODEL_DIR, "--served-model-name", MODEL, "--device", o.device,
                             "--tensor-parallel-size", o.tensor_parallel_size, "--instance", 2, "--host", "127.0.0.1",
                             "--port", port, "--management-port", free_port(), "--drain-timeout", o.drain_timeout,
                             "--mock-token-time", o.token_time)  # fmt: skip
            assert deployed.returncode == 0, deployed.stdout
            supervisor = json.loads(vallm("status", MODEL, "--json").stdout)["supervisor_pid"]
            took, broken = [], []
            with Load(port, o.streams, o.tokens) as load:
                with Freezer(supervisor, o.freeze, random.Random(o.seed)) as freezer:
                    for number in range(o.restarts):
                        begin = time.monotonic()
                        restarted = vallm("restart", "--rolling")
                        took.append(round(time.monotonic() - begin, 1))
                        print(f"{time.strftime('%X')} restart {number + 1}: {took[-1]} s, {len(load.failures)} failures of "
                              f"{load.finished}", flush=True)  # fmt: skip
                        if restarted.returncode != 0:
                            broken.append(restarted.stdout[-1000:])
                states = json.loads(vallm("status", MODEL, "--json").stdout)
            print(f"{o.restarts} restarts in {took} s under {o.streams} streams: {len(load.failures)} of {load.finished} answers "
                  f"failed, the slowest took {load.slowest:.1f} s; stood still: {freezer.counts}")  # fmt: skip
            print(*load.failures, *broken, sep="\n")
            if load.failures or broken or states["state"] != "serving":
                for log in sorted(pathlib.Path(root).glob("*/logs/*.log")):
                    print(f"--- {log.name}\n{log.read_text(errors='replace')[-6000:]}")
                return 1
        finally:
            vallm("stop", "--now")
    return 0


if __name__ == "__main__":
    sys.exit(main())
