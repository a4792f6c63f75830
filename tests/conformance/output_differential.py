#!/usr/bin/env python3
"""Random model outputs through `vallm tokenizer parse`, cut in random pieces and as token ids,
against the reference in reference_output_parser.py. Prints the seed and the row of a difference.

  output_differential.py VALLM MODEL_DIR [--rows N] [--seed S] [--show N]
"""

import argparse
import json
import random
import re
import subprocess
import sys

import reference_output_parser as reference

SPECIALS = ["<|im_end|>", "<|im_start|>", "<|endoftext|>"]
TAGS = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
SPACES = ["\n", "\n\n", " ", "\t", "\r\n", " \n", "\n \n", ""]
WORDS = ["word", "Hello", "a < b", "<", "</", "STOP", "ST", "OP", "é", "北京", "👩‍💻", "\u2028",
         "<tool_", "call>", "thi", "nk>", "</tool_call", "<function", "{", "}", "\\", "\"", "1.0",
         "<b>", "\ufffd", "null", "Observation:"]
VALUES = ["1", "-1.5e3", "true", "null", "NaN", "-Infinity", "01", "1.", "tru", "\"x\"", "\"\\u00e9\"",
          "\"\\ud83d\\ude00\"", "\"\\ud800\"", "\"a\\\"b\"", "\"{}\"", "[]", "[1, 2,\n3]", "[1,]",
          "{\"k\": [{\"k\": {\"k\": \"}]\"}}]}", "{\"a\": 1, \"a\": 2}", "\"</tool_call>\"",
          "\"<tool_call>\"", "\"a\nb\"", "\"北京 👩‍💻\"", "12345678901234567890123", "{}", "{ }",
          "\"</think>\"", "\"tab\\t\"", "\"\\\\\"", "\"\\\\\\\"}\"", "\"\\x\"", "\"STOP\"", "[" * 40 + "]" * 40]
NAMES = ["f", "get_weather", "g", "naïve", "a\\u0062", "", "x y"]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {
    "n": {"type": "integer"}, "s": {"type": "string"}, "o": {"type": "object"},
    "u": {"type": ["string", "null"]}, "any": {}, "b": {"type": "boolean"},
    "x": {"anyOf": [{"type": "number"}, {"type": "null"}]}}}}}]
TEXTS = {"f": {"n": False, "o": False, "b": False, "x": False}}
STOPS = ["STOP", "\n\n\n", "OP", "call>\n{", "</th", "<tool", "Observation:", "a", "}}", "é", "京 ",
         "think>\n", "STOPPED", "TOP"]


