"""What everything around the model costs: requests and tokens per second of processor time, time added to
the first token, memory of idle streams; the three services with the mock device, each a process.

  tests/bench/gateway_bench.py [short] [stream] [burst] [first] [idle]

  short   whole answers of 8 tokens, 32 at a time
  stream  64 streams of 256 tokens at a time, a token per frame
  burst   the same with an engine that never waits: tokens that come while a frame is written share the next
  first   time to the first text of 41 streams per second, some 256 at a time with a token every 20 ms each, through
          the gateway and straight from the engine over gRPC. As a step is long, the time inside the engine, which its
          log gives, is taken off each; added is the difference of what is left
  idle    resident memory of 2,000 streams that have begun and wait, and the processor time that takes

Needs a build of bench/gateway_load and the services (tools/build.sh). Standard library only. The load
generator's own processor time is not counted; what the services use is, all three and the worker."""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

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


def begins_with_text(services, question):
    """Whether the first token of the answer, which the mock device derives from the question, is text at once. A
    part of a character, or what may become a marker, waits for the next token: nothing that the gateway adds."""
    body = {"model": "demo", "messages": [{"role": "user", "content": question}], "max_tokens": 4, "temperature": 0,
            "ignore_eos": True, "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True}}  # fmt: skip
    request = urllib.request.Request(f"{services.base_url}/v1/chat/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})  # fmt: skip
    with urllib.request.urlopen(request) as answer:
        for line in answer:
            frame = json.loads(line[len("data: "):]) if line.startswith(b"data: {") else {"choices": []}
            for choice in frame["choices"]:
                if choice["delta"].get("content") or choice["delta"].get("reasoning_content"):
                    return frame["usage"]["completion_tokens"] == 1
    return False


def engine_seconds(log):
    """From the arrival of a request in the engine to its first token, by the client's request id."""
    line = re.compile(r"\b(load-\d+)\)? FINISH.* completion 256 tokens; queue ([^,]+), prefill ([^,]+),")
    return {m[1]: seconds(m[2]) + seconds(m[3]) for m in line.finditer(log)}


def seconds(duration):
    """Of one as the log writes it: 1m2.5s, 22.3ms, 33us."""
    scale = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
    return sum(float(value) * scale[unit] for value, unit in re.findall(r"([\d.]+)(h|ms|m|s|us|ns)", duration))


def first(requests=900):
    # Room beyond what is needed: who waits for it would wait in the load generator.
    plan = ["--requests", requests, "--rate", 41, "--concurrency", 450, "--max-tokens", 256]
    with Services(engine(450, 0.02)) as services, tempfile.NamedTemporaryFile("w", suffix=".txt") as questions:
        candidates = [f"Request {i}: what is 3 + 4?" for i in range(requests + requests // 2)]
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            usable = list(pool.map(lambda question: begins_with_text(services, question), candidates))
        questions.write("".join(f"{q}\n" for q, is_usable in zip(candidates, usable) if is_usable))
        questions.flush()
        for attempt in range(3):
            around = {}  # in milliseconds, ascending
            for way, *arguments in (("straight", "grpc", "--address", services.engine_address),
                                    ("through the gateway", "http", "--port", services.api[1], "--stream",
                                     "--questions", questions.name)):  # fmt: skip
                log = services.log_dir / "vallm-engine.log"
                logged, before = log.stat().st_size, processor_seconds(services)
                result = run_load(*arguments, "--each", "--seed", attempt, *plan)
                used = sum(processor_seconds(services).values()) - sum(before.values())
                inside = engine_seconds(log.read_text()[logged:])
                around[way] = sorted(1000 * (s - inside[name]) for name, s in result["first_s_of"].items())
                print(f"first: {way} {result['first_ms']} ms, of that around the engine {percentiles(around[way])} ms; "
                      f"{result['most_at_once']} at once, {used / result['seconds']:.2f} cores")  # fmt: skip
            added = [percentiles(around["through the gateway"])[p] - percentiles(around["straight"])[p] for p in ("p50", "p99")]
            print(f"first: added p50 {added[0]:.2f} ms, p99 {added[1]:.2f} ms")


def percentiles(ascending):
    return {f"p{p}": round(ascending[len(ascending) * p // 100], 2) for p in (50, 90, 99)}


def idle(streams=2000):
    with Services(engine(streams + 48, 10), gateway_args=[f"--max-concurrent-requests={streams + 48}"]) as services:
        before = services.vitals()
        load = subprocess.Popen([LOAD, "http", "--port", str(services.api[1]), "--stream", "--hold", "--requests", str(streams),
                                 "--concurrency", str(streams), "--max-tokens", "64"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
        if load.stdout.readline() != "holding\n":
            raise SystemExit("gateway_load: not all streams began")
        time.sleep(2)  # until the last of them has waited for a while as well
        used = processor_seconds(services)
        time.sleep(5)
        used = {name: (s - used[name]) / 5 for name, s in processor_seconds(services).items()}
        after = services.vitals()
        load.communicate("")
    for name in before:
        grown = after[name]["rss_kib"] - before[name]["rss_kib"]
        print(f"idle: {name} {before[name]['rss_kib'] / 1024:.1f} -> {after[name]['rss_kib'] / 1024:.1f} MiB, "
              f"{grown / streams:.1f} KiB a stream; {before[name]['threads']} -> {after[name]['threads']} threads; "
              f"{used[name]:.3f} cores while they wait")  # fmt: skip


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
