"""Random Jinja expressions over the variables of contexts.py.

Mostly of a type that fits, so that most templates render; sometimes of any type, so that the ways
to fail are met as well.
"""

STRINGS = [
    "", " ", "a", "abc", "Hello World", "hello_world-foo", "  padded\t\n", "line1\nline2\r\nline3\n",
    "a,b,,c", "a, b , c", "42", "-7", " 3.5 ", "1e3", "0x1F", "1_000", "true", "None", "it's", 'say "hi"',
    "both ' and \"", "back\\slash", "<b>&amp; \"q\" 'x'</b>", "{{ x }}", "%s %d", "{} {0}", "Straße",
    "ﬁn ǆ İi", "Ωμέγας Σ", "naïve café", "日本語テキスト", "🙂👩‍👩‍👧 ok", "e\u0301 a\u030a", "\u00a0nbsp\u2003",
    "x\u0085y\u2028z\u000bw\u001cv", "\x00\x7f\x1b", "²٣Ⅷ½", "<|im_start|>user\n", "<think>\nplan\n</think>\n\nanswer",
    "</think>", "get_weather", "a" * 40,
    "see (http://example.com/a_(b)), www.example.org. or <mail@example.com>, ftp://h.de mailto:a@b.co",
    "HTTPS://1.2.3.4:80/x?y#z, http://[::1]/ example.info @a@b.c x@y.z. &lt;www.a.co&gt; http://xn--p1ai", "The quick brown fox jumps over the lazy dog", "tab\tsep\tend",
]
SEPARATORS = [" ", ",", ", ", "\n", "", "-", "</think>", "ab", "a", "_", "ß", "|"]
FORMATS = ["%s", "%d", "%5d|", "%-6s|", "%05.1f", "%.3s", "%x", "%X", "%o", "%e", "%g", "%r", "%%", "%c",
           "%+d", "% d", "%#x", "%i", "%10.4s|", "%a", "%*d", "%(a)s", "%(name)s %(b)r"]
BRACES = ["{}", "{0}", "{:>8}|", "{:<6}|", "{:^9}|", "{:05d}", "{:,}", "{:.2f}", "{:e}", "{:g}", "{:x}",
          "{:#b}", "{!r}", "{!s:>6}", "{:*^11}", "{:+}", "{:%}", "{{}}", "{0[0]}", "{a}", "{:_}", "{:n}",
          "{:.3}", "{:c}", "{:d}", "{:10}|", "{:s}"]

VARIABLES = {
    "int": ["i", "j", "i", "j", "big", "d.a"],
    "float": ["f", "g", "h"],
    "str": ["s", "t", "u", "w", "d.name", "words[0]", "o[0].name", "messages[0].content", "messages[-1]['role']"],
    "bool": ["yes", "no", "i", "n"],
    "list": ["l", "words", "mixed", "o", "messages", "d.list", "empty", "tools"],
    "dict": ["d", "o[0]", "messages[0]", "nested", "tools[0]", "edict"],
    "none": ["n", "n", "none", "d.list", "o[0].name", "s", "missing", "d.missing", "o[0].nope"],
}
TYPES = ["int", "float", "str", "bool", "list", "dict", "none"]
STR_METHODS_STR = ["translate({97: 'é', 98: none, 32: 95})", "translate('abc'.maketrans('aeo', 'éxy', 'l '))",
                   "translate(''.maketrans({'a': 'AA', 98: none}))", "upper()", "lower()", "title()", "capitalize()", "swapcase()", "casefold()", "strip()",
                   "lstrip()", "rstrip()", "expandtabs()", "strip('\\n')", "lstrip('a ')", "rstrip('.\\n')"]
STR_METHODS_BOOL = ["isalpha()", "isdigit()", "isspace()", "isupper()", "islower()", "istitle()", "isalnum()",
                    "isnumeric()", "isdecimal()", "isascii()", "isidentifier()", "isprintable()"]
