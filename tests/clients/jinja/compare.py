"""Renders rows with both engines and finds where they differ; makes a differing template smaller."""

import json
import os
import re
import subprocess

import reference

# Text that no two runs of Python print alike, or that names Python's own types of function.
UNSTABLE = re.compile(r" at 0x[0-9a-f]+>|<class '|<Macro |<jinja2\.|<built-in |<bound method ", re.IGNORECASE)
BATCH_SECONDS = 120


class Engine:
    """`vallm tokenizer render` on a batch of rows."""

    def __init__(self, *flags):
        binary = os.path.join(os.environ["VALLM_BIN_DIR"], "vallm")
        self._command = [binary, "tokenizer", "render", *flags]

    def render(self, rows):
        """A list of (text, None) or (None, error), one per row."""
        lines = "".join(json.dumps({"id": str(i), **row}) + "\n" for i, row in enumerate(rows))
        done = subprocess.run(self._command, input=lines.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=BATCH_SECONDS, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self._command} ended with {done.returncode}: {done.stderr.decode()}")
        answers = [json.loads(line) for line in done.stdout.decode().split("\n") if line]
        if len(answers) != len(rows):
            raise RuntimeError(f"{len(rows)} rows, {len(answers)} answers")
        return [(a.get("text"), a.get("error")) for a in answers]


def comparable(expected):
    text, _ = expected
    return text is None or not UNSTABLE.search(text)


def agree(expected, actual):
    return expected[0] == actual[0]


def differences(env, engine, rows):
    """Renders rows {"template", "context"}. Returns those on which the two differ, as a list of
    (row, expected, actual), and [texts, failures, skipped] of the reference."""
    counts = [0, 0, 0]
    kept, wanted = [], []
    for row in rows:
        try:
            expected = reference.render(env, row["template"], row["context"])
        except reference.TooSlow:
            counts[2] += 1
            continue
        if not comparable(expected):
            counts[2] += 1
            continue
        counts[expected[0] is None] += 1
        kept.append(row)
        wanted.append(expected)
    found = [(row, expected, actual)
             for row, expected, actual in zip(kept, wanted, engine.render(kept))
             if not agree(expected, actual)]
    return found, counts


def shrink(env, engine, row):
    """A shorter template on which the two still differ in the same way."""
    current, size = row, max(1, len(row["template"]) // 2)
    kind = None
    found, _ = differences(env, engine, [row])
    if found:
        kind = (found[0][1][0] is None, found[0][2][0] is None)
    while size >= 1:
        text = current["template"]
        candidates = [{"template": text[:i] + text[i + size:], "context": current["context"]}
                      for i in range(0, len(text), max(1, size // 2))]
        found, _ = differences(env, engine, candidates)
        found = [f for f in found if (f[1][0] is None, f[2][0] is None) == kind]
        if found and len(found[0][0]["template"]) < len(text):
            current = found[0][0]
        else:
            size //= 2
    return current
