#!/usr/bin/env python3
"""Simulates routing, queueing and autoscaling of vallm instances on a trace of requests.

    simulate.py                          every experiment of docs/scaling.md, as tables
    simulate.py --plot scaling.svg       and a plot of the autoscaled day
    simulate.py --decode-speed 40 --prefill-speed 4000 --slots 8      with your numbers
    simulate.py --trace trace.csv        your trace: seconds,session,new_prompt_tokens,output_tokens

Same arguments, same results, to the digit. Standard library only. What it assumes: an instance
computes one prompt after the other at --prefill-speed and every running answer at --decode-speed; a
prompt's beginning is free where its session's last turn is still cached; a slot is held from
the gateway's choice to the last token. Routing is the gateway's (docs/reference.md): score = cached share
of the prompt - 2 * (load - least load), ties in turn.
"""

import argparse
import collections
import csv
import heapq
import math
import random

Request = collections.namedtuple("Request", "time session history prompt output")


def make_trace(count, seed, mean_rate):
    """A day of `count` requests, squeezed so that they come at mean_rate on average: two humps and bursts, in
    sessions of a few turns with growing history."""
    rng = random.Random(seed)
    day = count / mean_rate

    def intensity(t):
        x = t / day
        return 0.35 + math.exp(-(((x - 0.4) / 0.09) ** 2)) + 0.8 * math.exp(-(((x - 0.7) / 0.07) ** 2))

    most = 1.5
    starts = []
    while len(starts) < count // 3:
        t = rng.random() * day
        if rng.random() * most < intensity(t):
            starts.append(t)
    requests = []
    for session, start in enumerate(sorted(starts)):
        t, history = start, 0
        while True:
            prompt = min(int(rng.lognormvariate(5.3, 1.1)) + 20, 16000)
            output = min(int(rng.lognormvariate(5.4, 0.8)) + 10, 4000)
            requests.append(Request(t, session, history, history + prompt, output))
            history += prompt + output
            if rng.random() < 1 / 3 or history > 24000:
                break
            t += 10 + rng.expovariate(1 / 40)
    requests.sort()
    return requests[:count]


def read_trace(path):
    history = collections.defaultdict(int)
    requests = []
    with open(path) as file:
        for row in csv.DictReader(file):
            session, new, output = row["session"], int(row["new_prompt_tokens"]), int(row["output_tokens"])
            requests.append(Request(float(row["seconds"]), session, history[session], history[session] + new, output))
            history[session] += new + output
    return sorted(requests)


class Instance:
    def __init__(self, ready, kv_tokens):
        self.ready, self.kv_tokens = ready, kv_tokens
        self.running, self.prefill_free, self.draining = 0, ready, False
        self.cache = collections.OrderedDict()  # session: tokens, the one used longest ago first

    def cached(self, request):
        return min(self.cache.get(request.session, 0), request.history)

    def remember(self, session, tokens):
        self.cache[session] = tokens
        self.cache.move_to_end(session)
        while sum(self.cache.values()) > self.kv_tokens:
            self.cache.popitem(last=False)


