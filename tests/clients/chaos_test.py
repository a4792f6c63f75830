"""Many streams while engines and workers are killed, stopped, restarted and taken out.

    python3 chaos_test.py --minutes 3

Three instances, 32 clients that stream one answer after the other and 4 that ask for whole ones.
Meanwhile engines and workers are killed at random, engines stopped (SIGSTOP) for a while, instances
drained and enabled or removed and added over the management port, and every instance in turn is told
to end and waited for until its successor serves. Each kind of disturbance happens at least once.
Every answer must be the one of an undisturbed run: text, every token with its log-probability, finish
reason and usage. No request may fail, and nothing may be left behind. Starts its own stack; prints
what it did, and how long clients have waited.
"""

import argparse
import concurrent.futures
import json
import os
import random
import signal
import sys
import threading
import time
import urllib.request

from load import Request, processes
from stack import Stack

INSTANCES = 3
STREAMS = 32
WHOLE = 4
QUESTIONS = ["Count from 1 to 40.", "What is 478 + 356?", "Tell me about the sea.", "Hello!", "Say something long."]


def kinds():
    """The requests that are made: one list of streams, one of whole answers."""
    streams, whole = [], []
    for seed, question in enumerate(QUESTIONS):
        base = {"messages": [{"role": "user", "content": question}], "seed": seed, "ignore_eos": True, "logprobs": True}
        stream = {**base, "stream": True, "stream_options": {"include_usage": True}}
        streams += [{**stream, "temperature": 0.8, "max_tokens": 120 + 40 * seed},
                    {**stream, "temperature": 0, "max_tokens": 200},
                    {**stream, "temperature": 1.0, "max_tokens": 90, "n": 2}]  # fmt: skip
        whole.append({**base, "temperature": 0.7, "max_tokens": 150})
    return streams, whole


