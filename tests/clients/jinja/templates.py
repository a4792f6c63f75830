"""Random templates (statements around the expressions of expressions.py) and contexts for them."""

from expressions import STRINGS, Expressions

TEXTS = ["text", "  ", "\n", "\n\n", " x ", "<|im_start|>", "a\n  b", "\t", "{ }", "é\n", "  \n  ", "end.\n", "%", "#",
         "\r\n", "'", "<tool_call>\n"]


class Templates:
    """Draws templates and contexts from `rng`."""

    def __init__(self, rng):
        self.rng = rng

    def row(self):
        self._expressions = Expressions(self.rng)
        self._names = 0
        template = self._body(self.rng.choice([0, 1, 1, 2, 2, 3]))
        return {"template": template, "context": self.context()}

    # Contexts.

    def _string(self):
        return self.rng.choice(STRINGS)

    def _number(self):
        rng = self.rng
        return rng.choice([0, 1, 2, 3, -1, 5, 17, 10**6, 2**53 + 1, 2**63, -2**64, 10**25, 0.0, -0.0, 0.5, 1.0, 2.5,
                           1e16, 1e-5, 1.1, -3.75, 1e300, 123456.789])

    def _value(self, depth):
        rng = self.rng
        if depth <= 0 or rng.random() < 0.6:
            return rng.choice([self._string, self._string, self._number, lambda: rng.choice([None, True, False])])()
        if rng.random() < 0.5:
            return [self._value(depth - 1) for _ in range(rng.randint(0, 3))]
        return {rng.choice(["a", "b", "name", "x", "zeta", "é", "", "items"]): self._value(depth - 1)
                for _ in range(rng.randint(0, 3))}

    def _message(self):
        rng = self.rng
        message = {"role": rng.choice(["system", "user", "assistant", "tool"]),
                   "content": rng.choice([self._string(), self._string(), None, "",
                                          [{"type": "text", "text": self._string()}]])}
        if rng.random() < 0.3:
            message["tool_calls"] = [{"function": {"name": "f", "arguments": self._value(2)}}]
        if rng.random() < 0.3:
            message["reasoning_content"] = self._string()
        return message

    def context(self):
        rng = self.rng
        ints = [rng.randint(-3, 12) for _ in range(rng.randint(0, 6))]
        words = [self._string() for _ in range(rng.randint(1, 5))]
        objects = [{"name": self._string(), "kind": rng.choice(["a", "b", "A"]), "n": rng.randint(0, 5),
                    "sub": {"x": self._number()}} for _ in range(rng.randint(1, 4))]
        return {
            "i": rng.randint(-2, 5), "j": rng.choice([0, 1, 100, -7, 2**31]), "big": self._number(),
            "f": rng.choice([0.0, 1.5, -2.25, 1e16, 0.1]), "g": rng.uniform(-1e3, 1e3),
            "h": rng.uniform(-1, 1) * 10 ** rng.randint(-20, 20),
            "s": self._string(), "t": self._string(), "u": self._string(), "w": self._string(), "n": None,
            "yes": True, "no": False, "l": ints, "words": words, "mixed": [self._value(1) for _ in range(4)],
            "o": objects, "empty": [], "edict": {}, "nested": self._value(3),
            "d": {"a": self._number(), "name": self._string(), "list": ints[:3], "b": {"c": self._value(1)}},
            "messages": [self._message() for _ in range(rng.randint(1, 4))],
            "tools": rng.choice([None, [{"type": "function", "function": {"name": "f", "parameters": self._value(3)}}]]),
        }

    # Statements.

    def _name(self):
        self._names += 1
        return f"v{self._names}"

    def _tag(self, text):
        begin = self.rng.choice(["{%", "{%", "{%", "{%-", "{%+"])
        end = self.rng.choice(["%}", "%}", "%}", "-%}", "+%}"])
        return f"{begin} {text} {end}"

    def _expression(self, depth=2):
        return self._expressions.any(depth)

    def _body(self, depth):
        outer = list(self._expressions.macros)
        body = "".join(self._statement(depth) for _ in range(self.rng.randint(1, 3)))
        self._expressions.macros = outer
        return body

    def _statement(self, depth):
        rng = self.rng
        if depth <= 0 or rng.random() < 0.45:
            if rng.random() < 0.35:
                return rng.choice(TEXTS)
            if rng.random() < 0.05:
                return rng.choice(["{# note #}", "{#- note -#}", "\n  {# note #}\n", "{% raw %}{{ x }}{% endraw %}",
                                   "{%- raw -%} {% if %} {%- endraw %}"])
            begin, end = rng.choice([("{{ ", " }}"), ("{{", "}}"), ("{{- ", " -}}"), ("{{ ", " -}}")])
            return begin + self._expression() + end
        make = rng.choice([self._if, self._if, self._for, self._for, self._for, self._set, self._set, self._set_block,
                           self._macro, self._namespace, self._call, self._filter, self._with, self._generation,
                           self._block])
        lead = rng.choice(["", "", "\n", "\n  ", " "])
        return lead + make(depth - 1) + rng.choice(["", "\n"])

    def _if(self, depth):
        out = self._tag(f"if {self._expressions.condition(2)}") + self._body(depth)
        if self.rng.random() < 0.3:
            out += self._tag(f"elif {self._expressions.condition(2)}") + self._body(depth)
        if self.rng.random() < 0.5:
            out += self._tag("else") + self._body(depth)
        return out + self._tag("endif")

    def _for(self, depth):
        rng, expressions = self.rng, self._expressions
        outer = list(expressions.scope)
        if rng.random() < 0.25:
            names = [self._name(), self._name()]
            iterable = rng.choice(["d.items()", "d|items", "d|dictsort", "[[1, 'a'], [2, 'b']]", "o|groupby('kind')",
                                   f"({expressions.of('dict', 1)}).items()", "nested|items"])
        else:
            names = [self._name()]
            iterable = expressions.of("list", 2)
        expressions.scope += names
        condition = f" if {expressions.condition(1)}" if rng.random() < 0.2 else ""
        recursive = " recursive" if rng.random() < 0.05 else ""
        expressions.in_loop += 1
        body = self._body(depth)
        if rng.random() < 0.2:
            body += self._tag(f"if {expressions.condition(1)}") + self._tag(rng.choice(["break", "continue"])) + self._tag("endif")
            body += self._body(0)
        if recursive:
            body += "{{ loop(['z']) if loop.depth < 3 }}"
        if rng.random() < 0.1:
            body += "{{ loop.cycle('odd', 'even') }}" + ("{{ loop.changed(" + names[0] + ") }}")
        expressions.in_loop -= 1
        expressions.scope = outer
        out = self._tag(f"for {', '.join(names)} in {iterable}{condition}{recursive}") + body
        if rng.random() < 0.15:
            out += self._tag("else") + self._body(0)
        return out + self._tag("endfor")

    def _block(self, depth):
        """A block, printed in place and perhaps once more through `self`."""
        name = self._name()
        outer = list(self._expressions.scope)
        self._expressions.scope = []
        body = self._body(depth)
        self._expressions.scope = outer
        again = self.rng.choice(["", "{{ self.%s() }}" % name, "{{ self.%s()|upper }}" % name, "{{ self }}{{ self.missing }}"])
        scoped = self.rng.choice(["", "", " scoped"])
        return self._tag(f"block {name}{scoped}") + body + self._tag("endblock") + again

    def _set(self, depth):
        if self.rng.random() < 0.1:
            names = [self._name(), self._name()]
            value = f"{self._expression(2)}, {self._expression(2)}"
        else:
            names = [self.rng.choice([self._name(), "s", "i", "x"])]
            value = self._expression()
        self._expressions.scope += names
        return self._tag(f"set {', '.join(names)} = {value}")

    def _set_block(self, depth):
        name = self._name()
        filters = self.rng.choice(["", "", " | trim", " | upper", " | indent(2) | trim"])
        out = self._tag(f"set {name}{filters}") + self._body(depth) + self._tag("endset")
        self._expressions.scope.append(name)
        return out

    def _macro(self, depth):
        expressions = self._expressions
        name = f"m{len(expressions.macros)}"
        outer, macros, loop = list(expressions.scope), list(expressions.macros), expressions.in_loop
        params = self.rng.choice([["a"], ["a", "b=2"], ["a", "b='x'", "c=none"], [], ["a='q'", "b=a"]])
        expressions.scope += [p.split("=")[0] for p in params] + ["varargs", "kwargs"][: self.rng.choice([0, 0, 0, 2])]
        expressions.in_loop = 0
        body = self._body(depth)
        if self.rng.random() < 0.3:
            body += "{{ caller() if caller is defined }}"
        expressions.scope, expressions.macros, expressions.in_loop = outer, macros + [(name, [p.split("=")[0] for p in params])], loop
        call = f"{name}({expressions.call_args(expressions.macros[-1][1], 1)})"
        return self._tag(f"macro {name}({', '.join(params)})") + body + self._tag("endmacro") + "{{ " + call + " }}"

    def _namespace(self, depth):
        name = self._name()
        out = self._tag(f"set {name} = namespace(x={self._expression(1)}, y=0)")
        self._expressions.scope += [f"{name}.x", f"{name}.y"]
        out += self._for(depth)
        out += self._tag(f"set {name}.x = {self._expression(2)}") + self._statement(depth)
        return out + "{{ " + name + ".x }}"

    def _call(self, depth):
        if not self._expressions.macros:
            return self._macro(depth)
        params = self.rng.choice(["", "", "", "(p)", "(p, q=1)"])
        return self._tag(f"call{params} {self._expressions.call(1)}") + self._body(depth) + self._tag("endcall")

    def _filter(self, depth):
        name = self.rng.choice(["upper", "trim", "indent(4)", "replace('a', 'b')", "length", "tojson"])
        return self._tag(f"filter {name}") + self._body(depth) + self._tag("endfilter")

    def _with(self, depth):
        outer, name = list(self._expressions.scope), self._name()
        value = self._expression(2)
        self._expressions.scope.append(name)
        body = self._body(depth)
        self._expressions.scope = outer
        return self._tag(f"with {name} = {value}") + body + self._tag("endwith")

    def _generation(self, depth):
        return self._tag("generation") + self._body(depth) + self._tag("endgeneration")
