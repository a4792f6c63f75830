"""EleutherAI's lm-evaluation-harness, unchanged, against the gateway: log-likelihoods of choices and of whole texts over
/v1/completions (`echo` with `logprobs`; prompts as token ids in batches, and as text), generation with stop strings, and
generation over /v1/chat/completions. Its log-likelihoods must be those of the gateway's own `prompt_logprobs`.

Runs in the environment that tests/clients/lm-eval/install.sh makes, against a running vallm (stack.py); by hand:

    tests/clients/lm-eval/install.sh && python3 tests/clients/stack.py -- tests/clients/lm-eval/.venv/bin/python tests/clients/lm_eval_test.py
"""

import importlib.util
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import urllib.request

if importlib.util.find_spec("lm_eval") is None:
    print("skipped: lm-evaluation-harness is not installed; tests/clients/lm-eval/install.sh installs it (about 900 MB)")
    sys.exit(77)

DEMO = pathlib.Path(__file__).resolve().parents[2] / "tools/demo_model"
MODEL_DIR = DEMO / "Qwen3-Demo-MoE-FP8"
URL = os.environ["VALLM_TEST_BASE_URL"]
MODEL = os.environ["VALLM_TEST_MODEL"]
KEY = os.environ["VALLM_TEST_API_KEY"]
END = json.loads((MODEL_DIR / "tokenizer_config.json").read_text())["eos_token"]
ASKED = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"

CHOICES = [
    {"text": ASKED.format("Is ice hot or cold?") + "Ice is", "choices": [" hot.", " cold."], "label": 1},
    {"text": ASKED.format("94 * 5 等于几？") + "94 * 5 = ", "choices": ["470", "471", "940"], "label": 0},
    {"text": ASKED.format("比利时的首都是哪里？") + "比利时的首都是", "choices": ["巴黎。", "布鲁塞尔。"], "label": 1},
]
TEXTS = [{"text": "Ice is cold."}, {"text": ASKED.format("12 + 30 = ?") + "12 + 30 = 42"}]
TASKS = {
    "choices": {
        "output_type": "multiple_choice", "doc_to_text": "{{text}}", "doc_to_choice": "{{choices}}", "doc_to_target": "label",
        "target_delimiter": "", "metric_list": [{"metric": "acc"}],
    },
    "texts": {
        "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{text}}", "metric_list": [{"metric": "word_perplexity"}],
    },
    "sums": {
        "output_type": "generate_until", "doc_to_text": "{{prompt}}", "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["<|im_end|>", "\n\n"], "max_gen_toks": 128, "do_sample": False, "temperature": 0},
        "metric_list": [{"metric": "exact_match"}],
        "filter_list": [{"name": "last-number", "filter": [
            {"function": "regex", "regex_pattern": "(-?[0-9]+)", "group_select": -1}, {"function": "take_first"}]}],
    },
    "chat": {
        "output_type": "generate_until", "doc_to_text": "{{question}}", "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["no such text"], "max_gen_toks": 512, "do_sample": False, "temperature": 0},
        "metric_list": [{"metric": "exact_match"}],
        "filter_list": [{"name": "last-number", "filter": [
            {"function": "regex", "regex_pattern": "(-?[0-9]+)", "group_select": -1}, {"function": "take_first"}]}],
    },
}  # fmt: skip