class Simulation:
    def __init__(self, options, policy="prefix_aware", instances=4, queue_limit=1024, scaler=None):
        self.o, self.policy, self.queue_limit, self.scaler = options, policy, queue_limit, scaler
        self.instances = [Instance(0, options.kv_tokens) for _ in range(instances)]
        self.queue, self.events, self.turn, self.serial = collections.deque(), [], 0, 0
        self.first_token, self.refused, self.timed_out, self.cached_tokens, self.prompt_tokens = [], 0, 0, 0, 0
        self.instance_seconds, self.history = 0.0, []  # (time, in system, instances, queue)

    def push(self, time, kind, payload):
        self.serial += 1
        heapq.heappush(self.events, (time, self.serial, kind, payload))

    def choose(self, now, request):
        free = [i for i in self.instances if i.ready <= now and not i.draining and i.running < self.o.slots]
        if not free:
            return None
        self.turn += 1
        if self.policy == "round_robin":
            return free[self.turn % len(free)]
        least = min(i.running for i in free) / self.o.slots

        def score(instance):
            load = instance.running / self.o.slots
            if self.policy == "least_load":
                return -load
            return instance.cached(request) / max(request.prompt, 1) - 2 * (load - least)

        best = max(map(score, free))
        equals = [i for i in free if score(i) == best]
        return equals[self.turn % len(equals)]

    def start(self, now, request, instance):
        cached = instance.cached(request)
        self.cached_tokens += cached
        self.prompt_tokens += request.prompt
        instance.running += 1
        begin = max(now, instance.prefill_free)
        first = begin + (request.prompt - cached) / self.o.prefill_speed
        instance.prefill_free = first
        self.first_token.append(first - request.time)
        self.push(first + request.output / self.o.decode_speed, "end", (instance, request))

    def serve_queue(self, now):
        while self.queue:
            if now - self.queue[0].time > self.o.queue_timeout:
                self.queue.popleft()
                self.timed_out += 1
                continue
            instance = self.choose(now, self.queue[0])
            if instance is None:
                return
            self.start(now, self.queue.popleft(), instance)

    def scale(self, now):
        live = [i for i in self.instances if not i.draining]
        in_system = sum(i.running for i in self.instances) + len(self.queue)
        wanted = self.scaler.wanted(now, in_system, len(live))
        for _ in range(wanted - len(live)):
            self.instances.append(Instance(now + self.o.start_seconds, self.o.kv_tokens))
            self.push(now + self.o.start_seconds, "ready", None)
        for instance in sorted(live, key=lambda i: i.running)[: max(len(live) - wanted, 0)]:
            instance.draining = True

    def run(self, trace):
        for request in trace:
            self.push(request.time, "request", request)
        end = trace[-1].time
        for tick in range(int(end / 15) + 1):
            self.push(15.0 * tick, "tick", None)
        last = 0.0
        while self.events:
            now, _, kind, payload = heapq.heappop(self.events)
            self.instances = [i for i in self.instances if not i.draining or i.running]
            if now <= end:
                self.instance_seconds += (now - last) * len(self.instances)
                last = now
            if kind == "request":
                instance = None if self.queue else self.choose(now, payload)
                if instance is not None:
                    self.start(now, payload, instance)
                elif len(self.queue) < self.queue_limit:
                    self.queue.append(payload)
                else:
                    self.refused += 1
            elif kind == "end":
                instance, request = payload
                instance.running -= 1
                instance.remember(request.session, request.prompt + request.output)
            elif kind == "tick":
                if self.scaler:
                    self.scale(now)
                in_system = sum(i.running for i in self.instances) + len(self.queue)
                self.history.append((now, in_system, len(self.instances), len(self.queue)))
            self.serve_queue(now)
        return self

    def quantile(self, q):
        values = sorted(self.first_token)
        return values[min(int(q * len(values)), len(values) - 1)] if values else float("nan")


class Scaler:
    """As components/autoscale-keda: wanted = requests in the system / target, doubled at most per minute, down by one
    after `calm` seconds."""

    def __init__(self, target=3, least=1, most=64, calm=600):
        self.target, self.least, self.most, self.calm = target, least, most, calm
        self.wishes, self.last_up, self.last_down = collections.deque(), -1e9, -1e9

    def wanted(self, now, in_system, have):
        wish = min(max(math.ceil(in_system / self.target), self.least), self.most)
        self.wishes.append((now, wish))
        while self.wishes[0][0] < now - self.calm:
            self.wishes.popleft()
        if wish > have and now - self.last_up >= 60:
            self.last_up = now
            return min(wish, 2 * have)
        if max(w for _, w in self.wishes) < have and now - self.last_down >= 120:
            self.last_down = now
            return have - 1
        return have


def row(name, s, count):
    lost = s.refused + s.timed_out
    cached = s.cached_tokens / max(s.prompt_tokens, 1)
    print(f"| {name} | {s.quantile(0.5):.2f} | {s.quantile(0.95):.1f} | {s.quantile(0.99):.1f} | {100 * lost / count:.2f} % | "
          f"{100 * cached:.0f} % | {s.instance_seconds / 3600:.1f} |")  # fmt: skip


def heading(title, first):
    print(f"\n{title}\n\n| {first} | TTFT p50 (s) | p95 | p99 | lost | cached | instance hours |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")


