"""`vallm eval` as a program against a whole stack with the demo model: a run, its files, going on with
it, comparing two runs, and what it says when something is wrong.

Needs a running vallm (see stack.py for the environment it reads). Standard library only.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN_DIR = pathlib.Path(os.environ.get("VALLM_BIN_DIR", ROOT / "build/release/bin"))
DEMO = ROOT / "tools/demo_model/eval"


def vallm(*args):
    return subprocess.run([str(BIN_DIR / "vallm"), "eval", *map(str, args)], capture_output=True, text=True, timeout=150)


def evaluate(config, work_dir, *args):
    return vallm(config, "--work-dir", work_dir, "--api-url", os.environ["VALLM_TEST_BASE_URL"], "--api-key", os.environ["VALLM_TEST_API_KEY"],
                 "--model", os.environ["VALLM_TEST_MODEL"], *args)  # fmt: skip


def results(work_dir):
    return json.loads((work_dir / "results.json").read_text())["datasets"][0]


def records(work_dir, name):
    return [json.loads(line) for line in (work_dir / f"records/{name}.jsonl").read_text().split("\n") if line]


def test_a_run_and_going_on(tmp):
    first = evaluate(DEMO / "general_qa.yaml", tmp / "a", "--limit", 1)
    assert first.returncode == 0, first.stderr
    assert "| demo  | general_qa | 18         | 18         |" in first.stdout, first.stdout
    result = results(tmp / "a")
    assert result["score"] >= 17 / 18, result
    rows = records(tmp / "a", "general_qa")
    assert all(r["output"]["token_ids"] and r["output"]["completion_tokens"] == len(r["output"]["token_ids"]) for r in rows), rows[0]
    assert any(r["output"].get("reasoning_content") for r in rows)
    assert any(r["output"].get("tool_calls") for r in rows)
    assert "<title>Evaluation of demo</title>" in (tmp / "a/report.html").read_text()
    assert os.environ["VALLM_TEST_API_KEY"] not in (tmp / "a/results.json").read_text()

    again = evaluate(DEMO / "general_qa.yaml", tmp / "a", "--limit", 1)
    assert "18 answers were recorded before" in again.stderr, again.stderr
    # Greedy answers are the same tokens whatever runs beside them.
    alone = evaluate(DEMO / "general_qa.yaml", tmp / "b", "--limit", 1, "--eval-batch-size", 1)
    assert alone.returncode == 0, alone.stderr
    ids = [[r["output"]["token_ids"] for r in records(tmp / run, "general_qa")] for run in "ab"]
    assert ids[0] == ids[1]
    compared = vallm("compare", tmp / "a", tmp / "b")
    assert "no difference" in compared.stdout and "18 of 18 answers are the same" in compared.stdout, compared.stdout


def test_choices_in_the_vendors_layout(tmp):
    run = evaluate(DEMO / "general_mcq.yaml", tmp / "mcq", "--limit", 20)
    assert run.returncode == 0, run.stderr
    result = results(tmp / "mcq")
    assert result["sample_num"] == 20 and result["metric"] == "AverageAccuracy", result
    assert result["score"] >= 0.8, result


def test_errors_say_what_to_do(tmp):
    refused = vallm(DEMO / "general_mcq.yaml", "--work-dir", tmp / "x", "--api-url", os.environ["VALLM_TEST_BASE_URL"], "--limit", 1, "--api-key", "wrong")
    assert refused.returncode == 1 and "api_key" in refused.stderr, refused.stderr
    bad = tmp / "bad.yaml"
    bad.write_text("model: m\napi_url: http://127.0.0.1:1/v1\ndatasets: [ifeval]\ndataset_args: {ifeval: {local_path: /none}}\n")
    missing = vallm(bad)
    assert missing.returncode == 1 and "/none does not exist" in missing.stderr, missing.stderr
    assert vallm("compare", tmp, tmp).returncode == 1


def main():
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            with tempfile.TemporaryDirectory(prefix="vallm-eval-") as tmp:
                test(pathlib.Path(tmp))
            print("ok", name, flush=True)


if __name__ == "__main__":
    sys.exit(main())
