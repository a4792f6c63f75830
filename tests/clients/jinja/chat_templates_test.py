#!/usr/bin/env python3
"""Real chat templates with generated conversations, rendered by Jinja2 and by `vallm tokenizer render`.

Passes if every text is the same and both fail on the same conversations. Exit code 77: Jinja2 is missing.
  VALLM_BIN_DIR=build/release/bin python3 chat_templates_test.py --rows 200 DIR_WITH_JINJA_FILES...
"""

import argparse
import importlib.util
import json
import pathlib
import random
import sys

OWN = pathlib.Path(__file__).resolve().parents[2] / "data" / "conformance" / "templates"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", nargs="*", type=pathlib.Path, default=[OWN])
    parser.add_argument("--rows", type=int, default=15, help="conversations per template")
    parser.add_argument("--seed", type=int, default=20251124)
    return parser.parse_args()


def first_difference(a, b):
    if a is None or b is None:
        return a if b is None else b
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"{a[max(0, at - 60):at + 60]!r}\n  against {b[max(0, at - 60):at + 60]!r}"


def main():
    args = parse_args()
    if importlib.util.find_spec("jinja2") is None:
        print("jinja2 is not installed; run tests/clients/install.sh")
        return 77
    import compare
    import conversations
    import reference

    env, engine = reference.make_environment(), compare.Engine()
    files = sorted(path for d in args.directories for path in d.glob("*.jinja"))
    print(f"seed {args.seed}, {len(files)} templates")
    wrong, texts = 0, 0
    for path in files:
        maker = conversations.Conversations(random.Random(args.seed))
        source = path.read_text(encoding="utf-8")
        rows = [{"template": source, "context": maker.context()} for _ in range(args.rows)]
        found, counts = compare.differences(env, engine, rows)
        texts += counts[0]
        if counts[0] == 0:  # a template may want variables of its own
            print(f"{path.name}: renders no conversation at all")
        wrong += len(found)
        for row, expected, actual in found[:2]:
            print(f"{path.name}: {len(found)} of {args.rows} differ, for example\n  {json.dumps(row['context'])}\n"
                  f"  jinja2 {expected[1]}, vallm {actual[1]}: {first_difference(expected[0], actual[0])}")
    print(f"{texts} texts, {wrong} differences")
    return 1 if wrong or texts < len(files) else 0


if __name__ == "__main__":
    sys.exit(main())