STR_FILTERS = ["upper", "lower", "title", "capitalize", "trim", "string", "escape", "e", "forceescape", "safe",
               "striptags", "urlencode", "indent", "indent(2)", "indent(2, true)", "indent('> ', blank=true)",
               "truncate(8)", "truncate(8, true, '..', 0)", "truncate(length=5, leeway=2)", "wordwrap(7)",
               "wordwrap(5, false)", "center(20)", "replace('a', 'b')", "replace('l', 'L', 1)", "tojson", "list|join",
               "reverse", "trim('a')", "urlize", "urlize(8, true)", "urlize(target='_blank', rel='x noopener a')",
               "urlize(extra_schemes=['ftp://', 'tel:'])", "pprint", "pprint|length|string", "string|length|string", "d('x')", "default('x', true)"]
TESTS = ["defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number", "string",
         "mapping", "sequence", "iterable", "callable", "lower", "upper", "escaped", "filter", "test"]
COMPARES = ["==", "!=", "<", "<=", ">", ">=", "in", "not in"]


class Expressions:
    """Draws from `rng`; names that templates bind themselves are put into `scope`."""

    def __init__(self, rng):
        self.rng = rng
        self.scope = []      # variables of any type, bound by the template
        self.macros = []     # (name, names of parameters) of macros
        self.in_loop = 0

    def pick(self, items):
        return self.rng.choice(items)

    def chance(self, p):
        return self.rng.random() < p

    def literal_str(self, text=None):
        text = self.pick(STRINGS) if text is None else text
        quote = self.pick("'\"")
        out = []
        for ch in text:
            if ch in ("\\", quote):
                out.append("\\" + ch)
            elif ch == "\n" and self.chance(0.8):
                out.append("\\n")
            elif ch == "\t" and self.chance(0.7):
                out.append("\\t")
            elif ord(ch) < 32 or ord(ch) in (0x85, 0x2028, 0x7F):
                out.append(f"\\x{ord(ch):02x}" if ord(ch) < 256 else f"\\u{ord(ch):04x}")
            elif ord(ch) > 127 and self.chance(0.1):
                out.append(f"\\u{ord(ch):04x}" if ord(ch) < 65536 else f"\\U{ord(ch):08x}")
            else:
                out.append(ch)
        return quote + "".join(out) + quote

    def any(self, depth):
        return self.of(self.pick(TYPES), depth)

    def of(self, kind, depth):
        if self.chance(0.015):
            kind = self.pick(TYPES)
        if depth <= 0 or self.chance(0.2):
            return self.leaf(kind)
        if self.chance(0.05):
            return self.conditional(kind, depth - 1)
        if self.chance(0.04):
            return f"({self.of(kind, depth - 1)})"
        return getattr(self, "make_" + kind)(depth - 1)

    def leaf(self, kind):
        if self.scope and self.chance(0.15):
            return self.pick(self.scope)
        if self.in_loop and self.chance(0.12):
            return self.loop_member()
        if self.chance(0.6) or kind == "none":
            return self.pick(VARIABLES[kind])
        if kind == "int":
            return self.pick(["0", "1", "2", "3", "-1", "7", "10", "100", "-5", "1_000", "0x1f", "0b101", "0o17",
                              "255", "65536", "9007199254740993", "123456789012345678901234567890"])
        if kind == "float":
            return self.pick(["0.0", "1.0", "2.5", "-0.5", "3.14159", "1e3", "1e16", "1.5e-7", "1e22", "100.0",
                              "0.1", "1_0.5", "2.675", "1e100", "123456789.123"])
        if kind == "str":
            return self.literal_str()
        if kind == "bool":
            return self.pick(["true", "false", "True", "False"])
        if kind == "list":
            return self.pick(["[]", "[1, 2, 3]", "(1, 2)", "()", "('x',)", "['b', 'A', 'c']", "range(4)",
                              "range(5, 0, -2)", "[none, 1, 'a']", "[[1, 'b'], [2, 'a']]", "'abc'"])
        return self.pick(["{}", "{'a': 1}", "{'b': 2, 'a': [1, 2]}", "{1: 'x', 'name': none}", "dict(a=1, name='z')"])

    def loop_member(self):
        return "loop." + self.pick(["index", "index0", "revindex", "revindex0", "first", "last", "length", "depth",
                                    "depth0", "previtem", "nextitem"])

    def conditional(self, kind, depth):
        test = self.condition(depth)
        text = f"{self.of(kind, depth)} if {test}"
        return f"({text} else {self.of(kind, depth)})" if self.chance(0.8) else f"({text})"

    def condition(self, depth):
        return self.of("bool", depth)

    def arithmetic(self, kind, depth):
        op = self.pick(["+", "-", "*", "/", "//", "%", "+", "-", "**"])
        left = self.of(kind, depth)
        if op == "**":
            return f"({left}) {op} {self.pick(['2', '3', '0', '-1', '10'])}" if self.chance(0.7) else f"{left} ** 2"
        return f"{left} {op} {self.of(self.pick(['int', kind, 'float']), depth)}"

    def make_int(self, depth):
        return self.pick([
            lambda: self.arithmetic("int", depth), lambda: self.arithmetic("int", depth),
            lambda: f"{self.sized(depth)}|{self.pick(['length', 'count'])}",
            lambda: f"({self.of(self.pick(['str', 'float', 'int', 'none']), depth)})|int",
            lambda: f"({self.of('str', depth)})|int({self.pick(['7', 'default=-1', '0, 16', '1, base=2'])})",
            lambda: f"({self.of('str', depth)}).{self.pick(['count', 'find', 'rfind', 'index'])}({self.literal_str(self.pick(SEPARATORS))})",
            lambda: f"({self.of('list', depth)})|{self.pick(['sum', 'min', 'max', 'first', 'last'])}",
            lambda: f"{self.pick(['l', 'mixed', '[3,1,2]'])}[{self.of('int', 0)}]",
            lambda: f"-({self.of('int', depth)})", lambda: f"+{self.of('int', 0)}",
            lambda: f"({self.of('int', depth)})|abs",
            lambda: f"({self.of('str', depth)})|wordcount",
            lambda: f"(l.{self.pick(['count', 'index'])}({self.of('int', 0)}))",
            lambda: f"({self.of('int', 0)}).bit_length()",
            lambda: f"({self.of(self.pick(['int', 'float', 'bool']), 0)}).{self.pick(['real', 'imag', 'numerator', 'denominator', 'conjugate()', 'bit_count()', 'is_integer()'])}",
            lambda: f"range({self.pick(['i', '2', '-3', 'l|length'])}, 9).{self.pick(['start', 'stop', 'step', 'count(3)', 'index(4)'])}",
        ])()

    def make_float(self, depth):
        return self.pick([
            lambda: self.arithmetic("float", depth), lambda: self.arithmetic("float", depth),
            lambda: f"({self.of(self.pick(['str', 'float', 'int']), depth)})|float",
            lambda: f"({self.of('str', depth)})|float({self.pick(['1.5', 'default=2'])})",
            lambda: f"({self.of('float', depth)})|round" + self.pick(["", "(1)", "(2)", "(-1)", "(1, 'floor')", "(method='ceil')", "(0, 'common')"]),
            lambda: f"({self.of('int', depth)})|round" + self.pick(["", "(2)", "(method='floor')"]),
            lambda: f"({self.of('float', depth)})|abs",
            lambda: f"{self.of('int', depth)} / {self.of('int', 0)}",
        ])()

    def sized(self, depth):
        return f"({self.of(self.pick(['list', 'str', 'dict', 'list']), depth)})"

    def slice(self):
        part = lambda: self.pick(["", "", "0", "1", "2", "-1", "-2", "5", "i", "100", "-100"])
        return self.pick([f"[{part()}:{part()}]", f"[{part()}:{part()}:{self.pick(['', '1', '2', '-1', '-2'])}]",
                          f"[{self.pick(['0', '-1', '1', '2', 'i'])}]", "[::-1]", "[1:]", "[:-1]"])

    def make_str(self, depth):
        sep = lambda: self.literal_str(self.pick(SEPARATORS))
        options = [
            lambda: f"{self.of('str', depth)} ~ {self.any(depth)}",
            lambda: f"{self.of('str', depth)} + {self.of('str', depth)}",
            lambda: f"({self.of('str', depth)})|{self.pick(STR_FILTERS)}",
            lambda: f"({self.of('str', depth)})|{self.pick(STR_FILTERS)}",
            lambda: f"({self.of('str', depth)}).{self.pick(STR_METHODS_STR)}",
            lambda: f"({self.of('str', depth)}).{self.pick(STR_METHODS_STR)}",
            lambda: f"({self.of('str', depth)} ~ ''){self.slice()}",
            lambda: f"({self.of('str', depth)}).split({sep()})[{self.pick(['0', '-1', '1'])}]",
            lambda: f"({self.of('str', depth)}).{self.pick(['partition', 'rpartition'])}({sep()})[{self.pick(['0', '2'])}]",
            lambda: f"({self.of('str', depth)}).replace({sep()}, {sep()}{self.pick(['', '', ', 1', ', -1'])})",
            lambda: f"({self.of('str', depth)}).{self.pick(['center', 'ljust', 'rjust'])}({self.pick(['10', '3', '7, ' + repr('*')])})",
            lambda: f"({self.of('str', depth)}).zfill({self.pick(['6', '0', '12'])})",
            lambda: f"({self.of('str', depth)}).{self.pick(['removeprefix', 'removesuffix', 'strip', 'lstrip', 'rstrip'])}({sep()})",
            lambda: f"{sep()}.join({self.pick(['words', '[s, t]', 'd.keys()', 'w', 'o|map(attribute=' + repr('name') + ')'])})",
            lambda: f"({self.of('list', depth)})|join({sep()})",
            lambda: f"({self.of('list', depth)})|join({sep()}, attribute={self.attribute()})",
            lambda: f"({self.any(depth)})|string",
            lambda: f"({self.any(depth)})|tojson{self.tojson_args()}",
            lambda: f"({self.any(depth)})|tojson{self.tojson_args()}",
            lambda: f"{self.literal_str(self.pick(FORMATS))} % {self.format_operand(depth)}",
            lambda: f"{self.literal_str(self.pick(FORMATS))}|format({self.any(depth)})",
            lambda: f"{self.literal_str(self.pick(BRACES))}.format({self.any(depth)}{self.pick(['', ', a=1', ', 2'])})",
            lambda: f"({self.of(self.pick(['int', 'float']), depth)})|filesizeformat{self.pick(['', '(true)'])}",
            lambda: f"({self.of('str', 0)}) * {self.pick(['0', '2', '3', '-1', 'i'])}",
            lambda: f"({self.of('dict', depth)})|xmlattr",
            lambda: self.literal_str() + " " + self.literal_str(),
            lambda: f"strftime_now({self.literal_str(self.pick(['%Y-%m-%d', '%d %b %Y', '%H:%M:%S', '%A %B %j %y %p %%', '%-d']))})",
        ]
        if self.macros:
            options += [lambda: self.call(depth)] * 4
        return self.pick(options)()

    def tojson_args(self):
        return self.pick(["", "", "", "(indent=2)", "(indent=4)", "(sort_keys=true)", "(ensure_ascii=true)",
                          "(indent=2, sort_keys=true)", "(separators=(',', ':'))", "(indent=none)", "(indent=0)"])

    def format_operand(self, depth):
        return self.pick([lambda: f"({self.any(depth)})", lambda: f"({self.any(depth)},)",
                          lambda: f"({self.of('int', depth)}, {self.any(0)})", lambda: "d"])()

    def call(self, depth):
        name, params = self.pick(self.macros)
        return f"{name}({self.call_args(params, depth)})"

    def call_args(self, params, depth):
        if self.chance(0.06):
            return self.pick([self.any(0), f"zz={self.any(0)}", "*l", "**{'c': 1}", "1, 2, 3, 4"])
        given = self.rng.randint(0, len(params))
        args = [self.any(depth) for _ in range(given)]
        args += [f"{name}={self.any(0)}" for name in params[given:] if self.chance(0.3)]
        return ", ".join(args)

    def attribute(self):
        return self.literal_str(self.pick(["name", "kind", "n", "sub.x", "role", "missing", "0", "1"]))

    def make_bool(self, depth):
        return self.pick([
            lambda: f"{self.any(depth)} {self.pick(['==', '!='])} {self.any(depth)}",
            lambda: f"{self.of('int', depth)} {self.pick(COMPARES[:6])} {self.of('float', depth)}",
            lambda: f"{self.of('str', depth)} {self.pick(COMPARES)} {self.of('str', depth)}",
            lambda: f"{self.any(depth)} {self.pick(['in', 'not in'])} {self.pick([self.of('list', depth), self.of('dict', depth)])}",
            lambda: f"{self.of('int', 0)} {self.pick(COMPARES[:6])} {self.of('int', 0)} {self.pick(COMPARES[:6])} {self.of('int', 0)}",
            lambda: f"not {self.of('bool', depth)}",
            lambda: f"{self.of('bool', depth)} {self.pick(['and', 'or'])} {self.any(depth)}",
            lambda: f"({self.of('bool', depth)} {self.pick(['and', 'or'])} {self.of('bool', depth)})",
            lambda: f"{self.any(depth)} is {self.pick(['', 'not '])}{self.pick(TESTS)}",
            lambda: f"({self.any(depth)}) is {self.pick(['', 'not '])}{self.pick(TESTS)}",
            lambda: f"{self.of('int', depth)} is {self.pick(['odd', 'even', 'divisibleby 3', 'divisibleby(2)', 'eq 2', 'gt(1)', 'lt 3', 'ge 0', 'ne 1', 'le(i)'])}",
            lambda: f"{self.any(0)} is {self.pick(['sameas', 'eq', 'in'])} {self.pick(['none', 'true', 'l', 's', 'i', 'words'])}",
            lambda: f"({self.of('str', depth)}).{self.pick(['startswith', 'endswith'])}({self.pick([self.literal_str(self.pick(SEPARATORS)), '(' + repr('a') + ', ' + repr('H') + ')', 't'])})",
            lambda: f"({self.of('str', depth)}).{self.pick(STR_METHODS_BOOL)}",
        ])()

    def make_list(self, depth):
        sep = lambda: self.literal_str(self.pick(SEPARATORS))
        return self.pick([
            lambda: "[" + ", ".join(self.any(depth) for _ in range(self.rng.randint(0, 4))) + "]",
            lambda: f"({self.any(depth)}, {self.any(depth)})",
            lambda: f"({self.of('list', depth)}|list){self.slice()}",
            lambda: f"range({self.pick(['4', '1, 9, 3', '5, 0, -2', 'i'])}){self.slice()}",
            lambda: f"({self.of('list', depth)}) + {self.of('list', depth)}",
            lambda: f"({self.of('list', depth)})|{self.pick(['list', 'sort', 'reverse|list', 'unique|list', 'sort(reverse=true)', 'first', 'last', 'sort(case_sensitive=true)', 'batch(2)|list', 'slice(2)|list', 'batch(3, 0)|list', 'slice(3, none)|list'])}",
            lambda: f"({self.of('list', depth)})|{self.pick(['select', 'reject'])}{self.pick(['', '(' + repr('string') + ')', '(' + repr('odd') + ')', '(' + repr('ge') + ', 2)', '(' + repr('defined') + ')', '(' + repr('in') + ', l)'])}|list",
            lambda: f"{self.pick(['o', 'messages', self.of('list', depth)])}|{self.pick(['selectattr', 'rejectattr'])}({self.attribute()}{self.pick(['', ', ' + repr('equalto') + ', 1', ', ' + repr('string'), ', ' + repr('defined'), ', ' + repr('==') + ', ' + repr('user')])})|list",
            lambda: f"({self.of('list', depth)})|map({self.pick([repr('upper'), repr('string'), repr('int'), repr('tojson'), repr('length'), 'attribute=' + self.attribute(), 'attribute=' + self.attribute() + ', default=0', repr('default') + ', 9', repr('replace') + ', ' + repr('a') + ', ' + repr('b'), repr('trim'), repr('list')])})|list",
            lambda: f"({self.pick(['o', 'messages'])})|{self.pick(['sort', 'unique', 'min', 'max', 'groupby'])}(attribute={self.attribute()})|list",
            lambda: f"({self.of('dict', depth)})|{self.pick(['items|list', 'dictsort', 'list', 'dictsort(reverse=true)', 'dictsort(by=' + repr('value') + ')', 'dictsort(true)', 'length'])}",
            lambda: f"({self.of('dict', depth)}).{self.pick(['items()|list', 'keys()|list', 'values()|list', 'keys()', 'items()'])}",
            lambda: f"({self.of('str', depth)}).{self.pick(['split()', 'rsplit()', 'splitlines()', 'splitlines(true)', 'split(none, 1)', 'split(maxsplit=1)'])}",
            lambda: f"({self.of('str', depth)}).{self.pick(['split', 'rsplit', 'partition', 'rpartition'])}({sep()})",
            lambda: f"({self.of('str', depth)}).{self.pick(['split', 'rsplit'])}({sep()}, {self.pick(['0', '1', '2', '-1'])})",
            lambda: f"({self.of('str', depth)})|list",
            lambda: f"range({self.pick(['3', '1, 4', '5, 1, -1', 'i', '0'])})" + self.pick(["", "|list", "[::-1]|list"]),
            lambda: f"({self.of('list', 0)}) * {self.pick(['0', '1', '2'])}",
        ])()

    def make_dict(self, depth):
        key = lambda: self.pick([self.literal_str(self.pick(["a", "b", "name", "x y"])), "1", "s", "1.0", "true", "none", "i"])
        return self.pick([
            lambda: "{" + ", ".join(f"{key()}: {self.any(depth)}" for _ in range(self.rng.randint(0, 3))) + "}",
            lambda: f"dict(a={self.any(depth)}, b={self.any(0)})",
            lambda: f"dict({self.of('dict', depth)}, zz={self.any(0)})",
            lambda: f"({self.pick(['o', 'messages', 'tools'])})[{self.pick(['0', '-1', '1', 'i'])}]",
            lambda: f"({self.pick(['o', 'messages'])})|{self.pick(['first', 'last'])}",
            lambda: f"({self.of('dict', depth)}).get({key()}, {self.any(0)})",
            lambda: f"({self.of('dict', depth)})[{key()}]",
            lambda: f"({self.of('dict', depth)}).copy()",
        ])()

    def make_none(self, depth):
        return self.pick([
            lambda: f"({self.any(depth)}).{self.pick(['missing', 'name', 'items', 'a', 'x', 'upper'])}",
            lambda: f"({self.any(depth)})[{self.pick(['0', repr('a'), '-9', 'none', repr('name')])}]",
            lambda: f"({self.any(depth)})|{self.pick(['default(1)', 'd(none)', 'default(' + repr('x') + ', true)', 'first', 'last', 'attr(' + repr('name') + ')'])}",
            lambda: f"{self.any(depth)} or {self.any(depth)}",
            lambda: f"{self.any(depth)} and {self.any(depth)}",
        ])()
