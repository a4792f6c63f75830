"""A second implementation of the output parsers, for differential tests: it takes a whole text and
works on it by index and regular expression, where the service goes byte by byte. It follows the
contracts in the headers of tokenizer_service/output, and shares nothing with their code.
"""

import json
import re

SPACE = " \t\r\n"
OPEN, CLOSE = "<tool_call>", "</tool_call>"


def cut_at_stop(text, stops, include):
    """The text up to the first stop string to be complete, and that string or None."""
    best = None
    for stop in stops:
        at = text.find(stop)
        if at >= 0:
            key = (at + len(stop), -len(stop))
            if best is None or key < best[0]:
                best = (key, at, stop)
    if best is None:
        return text, None
    _, at, stop = best
    return text[: at + (len(stop) if include else 0)], stop


def split_reasoning(text, closed):
    """(reasoning, content, whether a think block stands in the answer)."""
    if closed:
        return "", text, False
    opened = re.match(r"[ \t\r\n]*<think>", text)
    body = text[opened.end() :] if opened else text
    at = body.find("</think>")
    if at < 0:
        return body, "", False
    return body[:at], body[at + len("</think>") :], True


class Malformed(Exception):
    """No call: the text up to `end` is content."""

    def __init__(self, end):
        self.end = end


class Tag(Exception):
    """A tag at `at` ends the call; what follows goes on at `resume`."""

    def __init__(self, at, resume, closed=True):
        self.at, self.resume, self.closed = at, resume, closed


class HermesCall:
    """One call from `pos`, behind its opening tag."""

    def __init__(self, text, pos):
        self.text, self.pos = text, pos
        self.name = self.arguments = None
        self.committed = self.complete = False

    def outside(self):
        """Moves behind whitespace and returns the byte there; tags and the end raise."""
        while self.pos < len(self.text) and self.text[self.pos] in SPACE:
            self.pos += 1
        return self.peek()

    def peek(self):
        rest = self.text[self.pos : self.pos + len(CLOSE)]
        if not rest:
            raise Tag(self.pos, self.pos, closed=False)
        if rest[0] == "<":
            if rest.startswith(CLOSE):
                raise Tag(self.pos, self.pos + len(CLOSE))
            if rest.startswith(OPEN):
                raise Tag(self.pos, self.pos)
            if self.pos + len(rest) == len(self.text) and (
                CLOSE.startswith(rest) or OPEN.startswith(rest)
            ):
                raise Tag(self.pos, len(self.text), closed=False)
        return rest[0]

    def check_in_string(self):
        """A closing tag in a string counts with the next call, or the end, behind it."""
        if not self.text.startswith(CLOSE, self.pos):
            return
        after = self.pos + len(CLOSE)
        while after < len(self.text) and self.text[after] in SPACE:
            after += 1
        rest = self.text[after : after + len(OPEN)]
        if rest == OPEN:
            raise Tag(self.pos, after)
        if after + len(rest) == len(self.text) and OPEN.startswith(rest):
            raise Tag(self.pos, len(self.text))

    def fail(self):
        raise Malformed(self.pos + 1)

    def expect(self, allowed):
        c = self.outside()
        if c not in allowed:
            self.fail()
        self.pos += 1
        return c

    def string(self):
        """A strict literal; `pos` is at its quote."""
        begin = self.pos
        self.pos += 1
        while True:
            self.check_in_string()
            if self.pos >= len(self.text):
                raise Tag(self.pos, self.pos, closed=False)
            c = self.text[self.pos]
            if c == '"':
                self.pos += 1
                return self.text[begin : self.pos]
            if c < " ":
                self.fail()
            self.pos += 1
            if c != "\\":
                continue
            for allowed in self.escape():
                self.check_in_string()
                if self.pos >= len(self.text):
                    raise Tag(self.pos, self.pos, closed=False)
                if self.text[self.pos] not in allowed:
                    self.fail()
                self.pos += 1

    def escape(self):
        if self.text[self.pos : self.pos + 1] == "u":
            return ["u"] + ["0123456789abcdefABCDEF"] * 4
        return ['"\\/bfnrt']

    def scalar(self):
        begin = self.pos
        while self.peek() in "+-." or (self.text[self.pos].isascii() and self.text[self.pos].isalnum()):
            self.pos += 1
        return self.text[begin : self.pos]

    def value(self):
        """A strict value; returns its text."""
        c = self.outside()
        begin = self.pos
        if c == '"':
            return self.string()
        if c in "{[":
            self.pos += 1
            close = "}" if c == "{" else "]"
            if self.outside() == close:
                self.pos += 1
                return self.text[begin : self.pos]
            while True:
                if c == "{":
                    if self.outside() != '"':
                        self.fail()
                    self.string()
                    self.expect(":")
                self.value()
                if self.expect("," + close) == close:
                    return self.text[begin : self.pos]
        if c not in "-0123456789tfnNI":
            self.fail()
        literal = self.scalar()
        if not is_json(literal):
            self.fail()
        return literal

    def read(self):
        self.expect("{")
        if self.outside() != "}":
            while True:
                if self.outside() != '"':
                    self.fail()
                key = string_value(self.string())
                self.expect(":")
                c = self.outside()
                if key == "arguments" and self.name is not None and c in "{[-0123456789tfnNI":
                    self.committed = True
                    return self.read_committed()
                literal = self.value()
                if key == "name":
                    if literal[0] != '"':
                        # Of a number the end is known one byte later.
                        raise Malformed(self.pos + (literal[-1] not in "}]"))
                    self.name = string_value(literal)
                elif key == "arguments":
                    inner = string_value(literal) if literal[0] == '"' else ""
                    self.arguments = inner if is_json(inner) and inner.strip(SPACE)[0] == "{" else literal
                if self.expect(",}") == "}":
                    break
        else:
            self.pos += 1
        self.complete = True
        self.outside()
        self.fail()

    def track(self, take):
        """Follows brackets and strings; `take` gets every byte. Ends behind a closing bracket."""
        depth, quoted, escaped = 0, False, False
        while True:
            if quoted:
                self.check_in_string()
                if self.pos >= len(self.text):
                    raise Tag(self.pos, self.pos, closed=False)
                c = self.text[self.pos]
                quoted = escaped or c != '"'
                escaped = not escaped and c == "\\"
            else:
                c = self.peek()
                if c == '"':
                    quoted = True
                elif c in "{[":
                    depth += 1
                elif c in "}]":
                    if take is None and depth == 0 and c == "}":
                        self.pos += 1
                        return
                    depth = max(depth - 1, 0)
            self.pos += 1
            if take is not None:
                take.append(c)
                if depth == 0:
                    return

    def read_committed(self):
        taken = []
        try:
            if self.text[self.pos] in "{[":
                self.track(taken)
            else:
                while self.peek() not in ",}" + SPACE:
                    taken.append(self.text[self.pos])
                    self.pos += 1
        finally:
            self.arguments = "".join(taken)
        self.track(None)
        self.complete = True
        while True:
            self.outside()
            self.pos += 1


