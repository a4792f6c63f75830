#!/usr/bin/env python3
"""Writes the seed corpora of the fuzz targets, corpus/<target>/seed-*, from tests/data.

Run by hand when a target's input format or the test data change. Files with other names in those
folders are inputs that once broke something: they are kept.
"""
import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data" / "conformance"
MAX_BYTES = 3000
TEMPLATES = [  # in the order of chat_fuzz.cc
    "qwen3", "qwen3_instruct_2507", "qwen3_thinking_2507", "qwen3_coder", "qwen3_coder_v2",
    "qwen3_nonthinking", "qwen3_5", "qwen2_5", "qwq", "deepseek_r1_distill_qwen", "deepseek_v3_1",
    "glm_4_6", "gpt_oss", "granite_3_3", "hermes2pro_tool_use", "kimi_k2", "mistral_nemo", "phi3_5",
    "seed_oss", "smollm3"]


def rows(name):
    return [json.loads(line) for line in (DATA / name).read_bytes().split(b"\n") if line]


def one_per(group, items, limit):
    """The first item of each group, at most `limit` of them, evenly spread."""
    seen = {}
    for item in items:
        seen.setdefault(group(item), item)
    picked = list(seen.values())
    step = max(1, len(picked) / limit)
    return [picked[int(i * step)] for i in range(min(limit, len(picked)))]


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def write(target, inputs):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("seed-*"):
        old.unlink()
    kept = [data for data in inputs if len(data) <= MAX_BYTES or target == "tokenizer_json_fuzz"]
    for number, data in enumerate(kept):
        (folder / f"seed-{number:02d}").write_bytes(data)
    print(f"{target}: {len(kept)} files, {sum(map(len, kept))} bytes")


def encode():
    cases = one_per(lambda r: r["category"], rows("tokenizer_cases.jsonl"), 48)
    invalid = rows("tokenizer_invalid_utf8.jsonl")[::6]
    return [r["text"].encode() for r in cases] + [bytes.fromhex(r["bytes_hex"]) for r in invalid]


