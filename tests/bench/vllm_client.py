"""vllm bench serve and vLLM's own benchmark client on the same server, in turn: are the figures the same?

    tests/bench/vllm_client.sh /tmp/vllm_client                       # once: installs vLLM's client
    python3 tests/bench/vllm_client.py --peer /tmp/vllm_client [--rounds 5]   # starts and stops the server itself

The same prompts in the same order, the same lengths, greedy. The server is `vllm serve` without prefix cache;
four instances with a place each, so that requests do not get in each other's way, on a mock device of 80 ms a step and
4 ms a token: the speed of the vendor's figures. --serve replaces these arguments, e.g. for the real model, or for a first
token after 1 s and 40 ms a token:

    --serve "--device mock --mock-step-time 0.04 --mock-token-time 0.0015 --instance 4 --max-batch-size-for-instance 1"

Every round runs both clients, one after the other, and every second round in the other order. What is judged is the median
over the rounds of the difference between the two runs of a round: whatever is slow for a whole round is slow for both.
Exit code 0 when every figure is within 3 %.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "tools/demo_model/Qwen3-Demo-MoE-FP8"
LIMIT = 0.03
METRICS = ["request_throughput", "output_throughput", "total_token_throughput", "mean_ttft_ms", "median_ttft_ms",
           "mean_tpot_ms", "median_tpot_ms", "mean_itl_ms", "median_itl_ms", "mean_e2el_ms", "p99_e2el_ms"]  # fmt: skip


def words(count, seed):
    """Prompts of so many tokens: words of one token each."""
    vocabulary = json.loads((MODEL / "tokenizer.json").read_text())["model"]["vocab"]
    single = sorted(word[1:] for word in vocabulary if word[0] == "Ġ" and word[1:].isascii() and word[1:].isalpha()
                    and word[1:] in vocabulary and len(word) > 3)  # fmt: skip
    return " ".join(random.Random(seed).choices(single, k=count))


def write_prompts(path, count, length, seed):
    """In an order that vLLM's client, which shuffles with seed 0, turns into 0, 1, 2, ..."""
    prompts = [words(length, seed + i) for i in range(count)]
    order = list(range(count))
    random.seed(0)
    random.shuffle(order)
    rows = [None] * count
    for place, row in enumerate(order):
        rows[row] = prompts[place]
    path.with_suffix(".shuffled.jsonl").write_text("".join(json.dumps({"prompt": row}) + "\n" for row in rows))
    path.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))