class Clients:
    """So many threads that ask for one of `bodies` after the other, and what came of it."""

    def __init__(self, stack, bodies, count, seed):
        self.stack, self.bodies = stack, bodies
        with concurrent.futures.ThreadPoolExecutor(len(bodies)) as pool:
            self.expected = list(pool.map(lambda body: Request(stack.port, body).answer(), bodies))
        self.stop = threading.Event()
        self.mutex = threading.Lock()
        self.done, self.failures, self.pauses = 0, [], []
        self.threads = [threading.Thread(target=self.run, args=(random.Random(seed + i),)) for i in range(count)]

    def start(self):
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
        self.pending = []  # (when to undo it, what undoes it)
        self.stopped = set()  # pids
        self.counts = dict.fromkeys(("engine killed", "worker killed", "engine stopped", "instance restarted in turn",
                                     "instance drained", "instance removed and added"), 0)  # fmt: skip

    def instances(self, method="GET", path="", body=None):
        request = urllib.request.Request(f"{self.stack.management_url}/instances{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())  # fmt: skip
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.load(reply)

    def enabled(self):
        return [instance for instance in self.instances()["data"] if instance["admin_state"] == "enabled"]

    def kill(self, pid, number):
        try:
            os.kill(pid, number)
            return True
        except ProcessLookupError:
            return False

    def signal_one(self, name, number, what):
        victims = [pid for pid in processes(self.stack, name) if pid not in self.stopped]
        if not victims:
            return None
        victim = self.dice.choice(victims)
        if not self.kill(victim, number):
            return None
        self.counts[what] += 1
        return victim

    def kill_engine(self):
        self.signal_one("vallm-engine", signal.SIGKILL, "engine killed")

    def kill_worker(self):
        self.signal_one("vallm-worker", signal.SIGKILL, "worker killed")

    def stop_engine(self):
        """It answers nothing for a while; then it goes on, or dies."""
        if self.stopped:
            return
        pid = self.signal_one("vallm-engine", signal.SIGSTOP, "engine stopped")
        if pid is None:
            return

        def undo():
            self.stopped.discard(pid)
            self.kill(pid, self.dice.choice([signal.SIGKILL, signal.SIGCONT]))

        self.stopped.add(pid)
        self.pending.append((time.monotonic() + self.dice.uniform(1, 8), undo))

    def drain(self):
        """By hand, over the management port; never the last one."""
        instances = self.enabled()
        if len(instances) < INSTANCES:
            return
        name = self.dice.choice(instances)["id"]
        self.instances("POST", f"/{name}/drain", {})
        self.counts["instance drained"] += 1
        undo = lambda: self.instances("POST", f"/{name}/enable", {})  # noqa: E731
        self.pending.append((time.monotonic() + self.dice.uniform(0.5, 5), undo))

    def remove_and_add(self):
        instances = self.enabled()
        if len(instances) < INSTANCES:
            return
        victim = self.dice.choice(instances)
        self.instances("DELETE", f"/{victim['id']}")
        self.counts["instance removed and added"] += 1
        undo = lambda: self.instances("POST", "", {"address": victim["address"]})  # noqa: E731
        self.pending.append((time.monotonic() + self.dice.uniform(0.5, 5), undo))

    def rolling_restart(self, deadline):
        """Each instance is told to end, and the next one when all serve again."""
        for pid in processes(self.stack, "vallm-engine"):
            if pid in self.stopped or not self.kill(pid, signal.SIGTERM):
                continue
            self.counts["instance restarted in turn"] += 1
            while time.monotonic() < deadline:
                time.sleep(0.2)
                gone = pid not in processes(self.stack, "vallm-engine")
                if gone and sum(instance["serving"] for instance in self.instances()["data"]) == INSTANCES:
                    break

    def undo_due(self, now):
        for entry in [entry for entry in self.pending if now >= entry[0]]:
            self.pending.remove(entry)
            entry[1]()

    def run(self, seconds, gap):
        acts = {self.kill_engine: 30, self.kill_worker: 35, self.stop_engine: 12, self.drain: 12, self.remove_and_add: 11}
        first = list(acts)  # each once, before chance decides
        self.dice.shuffle(first)
        begin = time.monotonic()
        end, next_restart = begin + seconds, begin + seconds / 3
        while time.monotonic() < end or first:
            time.sleep(self.dice.uniform(gap / 2, gap * 1.5))
            now = time.monotonic()
            self.undo_due(now)
            if now >= next_restart:
                self.undo_due(float("inf"))
                self.rolling_restart(max(end, now + 20))
                next_restart = time.monotonic() + max(seconds / 3, 20)
            elif first:
                before = sum(self.counts.values())
                first[-1]()
                if sum(self.counts.values()) > before:  # else it was not possible just then
                    first.pop()
            else:
                self.dice.choices(list(acts), list(acts.values()))[0]()
        self.undo_due(float("inf"))


def report(clients, chaos, seconds, moved):
    done = sum(group.done for group in clients)
    failures = [failure for group in clients for failure in group.failures]
    pauses = sorted(pause for group in clients for pause in group.pauses)
    print(f"{done} requests in {seconds:.0f} s, {moved} of them moved, {len(failures)} failed")
    print(", ".join(f"{count} times {what}" for what, count in chaos.counts.items()))
    print(f"longest wait for a frame, the first included: median {pauses[len(pauses) // 2]:.2f} s, "
          f"p99 {pauses[int(len(pauses) * 0.99)]:.2f} s, worst {pauses[-1]:.2f} s")  # fmt: skip
    for failure in failures[:10]:
        print(f"FAILED: {failure[:600]}")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--gap", type=float, default=2.5, help="seconds between two disturbances, on average")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    shared_before = set(os.listdir("/dev/shm"))
    streams, whole = kinds()
    with Stack(["--instance", str(INSTANCES), "--stall-timeout", "3"]) as stack:
        clients = [Clients(stack, streams, STREAMS, args.seed), Clients(stack, whole, WHOLE, args.seed + STREAMS)]
        for group in clients:
            group.start()
        chaos = Chaos(stack, args.seed)
        begin = time.monotonic()
        try:
            chaos.run(args.minutes * 60, args.gap)
        finally:
            for group in clients:
                group.finish()
        seconds = time.monotonic() - begin
        moved = "".join(path.read_text(errors="replace") for path in stack.log_dir.glob("gateway.log*")).count(" moves=")
        failures = report(clients, chaos, seconds, moved)
        if failures:
            stack.print_logs()
    leaked = set(os.listdir("/dev/shm")) - shared_before
    if leaked:
        print(f"FAILED: left in /dev/shm: {leaked}")
    if not all(chaos.counts.values()) or not moved:
        print("FAILED: not everything was disturbed")
        return 1
    return 1 if failures or leaked else 0


if __name__ == "__main__":
    sys.exit(main())