def byte_alphabet():
    """The byte-level alphabet of GPT-2: a printable character for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters, extra = [], 256
    for byte in range(256):
        if byte in plain:
            letters.append(chr(byte))
        else:
            letters.append(chr(extra))
            extra += 1
    return letters


def small_tokenizer(merges=(), added=(), **model):
    pattern = ("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
               "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
    vocab = {letter: i for i, letter in enumerate(byte_alphabet())}
    for left, right in merges:
        vocab.setdefault(left + right, len(vocab))
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": list(added),
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}]},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
                  "vocab": vocab, "merges": [list(m) for m in merges], **model}}


def tokenizer_json():
    merges = [("a", "b"), ("Ġ", "a"), ("ab", "c"), ("Ġa", "b"), ("b", "c"), ("Ã", "©"), ("Ġ", "Ġ")]
    token = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": 300, "content": "<|x|>", **token}, {"id": 301, "content": "<think>", **token, "special": False}]
    strips = [{"id": 300, "content": "<|x|>", **token, "lstrip": True, "rstrip": True},
              {"id": 301, "content": "word", **token, "single_word": True, "normalized": True},
              {"id": 302, "content": "e\u0301", **token, "normalized": True}]
    old_style = small_tokenizer(merges)
    old_style["model"]["merges"] = [" ".join(pair) for pair in merges]
    raw = small_tokenizer(merges, added)
    raw["normalizer"] = None
    sequence = small_tokenizer(merges, strips)
    sequence["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}]}
    texts = [b"abc ab  a <|x|> caf\xc3\xa9", "cafe\u0301 word e\u0301 <|x|> \n".encode(), b"", b"aaaa\xff"]
    files = [small_tokenizer(), small_tokenizer(merges, added), small_tokenizer(merges, strips),
             small_tokenizer(merges, added, ignore_merges=True), old_style, raw, sequence,
             {"model": {"type": "WordPiece"}}]
    return [dump(file) + b"\0" + texts[i % len(texts)] for i, file in enumerate(files)]


def template():
    cases = one_per(lambda r: (r["category"], r["level"]), rows("jinja_cases.jsonl"), 60)
    return [r["template"].encode() + b"\0" + dump(r["context"]) for r in cases]


def chat():
    cases = one_per(lambda r: (r["template"], r["feature"]), rows("chat_cases.jsonl"), 60)
    inputs = []
    for row in cases:
        kwargs = dict(row["kwargs"])
        mode = 1 if kwargs.pop("add_generation_prompt", False) else 0
        if row.get("raw"):
            mode |= 12
        request = {"messages": row["messages"]}
        request.update({k: v for k, v in (("tools", row["tools"]), ("kwargs", kwargs)) if v})
        name = row["template"].removesuffix(".jinja")
        inputs.append(bytes([TEMPLATES.index(name), mode]) + dump(request))
    for row in rows("continue_final_message.jsonl")[::6]:
        name = row["template"].removesuffix(".jinja")
        inputs.append(bytes([TEMPLATES.index(name), 2]) + dump({"messages": row["messages"]}))
    return inputs


def output():
    inputs = []
    for row in one_per(lambda r: r["category"], rows("output_parsing_cases.jsonl"), 60):
        mode = row["mode"]
        reasoning = {"deepseek_r1": 0, "qwen3": 1}.get(mode["reasoning_parser"], 2)
        tool = {"hermes": 0}.get(mode["tool_parser"], 2)
        state = 1 if mode["prompt_opens_think"] else 0
        flags = state | (0 if mode["tools"] else 4)
        inputs.append(bytes([reasoning | tool << 4, flags, 0, 0, 5, 9]) + row["text"].encode())
    call = "<tool_call>\n<function=f>\n<parameter=n>\n12\n</parameter>\n<parameter=s>\nx < y\n</parameter>\n</function>\n</tool_call>"
    for options in (b"\x12\x00\x08\x00\x03\x01", b"\x11\x80\x0b\x00\x03\x01", b"\x10\x41\x0f\x01\x02\x07"):
        inputs.append(options + call.encode())
        inputs.append(options + ("a</think>\n\n" + call + "\n" + call + "\nSTOP b").encode())
    return inputs


def request():
    """Bodies of the three APIs: good ones of every parameter, and the bad ones that are JSON."""
    user = {"messages": [{"role": "user", "content": "hi"}]}
    minimal = {"chat": user, "completion": {"prompt": "hi"}, "messages": {"max_tokens": 5, **user}}
    inputs = []
    for row in rows("../gateway/parameters.jsonl"):
        for api in row.get("in", ["chat", "completion"])[:1]:
            inputs.append(bytes([list(minimal).index(api)]) + dump({**minimal[api], **row["set"]}))
    bad = [row for row in rows("../gateway/bad_requests.jsonl") if row.get("to") in minimal and "set" in row]
    for row in one_per(lambda r: (r["to"], r["param"]), bad, 80):
        inputs.append(bytes([list(minimal).index(row["to"])]) + dump({**minimal[row["to"]], **row["set"]}))
    tools = [{"name": "f", "description": "d", "input_schema": {"type": "object"}}]
    blocks = [{"role": "user", "content": [{"type": "text", "text": "a"}]},
              {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": ""},
                                                {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}]},
              {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}]}]
    inputs.append(b"\x02" + dump({"max_tokens": 5, "system": [{"type": "text", "text": "s"}], "messages": blocks,
                                  "tools": tools, "tool_choice": {"type": "any"},
                                  "thinking": {"type": "enabled", "budget_tokens": 1024}, "stop_sequences": ["x"]}))
    return inputs


def main():
    write("encode_fuzz", encode())
    write("tokenizer_json_fuzz", tokenizer_json())
    write("template_fuzz", template())
    write("chat_fuzz", chat())
    write("output_fuzz", output())
    write("request_fuzz", request())


if __name__ == "__main__":
    main()
