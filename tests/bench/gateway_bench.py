"""What everything around the model costs: requests and tokens per second of processor time, time added to
the first token, memory of idle streams; the three services with the mock device, each a process.

  tests/bench/gateway_bench.py [short] [stream] [burst] [first] [idle]

  short   whole answers of 8 tokens, 32 at a time
  stream  64 streams of 256 tokens at a time, a token per frame
  burst   the same with an engine that never waits: tokens that come while a frame is written share the next
  first   time to the first text of 48 streams per second, some 250 at a time with a token every 20 ms each,
          through the gateway and straight from the engine over gRPC with the same arrivals
  idle    resident memory of 2,000 streams that have begun and wait

Needs a build of bench/gateway_load and the services (tools/build.sh). Standard library only. The load
generator's own processor time is not counted; what the services use is, all three and the worker."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/clients"))
from services import Services  # noqa: E402
from stack import BIN_DIR, descendants  # noqa: E402

LOAD = BIN_DIR.parent / "bench/gateway_load"
TICKS = os.sysconf("SC_CLK_TCK")


def engine(slots, step_s):
    return ["--device=mock", f"--max-batch-size-for-instance={slots}", f"--mock-step-time={step_s}",
            "--kv-cache-memory=2GiB", "--max-num-batched-tokens=4096", f"--max-queue-size={slots}"]  # fmt: skip


def processor_seconds(services):
    """By program, of all processes and threads so far."""
    seconds = {}
    for process in services.processes.values():
        for pid in [process.pid, *descendants(process.pid)]:
            text = pathlib.Path(f"/proc/{pid}/stat").read_text()
            fields = text[text.rindex(")") + 2 :].split()
            seconds[text[text.index("(") + 1 : text.rindex(")")]] = (int(fields[11]) + int(fields[12])) / TICKS
    return seconds


def run_load(*arguments):
    done = subprocess.run([LOAD, *map(str, arguments)], stdout=subprocess.PIPE, check=True)
    result = json.loads(done.stdout)
    if result["failures"]:
        raise SystemExit(f"gateway_load {arguments}: {result['failures']}")
    return result


def over_http(services, *arguments):
    """The load's result and the processor seconds by program."""
    port = services.api[1]
    run_load("http", "--port", port, "--requests", 200, "--concurrency", 32, "--max-tokens", 8)  # warm
    before = processor_seconds(services)
    result = run_load("http", "--port", port, *arguments)
    after = processor_seconds(services)
    return result, {name: after[name] - before[name] for name in after}


def shares(used):
    total = sum(used.values())
    return f"{total:.1f} s of processor time: " + ", ".join(f"{name} {s / total:.0%}" for name, s in used.items())


def short():
    with Services(engine(64, 0)) as services:
        result, used = over_http(services, "--requests", 20000, "--concurrency", 32, "--max-tokens", 8)
    total = sum(used.values())
    print(f"short: {result['requests_per_s']:.0f} requests/s, {result['completed'] / total:.0f} per second of one core; {shares(used)}")
    print(f"       gateway and tokenizer alone: {result['completed'] / (used['vallm-gateway'] + used['vallm-tokenizer']):.0f}; latency {result['total_ms']}")


def stream(name="stream", step_s=0.004):
    with Services(engine(64, step_s)) as services:
        result, used = over_http(services, "--stream", "--requests", 1280, "--concurrency", 64, "--max-tokens", 256)
    total = sum(used.values())
    around = used["vallm-gateway"] + used["vallm-tokenizer"]
    print(f"{name}: {result['tokens_per_s']:.0f} tokens/s, {result['tokens'] / total:.0f} per second of one core; {shares(used)}")
    print(f"        gateway and tokenizer alone: {result['tokens'] / around:.0f}; {result['tokens'] / result['frames']:.2f} tokens per frame; "
          f"{result['bytes'] / result['tokens']:.0f} bytes per token")  # fmt: skip


def burst():
    stream("burst", 0)


def first():
    plan = ["--requests", 900, "--rate", 48, "--concurrency", 300, "--max-tokens", 256]
    with Services(engine(300, 0.02)) as services:
        for attempt in range(3):
            direct = run_load("grpc", "--address", services.engine_address, "--seed", attempt, *plan)
            result, used = over_http(services, "--stream", "--seed", attempt, *plan)
            added = {p: round(result["first_ms"][p] - direct["first_ms"][p], 2) for p in ("p50", "p99")}
            print(f"first: engine {direct['first_ms']} ms, {direct['most_at_once']} at once; "
                  f"gateway {result['first_ms']} ms, {result['most_at_once']} at once; added {added} ms; "
                  f"{sum(used.values()) / result['seconds']:.2f} cores")  # fmt: skip


def idle(streams=2000):
    with Services(engine(streams + 48, 10), gateway_args=[f"--max-concurrent-requests={streams + 48}"]) as services:
        before = services.vitals()
        load = subprocess.Popen([LOAD, "http", "--port", str(services.api[1]), "--stream", "--hold", "--requests", str(streams),
                                 "--concurrency", str(streams), "--max-tokens", "64"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
        if load.stdout.readline() != "holding\n":
            raise SystemExit("gateway_load: not all streams began")
        time.sleep(2)  # until the last of them has waited for a while as well
        after = services.vitals()
        load.communicate("")
    for name in before:
        grown = after[name]["rss_kib"] - before[name]["rss_kib"]
        print(f"idle: {name} {before[name]['rss_kib'] / 1024:.1f} -> {after[name]['rss_kib'] / 1024:.1f} MiB, "
              f"{grown / streams:.1f} KiB a stream; {before[name]['threads']} -> {after[name]['threads']} threads")  # fmt: skip


CASES = {"short": short, "stream": stream, "burst": burst, "first": first, "idle": idle}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES) + "; default: all")
    options = parser.parse_args()
    for name in options.cases or CASES:
        if name not in CASES:
            parser.error(f"unknown case {name}; there are {', '.join(CASES)}")
        CASES[name]()


if __name__ == "__main__":
    main()
