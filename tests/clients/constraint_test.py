"""The constraint engine against the libraries that define what it must agree with: every answer that
random walks through its masks give must be valid for jsonschema, every serialisation of a valid
instance must be accepted, and patterns must accept what Python's re accepts. Exit code 77: the
library is not installed (tests/clients/install.sh)."""

import json
import os
import random
import re
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("jsonschema is not installed: run tests/clients/install.sh")
    sys.exit(77)

PROBE = os.environ["VALLM_CONSTRAINT_PROBE"]
SEED = int(os.environ.get("SEED", "20261124"))


def ask(rows):
    """The probe's answers to `rows`, in order."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    done = subprocess.run([PROBE], input=text, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.split("\n") if line]


class Schemas:
    """Random schemas of what is supported, each with a generator of valid instances."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self):
        alphabet = "abcXYZ 019_-/\"\\\n\té日本😀"
        return "".join(self.random.choice(alphabet) for _ in range(self.random.randint(0, 8)))

    def make(self, depth=0):
        kinds = ["string", "length", "pattern", "integer", "range", "number", "decimal", "boolean", "null", "enum",
                 "const", "multiple", "format"]
        if depth < 3:
            kinds += ["object", "object", "object", "array", "array", "tuple", "any_of", "map", "all_of", "types"]
        return getattr(self, "make_" + self.random.choice(kinds))(depth)

    def make_string(self, _):
        return {"type": "string"}, self.text

    def make_length(self, _):
        low = self.random.randint(0, 3)
        high = low + self.random.randint(0, 5)

        def instance():
            return "".join(self.random.choice("ab\"\\é日😀\n") for _ in range(self.random.randint(low, high)))
        return {"type": "string", "minLength": low, "maxLength": high}, instance

    def make_pattern(self, _):
        options = {"^[a-z]{2,4}$": ["ab", "abcd"], "^(foo|ba+r)\\d$": ["foo1", "baaar9"], "[\"\\\\]x": ["\"x", "aa\\xb"],
                   "^\\S+@\\S+$": ["a@b", "é@日"], "q": ["q", "aqa", "\nq"], "^x|y$": ["xa", "ay"],
                   "^\\w+(-\\w+)*$": ["a-b-c", "abc"]}
        pattern = self.random.choice(list(options))
        return {"type": "string", "pattern": pattern}, lambda: self.random.choice(options[pattern])

    def make_format(self, _):
        options = {"date": "2024-02-29", "date-time": "1999-12-31T23:59:59.25Z", "time": "00:00:00+02:00",
                   "email": "a.b@example.org", "uuid": "123e4567-e89b-12d3-a456-426614174000",
                   "ipv4": "192.168.0.255", "ipv6": "2001:db8::1", "duration": "P1DT2H", "hostname": "a-b.example",
                   "uri": "https://example.org/a?b=c#d"}
        name = self.random.choice(list(options))
        return {"type": "string", "format": name}, lambda: options[name]

    def make_integer(self, _):
        return {"type": "integer"}, lambda: self.random.randint(-10**6, 10**6)

    def make_range(self, _):
        low = self.random.choice([-12345, -100, -7, 0, 1, 9, 10, 99, 1234])
        high = low + self.random.choice([0, 1, 5, 90, 12345, 10**9])
        schema = {"type": "integer"}
        pick_low = self.random.random() < 0.8
        pick_high = self.random.random() < 0.8
        if pick_low:
            schema.update({"minimum": low} if self.random.random() < 0.5 else {"exclusiveMinimum": low - 1})
        if pick_high:
            schema.update({"maximum": high} if self.random.random() < 0.5 else {"exclusiveMaximum": high + 1})

        def instance():
            return self.random.randint(low if pick_low else low - 1000, high if pick_high else high + 1000)
        return schema, instance

    def make_number(self, _):
        return {"type": "number"}, lambda: self.random.choice([0, -1.5, 3e10, 1e-7, self.random.uniform(-5, 5)])

    def make_decimal(self, _):
        low = self.random.choice([-20.25, -1, -0.5, 0, 0.1, 1.75, 12.5])
        high = low + self.random.choice([0.25, 1, 1.125, 30.5])
        schema = {"type": "number", "minimum": low, "maximum": high}
        exclusive = self.random.random() < 0.5
        if exclusive:
            schema = {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": high}

        def instance():
            value = round(self.random.uniform(low, high), self.random.choice([1, 2, 4]))
            return value if low < value < high and value != 0 else round((low + high) / 2, 4)
        return schema, instance

    def make_multiple(self, _):
        factor = self.random.choice([2, 3, 7, 10, 64, 999])
        return {"type": "integer", "multipleOf": factor}, lambda: factor * self.random.randint(-500, 500)

    def make_boolean(self, _):
        return {"type": "boolean"}, lambda: self.random.random() < 0.5

    def make_null(self, _):
        return {"type": "null"}, lambda: None

    def make_enum(self, _):
        values = ["a", "ab", "", "日", "\"\\", 1, -2, 2.5, None, True, {"x": [1, "y"]}, []]
        values = self.random.sample(values, self.random.randint(1, 5))
        return {"enum": values}, lambda: self.random.choice(values)

    def make_const(self, _):
        value = self.random.choice(["x", 12, {"a": None}, [1, [2]]])
        return {"const": value}, lambda: value

    def make_types(self, _):
        return {"type": ["string", "integer", "null"]}, lambda: self.random.choice(["s", 5, None])

    def make_object(self, depth):
        names = self.random.sample(["a", "ab", "b", "name", "日", "x y", "\"q"], self.random.randint(0, 5))
        parts = {name: self.make(depth + 1) for name in names}
        required = [name for name in names if self.random.random() < 0.5]
        schema = {"type": "object", "properties": {name: part[0] for name, part in parts.items()}, "required": required}
        extra = self.make(depth + 1) if self.random.random() < 0.3 else None
        schema["additionalProperties"] = extra[0] if extra else False

        def instance():
            result = {n: p[1]() for n, p in parts.items() if n in required or self.random.random() < 0.5}
            if extra:
                for _ in range(self.random.randint(0, 2)):
                    key = self.random.choice(["aa", "abc", "z", "日本", "", "names", "nam"])
                    result[key] = extra[1]()
            return result
        return schema, instance

    def make_map(self, depth):
        schema, value = self.make(depth + 1)
        return ({"type": "object", "additionalProperties": schema},
                lambda: {self.text(): value() for _ in range(self.random.randint(0, 3))})

    def make_array(self, depth):
        schema, item = self.make(depth + 1)
        low = self.random.randint(0, 2)
        high = low + self.random.randint(0, 3)
        return ({"type": "array", "items": schema, "minItems": low, "maxItems": high},
                lambda: [item() for _ in range(self.random.randint(low, high))])

    def make_tuple(self, depth):
        first, second, rest = (self.make(depth + 1) for _ in range(3))
        low = self.random.randint(0, 3)

        def instance():
            values = [first[1](), second[1]()] + [rest[1]() for _ in range(3)]
            return values[:self.random.randint(low, 5)]
        return ({"type": "array", "prefixItems": [first[0], second[0]], "items": rest[0], "minItems": low}, instance)

    def make_any_of(self, depth):
        ways = [self.make(depth + 1) for _ in range(self.random.randint(1, 3))]
        return {"anyOf": [way[0] for way in ways]}, lambda: self.random.choice(ways)[1]()

    def make_all_of(self, depth):
        one, two = self.make(depth + 1), self.make(depth + 1)
        schema = {"allOf": [{"type": "object", "properties": {"p": one[0]}, "required": ["p"]},
                            {"type": "object", "properties": {"q": two[0], "p": True}}]}
        return schema, lambda: {"p": one[1](), "q": two[1]()}


def spellings(instance):
    """How serialisers write `instance`."""
    yield json.dumps(instance, ensure_ascii=False)
    yield json.dumps(instance, ensure_ascii=False, separators=(",", ":"))
    yield json.dumps(instance, ensure_ascii=False, indent=2)


def check_schemas(count):
    schemas = Schemas(SEED)
    rows, cases = [], []
    for i in range(count):
        schema, instance = schemas.make()
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        instances = [instance() for _ in range(4)]
        for value in instances:
            validator.validate(value)
        texts = [text for value in instances for text in spellings(value)]
        rows.append({"kind": "json_schema", "text": json.dumps(schema), "match": texts, "walks": 4, "seed": SEED + i,
                     "max_tokens": 60})
        cases.append((schema, validator, texts))
    walked = 0
    for (schema, validator, texts), answer in zip(cases, ask(rows)):
        assert "error" not in answer, (schema, answer)
        for text, matched in zip(texts, answer["matches"]):
            assert matched, f"refuses {text!r} of {json.dumps(schema)}"
        for walk in answer["walks"]:
            assert "error" not in walk, (schema, walk)
            if not walk["complete"]:
                continue
            walked += 1
            error = next(validator.iter_errors(json.loads(walk["text"])), None)
            assert error is None, f"gives {walk['text']!r} for {json.dumps(schema)}: {error.message}"
    assert walked > 3 * count, f"only {walked} of {4 * count} walks came to an end"
    print(f"schemas: {count}, answers validated: {walked}")


def mutations(rng, text):
    yield text
    for _ in range(6):
        at = rng.randint(0, len(text))
        yield text[:at] + rng.choice("ab01 .-_xéZ\n") + text[at:]
        yield text[:at] + text[at + 1:]


class Patterns:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def make(self, depth=0, repeated=False):
        # Quantifiers do not nest: Python's matcher takes exponential time for those (ours does not).
        pick = self.random.random() * (0.75 if repeated else 1)
        if depth > 3 or pick < 0.35:
            return self.random.choice(["a", "b", "é", "\\d", "\\w", "\\s", ".", "[ab0]", "[^ab]", "[a-f\\d]", "\\.",
                                       "\\x41", "[\\w.-]", "\\D", "-", "[^\\W\\d]", "\\u00e9", "[]a]", "x{,", "{"])
        if pick < 0.6:
            return self.make(depth + 1, repeated) + self.make(depth + 1, repeated)
        if pick < 0.75:
            return "(?:" + self.make(depth + 1, repeated) + "|" + self.make(depth + 1, repeated) + ")"
        quantifier = self.random.choice(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?"])
        return "(" + self.make(depth + 1, repeated=True) + ")" + quantifier


def check_patterns(count):
    patterns = Patterns(SEED + 1)
    rng = random.Random(SEED + 2)
    rows = [{"kind": "regex", "text": patterns.make(), "walks": 6, "seed": SEED + i, "max_tokens": 12}
            for i in range(count)]
    answers = ask(rows)
    matches = [{"kind": "regex", "text": row["text"], "match": []} for row in rows]
    for row, answer in zip(matches, answers):
        assert "error" not in answer, (row, answer)
        for walk in answer["walks"]:
            if walk.get("complete"):
                assert re.fullmatch(row["text"], walk["text"], re.ASCII), (row["text"], walk["text"])
                row["match"] += mutations(rng, walk["text"])
    accepted = refused = 0
    for row, answer in zip(matches, ask(matches)):
        for text, matched in zip(row["match"], answer["matches"]):
            expected = re.fullmatch(row["text"], text, re.ASCII) is not None
            assert matched == expected, f"{row['text']!r} on {text!r}: {matched}, re says {expected}"
            accepted += expected
            refused += not expected
    assert accepted > count and refused > count
    print(f"patterns: {count}, texts both accept: {accepted}, both refuse: {refused}")


if __name__ == "__main__":
    print(f"seed {SEED}")
    check_schemas(int(os.environ.get("SCHEMAS", "300")))
    check_patterns(int(os.environ.get("PATTERNS", "300")))