def wait_until_ready(url, server):
    for _ in range(600):
        if server.poll() is not None:
            sys.exit("the server ended while starting")
        try:
            urllib.request.urlopen(url + "/v1/models", timeout=1)
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("the server does not start")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=pathlib.Path, required=True, help="where vllm_client.sh has installed vLLM's client")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--port", type=int, default=18390)
    parser.add_argument("--serve", default="--device mock --mock-step-time 0.08 --mock-token-time 0.004 "
                                         "--instance 4 --max-batch-size-for-instance 1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--first-round", type=int, default=0, help="for rounds in several calls with the same --out")
    parser.add_argument("--num-prompts", type=int, default=8)
    parser.add_argument("--input-len", type=int, default=640)
    parser.add_argument("--output-len", type=int, default=24)
    parser.add_argument("--max-concurrency", type=int, default=4)
    parser.add_argument("--request-rate", default="inf")
    parser.add_argument("--keep-awake", action=argparse.BooleanOptionalAction, default=True,
                        help="a loop of idle priority on each core: virtual processors wake late from idle, by milliseconds")
    parser.add_argument("--out", type=pathlib.Path, help="keep the result files here")
    options = parser.parse_args()

    spinners = [subprocess.Popen([sys.executable, "-c", "import os\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"])
                for _ in range(os.cpu_count() if options.keep_awake else 0)]  # fmt: skip
    folder = options.out or pathlib.Path(tempfile.mkdtemp(prefix="vllm_client_"))
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{options.port}"
    vallm = options.build / "bin/vallm"
    server = subprocess.Popen(
        [vallm, "serve", MODEL, "--port", str(options.port), "--management-port", str(options.port + 1), "--host", "127.0.0.1",
         "--served-model-name", "demo", "--no-enable-prefix-caching", "--log-dir", folder / "logs", *options.serve.split()],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    common = ["--backend", "vllm", "--model", "demo", "--host", "127.0.0.1", "--port", str(options.port), "--tokenizer", str(MODEL),
              "--dataset-name", "custom", "--custom-output-len", str(options.output_len),
              "--num-prompts", str(options.num_prompts), "--max-concurrency", str(options.max_concurrency),
              "--request-rate", options.request_rate, "--seed", "0", "--ignore-eos", "--save-result", "--save-detailed",
              "--result-dir", str(folder), "--percentile-metrics", "ttft,tpot,itl,e2el", "--disable-tqdm"]  # fmt: skip
    peer = [options.peer / "venv/bin/python", options.peer / "benchmarks/benchmark_serving.py", *common, "--custom-skip-chat-template"]
    environment = {**os.environ, "PYTHONPATH": str(options.peer / "shim"), "HF_HUB_OFFLINE": "1"}
    try:
        wait_until_ready(url, server)
        for round_ in range(options.first_round, options.first_round + options.rounds):
            prompts = folder / f"prompts-{round_}.jsonl"
            write_prompts(prompts, options.num_prompts, options.input_len, 1000 * round_)
            commands = {"vllm bench": [vallm, "bench", "serve", *common, "--dataset-path", prompts],
                        "vLLM": [*peer, "--dataset-path", prompts.with_suffix(".shuffled.jsonl")]}  # fmt: skip
            for name in sorted(commands, reverse=round_ % 2 == 1):
                file = f"{name.replace(' ', '-')}-{round_}.json"
                print(f"round {round_ + 1}: {name}", file=sys.stderr, flush=True)
                done = subprocess.run([*commands[name], "--result-filename", file], env=environment, capture_output=True, text=True)
                if done.returncode != 0:
                    sys.exit(f"{name} ended with {done.returncode}:\n{done.stderr}")
    finally:
        server.terminate()
        server.wait()
        for spinner in spinners:
            spinner.kill()

    ours, theirs = ([json.loads(file.read_text()) for file in sorted(folder.glob(f"{name}-[0-9]*.json"))]
                    for name in ("vllm-bench", "vLLM"))  # fmt: skip
    for mine, other in zip(ours, theirs):
        for key in ("completed", "total_input_tokens", "total_output_tokens", "output_lens"):
            assert mine[key] == other[key], (key, mine[key], other[key])
    print(f"| figure, median of {len(ours)} rounds | vllm bench serve | vLLM's client | difference | lowest to highest | within {LIMIT:.0%} |\n"
          "| --- | --- | --- | --- | --- | --- |")  # fmt: skip
    differ = []
    for metric in METRICS:
        pairs = [(mine[metric], other[metric]) for mine, other in zip(ours, theirs)]
        differences = [mine / other - 1 for mine, other in pairs]
        difference = statistics.median(differences)
        if abs(difference) > LIMIT:
            differ.append(metric)
        columns = [f"`{metric}`", *(f"{statistics.median(side):.2f}" for side in zip(*pairs)), f"{difference:+.2%}",
                   f"{min(differences):+.2%} to {max(differences):+.2%}", "NO" if metric in differ else "yes"]  # fmt: skip
        print("| " + " | ".join(columns) + " |")
    cpu = statistics.median(result["client_cpu_percent"] for result in ours)
    verdict = f"more than {LIMIT:.0%} apart: {', '.join(differ)}" if differ else f"every figure is within {LIMIT:.0%}"
    print(f"\n{verdict}; vllm bench used {cpu:.1f} % of a core; results in {folder}")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
