"""Many streams while engines and workers are killed, stopped and restarted at random.

    python3 chaos_test.py --minutes 3

Three instances, 32 clients that send one request after the other. Every answer must be the one of an
undisturbed run: text, every token with its log-probability, finish reason and usage. No request may
fail, and nothing may be left behind. Starts its own stack; prints what it did, and how long
clients have waited.
"""

import argparse
import os
import random
import signal
import sys
import threading
import time

from load import Request, processes
from stack import Stack, descendants

INSTANCES = 3
CLIENTS = 32
QUESTIONS = ["Count from 1 to 40.", "What is 478 + 356?", "Tell me about the sea.", "Hello!", "Say something long."]


def kinds():
    """The requests that are made: streams, whole answers, several choices, with and without counting."""
    made = []
    for seed, question in enumerate(QUESTIONS):
        base = {"messages": [{"role": "user", "content": question}], "seed": seed, "ignore_eos": True}
        usage = {"stream_options": {"include_usage": True}}
        made += [{**base, "temperature": 0.8, "max_tokens": 120 + 40 * seed, "stream": True, "logprobs": True, **usage},
                 {**base, "temperature": 0, "max_tokens": 200, "stream": True, **usage},
                 {**base, "temperature": 1.0, "max_tokens": 90, "n": 2, "stream": True},
                 {**base, "temperature": 0.7, "max_tokens": 150, "logprobs": True}]  # fmt: skip
    return made


class Clients:
    def __init__(self, stack, bodies, expected, count, seed):
        self.stack, self.bodies, self.expected = stack, bodies, expected
        self.stop = threading.Event()
        self.mutex = threading.Lock()
        self.done, self.failures, self.pauses = 0, [], []
        self.threads = [threading.Thread(target=self.run, args=(random.Random(seed + i),)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, dice):
        while not self.stop.is_set():
            kind = dice.randrange(len(self.bodies))
            try:
                problem, pause = self.one(kind)
            except Exception as error:  # a broken connection is a failed request
                problem, pause = repr(error), 0
            with self.mutex:
                self.done += 1
                self.pauses.append(pause)
                if problem:
                    self.failures.append(problem)

    def one(self, kind):
        request = Request(self.stack.port, self.bodies[kind])
        pause, last = 0.0, time.monotonic()
        if self.bodies[kind].get("stream"):
            while request.read_frames(1):
                pause, last = max(pause, time.monotonic() - last), time.monotonic()
        answer = request.answer()
        if answer == self.expected[kind]:
            return None, pause
        if answer["error"]:
            return f"error: {answer['error']}", pause
        return f"another answer to kind {kind}: {answer['texts']} instead of {self.expected[kind]['texts']}", pause

    def finish(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


class Chaos:
    """One disturbance after the other, seconds apart."""

    def __init__(self, stack, seed):
        self.stack, self.dice = stack, random.Random(seed)
        self.stopped = []  # (when to end it, pid)
        self.counts = {"engine killed": 0, "worker killed": 0, "engine stopped": 0, "engine restarted": 0}

    def signal_one(self, name, number, what):
        victims = processes(self.stack, name)
        victims = [pid for pid in victims if pid not in [stopped for _, stopped in self.stopped]]
        if not victims:
            return None
        victim = self.dice.choice(victims)
        try:
            os.kill(victim, number)
        except ProcessLookupError:
            return None
        self.counts[what] += 1
        return victim

    def rolling_restart(self):
        for pid in processes(self.stack, "vallm-engine"):
            try:
                os.kill(pid, signal.SIGTERM)
                self.counts["engine restarted"] += 1
            except ProcessLookupError:
                pass
            time.sleep(2)

    def end_stopped(self, now):
        for due, pid in list(self.stopped):
            if now >= due:
                self.stopped.remove((due, pid))
                try:
                    os.kill(pid, self.dice.choice([signal.SIGKILL, signal.SIGCONT]))
                except ProcessLookupError:
                    pass

    def run(self, seconds, gap):
        end = time.monotonic() + seconds
        next_restart = time.monotonic() + seconds / 3
        while time.monotonic() < end:
            time.sleep(self.dice.uniform(gap / 2, gap * 1.5))
            now = time.monotonic()
            self.end_stopped(now)
            if now >= next_restart:
                next_restart = now + max(seconds / 3, 20)
                self.rolling_restart()
                continue
            dice = self.dice.random()
            if dice < 0.4:
                self.signal_one("vallm-engine", signal.SIGKILL, "engine killed")
            elif dice < 0.85:
                self.signal_one("vallm-worker", signal.SIGKILL, "worker killed")
            elif not self.stopped:
                pid = self.signal_one("vallm-engine", signal.SIGSTOP, "engine stopped")
                if pid is not None:
                    self.stopped.append((now + self.dice.uniform(1, 8), pid))
        self.end_stopped(float("inf"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--gap", type=float, default=2.5, help="seconds between two disturbances, on average")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    shared_before = set(os.listdir("/dev/shm"))
    bodies = kinds()
    with Stack(["--instance", str(INSTANCES), "--stall-timeout", "3"]) as stack:
        expected = [Request(stack.port, body).answer() for body in bodies]
        clients = Clients(stack, bodies, expected, args.clients, args.seed)
        chaos = Chaos(stack, args.seed)
        begin = time.monotonic()
        chaos.run(args.minutes * 60, args.gap)
        clients.finish()
        seconds = time.monotonic() - begin
        moved = "".join(path.read_text(errors="replace") for path in stack.log_dir.glob("gateway.log*")).count(" moves=")
        if clients.failures:
            stack.print_logs()
    clients.pauses.sort()
    print(f"{clients.done} requests in {seconds:.0f} s, {moved} of them moved, {len(clients.failures)} failed")
    print(", ".join(f"{count} times {what}" for what, count in chaos.counts.items()))
    print(f"longest wait for a frame, the first included: median {clients.pauses[len(clients.pauses) // 2]:.2f} s, "
          f"p99 {clients.pauses[int(len(clients.pauses) * 0.99)]:.2f} s, worst {clients.pauses[-1]:.2f} s")  # fmt: skip
    for failure in clients.failures[:10]:
        print(f"FAILED: {failure[:600]}")
    leaked = set(os.listdir("/dev/shm")) - shared_before
    if leaked:
        print(f"FAILED: left in /dev/shm: {leaked}")
    if not any(chaos.counts.values()) or not moved:
        print("FAILED: nothing was disturbed")
        return 1
    return 1 if clients.failures or leaked else 0


if __name__ == "__main__":
    sys.exit(main())