def plot(s, path):
    """In the system and instances over the day, as SVG."""
    width, height, margin = 860, 300, 45
    end = s.history[-1][0]
    most = max(max(h[1] for h in s.history), 1)
    most_instances = max(h[2] for h in s.history)

    def line(values, top, color):
        points = " ".join(f"{margin + (width - 2 * margin) * t / end:.1f},{height - margin - (height - 2 * margin) * v / top:.1f}" for t, v in values)
        return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>'

    hours = "".join(
        f'<text x="{margin + (width - 2 * margin) * k / 6:.0f}" y="{height - margin + 16}" text-anchor="middle">{end * k / 6 / 60:.0f} min</text>'
        for k in range(7)
    )
    frame = f'<path d="M{margin} {margin}V{height - margin}H{width - margin}V{margin}" fill="none" stroke="#888"/>'
    labels = (f'<text x="{margin}" y="{margin - 10}" fill="#3b6ea5">requests running and waiting (0 to {most})</text>'
              f'<text x="{width - margin}" y="{margin - 10}" text-anchor="end" fill="#c0562f">instances (0 to {most_instances})</text>')  # fmt: skip
    with open(path, "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
                   f'<rect width="{width}" height="{height}" fill="white"/>{frame}{hours}{labels}'
                   f'{line([(h[0], h[1]) for h in s.history], most, "#3b6ea5")}'
                   f'{line([(h[0], h[2]) for h in s.history], most_instances, "#c0562f")}</svg>\n')  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10000)
    parser.add_argument("--rate", type=float, default=1.0, help="requests per second on average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trace")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--prefill-speed", type=float, default=2000, help="prompt tokens per second of an instance")
    parser.add_argument("--decode-speed", type=float, default=25, help="tokens per second of each answer")
    parser.add_argument("--kv-tokens", type=int, default=65536)
    parser.add_argument("--start-seconds", type=float, default=120, help="until a new instance serves")
    parser.add_argument("--queue-timeout", type=float, default=300)
    parser.add_argument("--plot")
    o = parser.parse_args()
    trace = read_trace(o.trace) if o.trace else make_trace(o.requests, o.seed, o.rate)
    count, span = len(trace), trace[-1].time - trace[0].time
    busy = sum((r.prompt - r.history) / o.prefill_speed + r.output / o.decode_speed for r in trace)
    need = busy / span / o.slots
    print(f"{count} requests in {span / 3600:.1f} h, {sum(r.output for r in trace) / count:.0f} tokens an answer; "
          f"on average {busy / span:.1f} slots are busy: {need:.1f} instances of {o.slots}")  # fmt: skip

    sizes = sorted({max(1, round(need * factor)) for factor in (0.9, 1.25, 1.5, 2.0, 2.5, 3.0)})
    heading("How many instances", "instances")
    for instances in sizes:
        row(f"{instances} ({instances / need:.1f} x mean)", Simulation(o, instances=instances).run(trace), count)
    right = sizes[-3]
    heading(f"Routing, {right} instances", "policy")
    for policy in ("prefix_aware", "least_load", "round_robin"):
        row(policy, Simulation(o, policy=policy, instances=right).run(trace), count)
    small = sizes[1]
    heading(f"How long a queue, {small} instances", "queue limit")
    for limit in (0, small * o.slots, 4 * small * o.slots, 1024):
        row(str(limit), Simulation(o, instances=small, queue_limit=limit).run(trace), count)
    heading("Autoscaling", "")
    for target in (2, 3, 4):
        row(f"{target} requests an instance", Simulation(o, instances=2, scaler=Scaler(target=target)).run(trace), count)
    row("3, never below the mean", Simulation(o, instances=math.ceil(need), scaler=Scaler(least=math.ceil(need))).run(trace), count)
    slow = argparse.Namespace(**{**vars(o), "start_seconds": 600})
    row("3, instances need 10 min to start", Simulation(slow, instances=2, scaler=Scaler()).run(trace), count)
    if o.plot:
        plot(Simulation(o, instances=2, scaler=Scaler()).run(trace), o.plot)


if __name__ == "__main__":
    main()