def sums(count):
    """Questions of the demo model's held-out arithmetic whose answer is one number."""
    found = []
    for line in (DEMO / "eval/arithmetic.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        check = row["check"]
        if len(row["messages"]) == 1 and check["type"] == "number" and float(check["value"]).is_integer():
            question = row["messages"][0]["content"]
            found.append({"question": question, "prompt": ASKED.format(question), "answer": str(int(check["value"]))})
    return found[:count]


def prompt_logprobs(text):
    """-> [(log-probability, whether it is the most probable)] of all tokens of a prompt but the first."""
    body = {"model": MODEL, "prompt": text, "max_tokens": 1, "prompt_logprobs": 1}
    request = urllib.request.Request(
        URL + "/completions", json.dumps(body).encode(), {"Content-Type": "application/json", "Authorization": "Bearer " + KEY}
    )
    with urllib.request.urlopen(request, timeout=600) as reply:
        positions = json.load(reply)["choices"][0]["prompt_logprobs"][1:]
    # The prompt's own token comes first, whatever its rank.
    return [(entry["logprob"], entry["rank"] == 1) for entry in (next(iter(position.values())) for position in positions)]


class LmEvalTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="vallm-lm-eval-")
        work = pathlib.Path(cls.folder.name)
        for name, rows in (("choices", CHOICES), ("texts", TEXTS), ("sums", sums(12)), ("chat", sums(12))):
            data = work / f"{name}.jsonl"
            data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
            task = {"task": name, "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}}, "test_split": "test", **TASKS[name]}
            (work / f"{name}.yaml").write_text(json.dumps(task, ensure_ascii=False), "utf-8")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_lm_eval(self, model, endpoint, tasks, *arguments, **model_args):
        """-> (results, {task: samples}) of its command line."""
        work = pathlib.Path(self.folder.name)
        out = work / f"out-{self._testMethodName}"
        model_args = {"model": MODEL, "base_url": URL + endpoint, "num_concurrent": 4, "max_retries": 2, "timeout": 240, **model_args}
        command = [
            sys.executable, "-m", "lm_eval", "run", "--model", model, "--model_args", ",".join(f"{k}={v}" for k, v in model_args.items()),
            "--include_path", str(work), "--tasks", ",".join(tasks), "--output_path", str(out), "--log_samples", *arguments,
        ]  # fmt: skip
        environment = {
            **os.environ, "OPENAI_API_KEY": KEY, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(work / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip
        done = subprocess.run(command, env=environment, cwd=work, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr[-4000:])
        results = json.loads(next(out.rglob("results_*.json")).read_text())["results"]
        samples = {t: [json.loads(line) for line in next(out.rglob(f"samples_{t}_*.jsonl")).read_text("utf-8").splitlines()] for t in tasks}
        return results, samples

    def check_likelihoods(self, results, samples):
        self.assertEqual(results["choices"]["acc,none"], 1.0)
        for sample in samples["choices"]:
            doc = sample["doc"]
            skipped = len(prompt_logprobs(doc["text"]))
            for choice, response in zip(doc["choices"], sample["resps"]):
                ours = prompt_logprobs(doc["text"] + choice)[skipped:]
                self.assertAlmostEqual(float(response[0][0]), sum(p for p, _ in ours), places=3)
                self.assertEqual(str(response[0][1]), str(all(best for _, best in ours)))
        for sample in samples.get("texts", []):
            # Of all tokens; the first one follows the tokenizer's end of a sequence.
            ours = prompt_logprobs(END + sample["doc"]["text"])
            self.assertAlmostEqual(float(sample["resps"][0][0]), sum(p for p, _ in ours), places=3)
        if "texts" in results:
            self.assertTrue(math.isfinite(results["texts"]["word_perplexity,none"]))

    def test_likelihoods_by_token_ids(self):
        results, samples = self.run_lm_eval(
            "local-completions", "/completions", ["choices", "texts"], "--batch_size", "4", tokenizer=MODEL_DIR, tokenizer_backend="huggingface"
        )
        self.check_likelihoods(results, samples)

    def test_likelihoods_by_text(self):
        results, samples = self.run_lm_eval(
            "local-completions", "/completions", ["choices"], tokenizer=MODEL_DIR, tokenizer_backend="huggingface", tokenized_requests=False
        )
        self.check_likelihoods(results, samples)

    def test_likelihoods_with_the_gateways_tokenizer(self):
        results, samples = self.run_lm_eval("local-completions", "/completions", ["choices", "texts"], tokenizer_backend="remote", auth_token=KEY)
        self.check_likelihoods(results, samples)

    def test_completions(self):
        results, samples = self.run_lm_eval(
            "local-completions", "/completions", ["sums"], "--batch_size", "4", tokenizer=MODEL_DIR, tokenizer_backend="huggingface"
        )
        self.assertGreaterEqual(results["sums"]["exact_match,last-number"], 0.9, samples["sums"])

    def test_chat(self):
        results, samples = self.run_lm_eval("local-chat-completions", "/chat/completions", ["chat"], "--apply_chat_template")
        self.assertGreaterEqual(results["chat"]["exact_match,last-number"], 0.9, samples["chat"])


if __name__ == "__main__":
    unittest.main()