def is_json(text):
    text = text.strip(SPACE)
    try:
        json.loads(text)
        return True
    except (ValueError, RecursionError):
        return False


def string_value(literal):
    return re.sub("[\ud800-\udfff]", "\ufffd", json.loads(literal))


def parse_hermes(text):
    """([("content", text) or ("call", name, arguments), ...], whether it ends in a call)."""
    segments, pos, cut = [], 0, False
    while True:
        at = text.find(OPEN, pos)
        segments.append(("content", text[pos:] if at < 0 else text[pos:at]))
        if at < 0:
            return segments, cut
        call = HermesCall(text, at + len(OPEN))
        try:
            call.read()
        except Malformed as end:
            segments.append(("content", text[at : end.end]))
            pos = end.end
        except Tag as tag:
            pos = tag.resume if tag.closed else len(text)
            cut = not tag.closed and not call.complete
            if call.committed or (call.complete and None not in (call.name, call.arguments)):
                segments.append(("call", call.name, call.arguments))
            else:
                segments.append(("content", text[at:pos]))


def quote(text):
    return json.dumps(text, ensure_ascii=False)


FUNCTION = re.compile(r"[ \t\r\n]*<function=([^\n<]+?)>")
FUNCTION_BEGINS = re.compile(r"<function=[^\n<]*\Z")
MARKUP = re.compile(
    r"<parameter=(?P<p>[^\n<]+?)>|<function=(?P<f>[^\n<]+?)>|</function>|</tool_call>|<tool_call>"
)
AFTER = re.compile(r"<function=(?P<f>[^\n<]+?)>|</function>|</tool_call>|<tool_call>")
LINE_TAG = r"(?=<parameter=|</function>|</tool_call>)"
VALUE_END = re.compile(r"\n?</parameter>|\n" + LINE_TAG)


