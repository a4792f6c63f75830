"""Runs EvalScope itself, unchanged, against a server, and `vallm eval` with the same configuration.

    /tmp/vallm-evalscope/bin/python run_evalscope.py [--api-url http://127.0.0.1:8000/v1] [--api-key EMPTY]
        [--model demo] [--limit 100] [--vallm build/release/bin/vallm]

Data sets: the demo model's Chinese two-choice questions (general_mcq) and the fixtures of
tests/data/eval for C-Eval, IFEval and general_qa. Prints both scores of each. Needs the virtual
environment of install.sh and a running `vallm serve`.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]


def configuration(args, work_dir):
    return {
        "model": args.model,
        "api_url": args.api_url + "/chat/completions",
        "api_key": args.api_key,
        "eval_type": "service",
        "datasets": ["general_mcq", "ceval", "general_qa"],
        "dataset_args": {
            "general_mcq": {
                "local_path": str(ROOT / "tools/demo_model/eval"),
                "subset_list": ["zh_ab"],
                "eval_split": "test",
                "prompt_template": "以下问题的答案有AB两个选项，选出正确答案，请直接回答A或B\n\n{query}",
            },
            "ceval": {"local_path": str(ROOT / "tests/data/eval/ceval/val"), "subset_list": ["logic"]},
            "general_qa": {"local_path": str(ROOT / "tests/data/eval/general_qa"), "subset_list": ["questions"]},
        },
        "eval_batch_size": 8,
        "generation_config": {"max_tokens": 512, "temperature": 0.0},
        "stream": True,
        "timeout": 600,
        "limit": args.limit,
        "work_dir": str(work_dir),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--api-url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--api-key", default="EMPTY")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--vallm", default=str(ROOT / "build/release/bin/vallm"))
    args = parser.parse_args()

    from evalscope.run import run_task
    from scorers import give_nltk_its_model

    give_nltk_its_model()
    with tempfile.TemporaryDirectory(prefix="vallm-evalscope-") as tmp:
        work = pathlib.Path(tmp)
        reports = run_task(configuration(args, work / "evalscope"))
        config = work / "config.yaml"
        config.write_text(json.dumps(configuration(args, work / "vallm")))
        subprocess.run([args.vallm, "eval", str(config)], check=True)
        ours = {d["name"]: d for d in json.loads((work / "vallm/results.json").read_text())["datasets"]}
        print(f"{'data set':14} {'metric':18} {'EvalScope':>10} {'vallm eval':>11}")
        for name, report in reports.items():
            mine = {m["name"]: m["score"] for m in ours[name]["metrics"]}
            for metric in report.metrics:
                print(f"{name:14} {metric.name:18} {metric.score:10.4f} {mine.get(metric.name, float('nan')):11.4f}")


if __name__ == "__main__":
    main()
