#!/usr/bin/env python3
"""Generated templates and contexts, rendered by Jinja2 and by `vallm tokenizer render`.

Passes if every text is the same and both fail on the same templates. Exit code 77: Jinja2 is missing.
  VALLM_BIN_DIR=build/release/bin python3 generated_test.py --seconds 600 --seed 7
"""

import argparse
import importlib.util
import json
import random
import sys
import time

BATCH = 400


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0, help="run this long instead of --rows")
    parser.add_argument("--rows", type=int, default=1600)
    parser.add_argument("--seed", type=int, default=20251124)
    parser.add_argument("--max-differences", type=int, default=5)
    return parser.parse_args()


def show(compare, env, engine, row):
    small = compare.shrink(env, engine, row)
    found, _ = compare.differences(env, engine, [small])
    _, expected, actual = found[0]
    used = {k: v for k, v in small["context"].items() if k in small["template"]}
    print(f"\ntemplate: {small['template']!r}\ncontext:  {json.dumps(used)}\njinja2:   {expected}\nvallm:    {actual}",
          flush=True)


def main():
    args = parse_args()
    if importlib.util.find_spec("jinja2") is None:
        print("jinja2 is not installed; run tests/clients/install.sh")
        return 77
    import compare
    import reference
    import templates

    env, engine = reference.make_environment(), compare.Engine()
    print(f"seed {args.seed}")
    maker = templates.Templates(random.Random(args.seed))
    totals, shown, end = [0, 0, 0], 0, time.monotonic() + args.seconds
    while (time.monotonic() < end) if args.seconds else (sum(totals) < args.rows):
        rows = [maker.row() for _ in range(BATCH)]
        found, counts = compare.differences(env, engine, rows)
        totals = [a + b for a, b in zip(totals, counts)]
        for row, _, _ in found[: args.max_differences - shown]:
            show(compare, env, engine, row)
        shown += len(found)
        if shown >= args.max_differences:
            break
    print(f"{totals[0]} texts, {totals[1]} failures, {totals[2]} skipped; {shown} differences")
    if totals[0] < totals[1]:
        print("most templates fail: the generator has lost its way")
        return 1
    return 1 if shown else 0


if __name__ == "__main__":
    sys.exit(main())
