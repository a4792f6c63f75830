"""Runs the demo model's evaluation sets through the REST API, greedy, and compares with the
reference scores (eval/reference_scores.json, fp8_w_fp32).

    python3 eval_demo.py [--limit ROWS_PER_SET] [--concurrency 8] [--sets mcq,titles] [--tolerance 0.02]

Needs a running vallm (see stack.py for the environment it reads). Exit code 1 when a set scores
worse than the reference by more than the tolerance, or a row has the wrong thinking format.
Standard library only.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import sys
import time
import urllib.request

DEMO = pathlib.Path(__file__).resolve().parents[2] / "tools/demo_model"
sys.path.insert(0, str(DEMO))
import demo_data  # noqa: E402


def ask(row):
    body = {
        "model": os.environ["VALLM_TEST_MODEL"],
        "messages": row["messages"],
        "tools": row["tools"] or None,
        "max_tokens": row["max_tokens"],
        "temperature": 0,
        "chat_template_kwargs": {"enable_thinking": row["enable_thinking"]},
    }
    request = urllib.request.Request(
        os.environ["VALLM_TEST_BASE_URL"] + "/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["VALLM_TEST_API_KEY"]},
    )
    with urllib.request.urlopen(request, timeout=600) as reply:
        answer = json.load(reply)
    right, format_ok = demo_data.judge(row, demo_data.message_text(row, answer["choices"][0]["message"]))
    return row["id"], right, format_ok, answer["usage"]["completion_tokens"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=0, help="rows per set; 0 = all")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--sets", default="", help="comma-separated; default: all")
    parser.add_argument("--tolerance", type=float, default=0.02)
    parser.add_argument("--show-wrong", action="store_true")
    args = parser.parse_args()

    reference = json.loads((DEMO / "eval/reference_scores.json").read_text())["fp8_w_fp32"]
    names = args.sets.split(",") if args.sets else sorted(p.stem for p in (DEMO / "eval").glob("*.jsonl"))
    failed, rows_done, tokens_done, start = [], 0, 0, time.monotonic()
    print(f"{'set':20} {'rows':>5} {'score':>7} {'reference':>9} {'format':>7}")
    with concurrent.futures.ThreadPoolExecutor(args.concurrency) as pool:
        for name in names:
            rows = [json.loads(line) for line in (DEMO / f"eval/{name}.jsonl").read_text().split("\n") if line]
            rows = rows[: args.limit] if args.limit else rows
            results = list(pool.map(ask, rows))
            right = sum(r[1] for r in results) / len(results)
            format_ok = sum(r[2] for r in results) / len(results)
            rows_done += len(results)
            tokens_done += sum(r[3] for r in results)
            # A part of a set cannot be compared with the score of the whole closer than one row.
            tolerance = max(args.tolerance, 1.0 / len(rows)) if args.limit else args.tolerance
            bad = right < reference[name]["accuracy"] - tolerance or format_ok < 1
            failed += [name] if bad else []
            print(f"{name:20} {len(results):5} {right:7.3f} {reference[name]['accuracy']:9.3f} {format_ok:7.3f}{'  WORSE' if bad else ''}", flush=True)
            if args.show_wrong:
                print("  wrong:", [r[0] for r in results if not (r[1] and r[2])])
    seconds = time.monotonic() - start
    print(f"{rows_done} rows, {tokens_done} tokens in {seconds:.0f} s ({tokens_done / seconds:.0f} tokens/s)")
    if failed:
        print("worse than the reference:", ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