class Coder:
    def __init__(self, text, texts):
        self.text, self.texts = text, texts
        self.segments, self.cut = [], False

    def is_text(self, function, parameter):
        return self.texts.get(function, {}).get(parameter, True)

    def content(self, text):
        self.segments.append(("content", text))

    def parse(self):
        pos = 0
        while pos is not None:
            at = self.text.find(OPEN, pos)
            self.content(self.text[pos:] if at < 0 else self.text[pos:at])
            if at < 0:
                break
            pos = self.region(at)
        return self.segments, self.cut

    def region(self, at):
        begin = at + len(OPEN)
        found = FUNCTION.match(self.text, begin)
        if not found:
            behind = begin
            while behind < len(self.text) and self.text[behind] in SPACE:
                behind += 1
            rest = self.text[behind:]
            if "<function=".startswith(rest) or FUNCTION_BEGINS.match(rest):
                self.content(self.text[at:])
                self.cut = True
                return None
            self.content(self.text[at:behind])
            return behind
        return self.call(found.group(1), found.end())

    def call(self, name, pos):
        arguments, first = [], True
        self.segments.append(("call", name, arguments))
        while True:
            tag = MARKUP.search(self.text, pos)
            if not tag:
                self.cut = True
                return None
            pos = tag.end()
            if tag.group("p") is None:
                break
            arguments.append(("{" if first else ", ") + quote(tag.group("p")) + ": ")
            first = False
            value, pos = self.value(pos)
            if pos is None:
                self.cut = True
                if self.is_text(name, tag.group("p")) and value:
                    arguments.append(quote(value)[:-1])
                return None
            arguments.append(self.as_json(value, self.is_text(name, tag.group("p"))))
        arguments.append("{}" if first else "}")
        while True:
            if tag.group("f") is not None:
                return self.call(tag.group("f"), pos)
            if tag.group() == CLOSE:
                return pos
            if tag.group() == OPEN:
                return self.region(pos - len(OPEN))
            tag = AFTER.search(self.text, pos)
            if not tag:
                return None
            pos = tag.end()

    def value(self, pos):
        line = self.text.startswith("\n", pos)
        body = pos + line
        if line and re.compile(LINE_TAG).match(self.text, body):
            return "", body
        end = VALUE_END.search(self.text, body)
        if end:
            return self.text[body : end.start()], end.end()
        return self.text[body:], None

    @staticmethod
    def as_json(value, text):
        if text:
            return "null" if value == "null" else quote(value)
        trimmed = value.strip(SPACE)
        constants = {"null": "null", "None": "null", "True": "true", "False": "false"}
        if trimmed in constants:
            return constants[trimmed]
        return trimmed if is_json(trimmed) else quote(value)


def parse_coder(text, texts):
    segments, cut = Coder(text, texts).parse()
    return [s if s[0] == "content" else (s[0], s[1], "".join(s[2])) for s in segments], cut


def join_content(segments, after_think, clean):
    """What is left of the content between calls."""
    gaps = [""]
    for segment in segments:
        if segment[0] == "call":
            gaps.append("")
        else:
            gaps[-1] += segment[1]
    if len(gaps) == 1:
        return gaps[0].lstrip("\n") if clean and after_think else gaps[0]
    first = next((i for i, gap in enumerate(gaps) if gap.strip(SPACE)), None)
    if first is None:
        return ""
    last = max(i for i, gap in enumerate(gaps) if gap.strip(SPACE))
    if clean and (after_think or first > 0):
        gaps[first] = gaps[first].lstrip("\n")
    if clean:
        gaps[last] = gaps[last].rstrip("\n")
    return "".join(gaps[first : last + 1])


def parse(text, reasoning_parser, tool_parser, think_closed, stops, include_stop, parallel, clean,
          texts, engine_reason):
    """The answer as `vallm tokenizer parse` prints it."""
    text, stop = cut_at_stop(text, stops, include_stop)
    reasoning, content, after_think = "", text, False
    if reasoning_parser:
        reasoning, content, after_think = split_reasoning(text, think_closed)
    segments, cut = [("content", content)], False
    if tool_parser == "hermes":
        segments, cut = parse_hermes(content)
    elif tool_parser == "qwen3_coder":
        segments, cut = parse_coder(content, texts)
    calls = [s for s in segments if s[0] == "call"]
    if not parallel:
        segments = [s for s in segments if s[0] == "content" or s is calls[0]]
        calls = calls[:1]
    reason = "stop" if stop is not None else engine_reason
    if calls and (reason == "stop" or not cut):
        reason = "tool_calls"
    return {
        "reasoning_content": (reasoning.strip("\n") if clean else reasoning) or None,
        "content": join_content(segments, after_think, clean) or None,
        "tool_calls": [{"name": c[1], "arguments": c[2]} for c in calls],
        "finish_reason": reason,
    }