class Writer:
    """Writes what a model might."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, items):
        return self.random.choice(items)

    def some(self, make, most):
        return "".join(make() for _ in range(self.random.randrange(most + 1)))

    def chance(self, p):
        return self.random.random() < p

    def text(self):
        return self.some(lambda: self.one(WORDS + SPACES) + self.one(["", " "]), 6)

    def mangled(self, text):
        """Sometimes cut, with a character lost, doubled or put in."""
        if text and self.chance(0.12):
            return text[: self.random.randrange(len(text))]
        for _ in range(3):
            if text and self.chance(0.08):
                at = self.random.randrange(len(text))
                text = text[:at] + self.one(["", text[at] * 2, self.one(WORDS + TAGS + SPACES)]) + text[at + 1 :]
        return text

    def object(self):
        members = ["\"" + self.one(["a", "b", "n", "é", "\\n"]) + "\":" + self.one(SPACES) + self.one(VALUES)
                   for _ in range(self.random.randrange(4))]
        return "{" + ", ".join(members) + "}"

    def arguments(self):
        kind = self.random.random()
        if kind < 0.6:
            return self.object()
        if kind < 0.75:
            return json.dumps(self.object(), ensure_ascii=self.chance(0.5))
        return self.one(VALUES)

    def hermes(self):
        name = "\"" + self.one(NAMES) + "\"" if self.chance(0.93) else self.one(VALUES)
        members = ["\"name\":" + self.one(SPACES) + name,
                   "\"arguments\":" + self.one(SPACES) + self.arguments()]
        if self.chance(0.2):
            members.reverse()
        if self.chance(0.1):
            members.insert(self.random.randrange(3), self.one(members + ["\"id\": " + self.one(VALUES)]))
        space = self.one(SPACES)
        call = "{" + ("," + space).join(members) + self.one(["", "", space]) + "}"
        if self.chance(0.15):  # the call is left in the middle
            call = call[: self.random.randrange(len(call))]
        return "<tool_call>" + self.one(SPACES) + call + self.one(SPACES) + self.one(["</tool_call>"] * 9 + [""])

    def coder(self):
        call = "<tool_call>" + self.one(["\n", "\n", ""]) + "<function=" + self.one(["f", "g", "naïve"]) + ">\n"
        for _ in range(self.random.randrange(4)):
            value = self.one([self.text(), self.one(VALUES), "null", "None", "True", "nul", "", "\n"])
            call += "<parameter=" + self.one(["n", "s", "o", "u", "any", "b", "x", "q\""]) + ">"
            call += self.one(["\n", "\n", ""]) + value + self.one(["\n", "\n", ""])
            call += self.one(["</parameter>\n"] * 6 + ["</parameter>", ""])
        return call + self.one(["</function>\n"] * 6 + [""]) + self.one(["</tool_call>"] * 9 + [""])

    def output(self, tool_parser):
        call = {"hermes": self.hermes, "qwen3_coder": self.coder}.get(tool_parser, self.hermes)
        text = ""
        if self.chance(0.5):
            text += self.one(["<think>", "<think>", "", "\n<think>", "<thi"]) + self.one(SPACES)
            text += self.text() + self.one(["", "", "", self.mangled(call())]) + self.one(SPACES)
            text += self.one(["</think>"] * 5 + ["", "</think"]) + self.one(SPACES)
        text += self.text()
        for _ in range(self.one([0, 1, 1, 2, 3])):
            text += self.mangled(self.one([call, call, call, call, self.hermes, self.coder])())
            text += self.one(SPACES + [self.text()])
        if self.chance(0.2):
            at = self.random.randrange(len(text) + 1)
            text = text[:at] + self.one(TAGS + SPECIALS) + text[at:]
        return self.mangled(text)

    def pieces(self, text):
        most = self.one([1, 3, 8, 40])
        pieces = []
        while text:
            n = self.random.randrange(most) + 1
            pieces.append(text[:n])
            text = text[n:]
        return pieces

    def row(self, number):
        tool_parser = self.one(["hermes", "hermes", "qwen3_coder", "qwen3_coder", None])
        row = {
            "id": number,
            "mode": {"reasoning_parser": self.one(["qwen3", "deepseek_r1", None]), "tool_parser": tool_parser,
                     "tools": self.chance(0.9)},
            "prompt_tail": self.one(["<|im_start|>assistant\n", "<|im_start|>assistant\n<think>\n",
                                     "<|im_start|>assistant\n<think>\n\n</think>\n\n"]),
            "engine_finish_reason": self.one(["stop", "length"]),
            "output_whitespace": self.one(["clean", "verbatim"]),
            "text": self.output(tool_parser),
            "tools": TOOLS,
            "skip_special_tokens": self.chance(0.5),
            "parallel_tool_calls": self.chance(0.7),
            "include_stop_str_in_output": self.chance(0.5),
            "stop": [self.one(STOPS) for _ in range(self.one([0, 0, 0, 1, 3]))],
        }
        row["chunkings"] = {f"cut{i}": self.pieces(row["text"]) for i in range(2)}
        row["chunkings"]["chars"] = list(row["text"])
        return row


def expected(row, text):
    mode = row["mode"]
    return reference.parse(
        text, mode["reasoning_parser"], mode["tool_parser"] if mode["tools"] else None,
        row["prompt_tail"].endswith("</think>\n\n"), row["stop"], row["include_stop_str_in_output"],
        row["parallel_tool_calls"], row["output_whitespace"] == "clean", TEXTS,
        row["engine_finish_reason"])


def run(vallm, model, command, rows, *flags):
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    done = subprocess.run([vallm, "tokenizer", command, "--model", model, *flags], input=lines.encode(),
                          stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("vallm")
    parser.add_argument("model")
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=5)
    options = parser.parse_args()
    writer = Writer(options.seed)
    rows = [writer.row(number) for number in range(options.rows)]
    for name, flags in (("ids", []), ("ids_plain_tags", ["--literal-special-tokens"])):
        for row, encoded in zip(rows, run(options.vallm, options.model, "encode", rows, *flags)):
            row[name] = encoded["ids"]
    answers = run(options.vallm, options.model, "parse", rows)
    differences = calls = stopped = 0
    for row, answer in zip(rows, answers, strict=True):
        whole = expected(row, row["text"])
        calls += len(whole["tool_calls"])
        stopped += reference.cut_at_stop(row["text"], row["stop"], False)[1] is not None
        as_ids = whole
        if row["skip_special_tokens"]:
            as_ids = expected(row, re.sub("|".join(map(re.escape, SPECIALS)), "", row["text"]))
        got = {"text": {k: v for k, v in answer.items() if k not in ("id", "fed")}, **answer.get("fed", {})}
        for feeding, output in got.items():
            want = as_ids if feeding == "ids" else whole
            if output != want:
                differences += 1
                if differences <= options.show:
                    shown = {k: v for k, v in row.items() if k not in ("chunkings", "ids", "ids_plain_tags", "tools")}
                    print(f"{feeding}:\n  row  {shown!r}\n  want {want!r}\n  got  {output!r}")
                break
    print(f"seed {options.seed}: {len(rows)} rows, {calls} calls, {stopped} stopped, {differences} differ")
    # A generator that made no calls and met no stop string would test nothing.
    return 1 if differences or calls < len(rows) // 8 or stopped < len(rows) // 20 else 0


if __name__ == "__main__":
    sys.exit(main())
