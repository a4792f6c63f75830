"""Random conversations in the shapes that chat APIs and agents send, as variables of a template."""

TEXTS = [
    "", "Hi", "What's the weather in Zürich?", "  leading and trailing  \n", "line 1\nline 2\n\nline 4", "日本語で答えて", "🙂👩‍👩‍👧",
    "<think>\nhmm\n</think>\n\nanswer", "</think>", "<tool_call>\n{}\n</tool_call>", "<|im_end|>", "{{ not a template }} {% x %}",
    "quotes \" and ' and \\ and \t", "<tool_response>x</tool_response>", "<b>&amp;</b>", "42", "null", "e\u0301\u2028\u00a0",
    "<think>unclosed", "a</think>b</think>c", "/no_think", "Use /think please", "[INST] x [/INST]", "very " * 40,
]
NAMES = ["get_weather", "search", "run_code", "naïve-name", "a.b"]
ROLES = ["system", "user", "assistant", "tool"]
ODD_ROLES = ["developer", "ipython", "function", "documents", "thinking"]


class Conversations:
    """Draws from `rng`. Most have text for content and objects for arguments, in the order of a chat
    API; the others are wilder."""

    def __init__(self, rng):
        self.rng = rng
        self._tame = True

    def context(self):
        rng = self.rng
        self._tame = rng.random() < 0.7
        context = {"bos_token": "<s>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
                   "messages": self._messages(), "tools": self._tools(), "documents": None,
                   "add_generation_prompt": rng.random() < 0.5}
        for name, values in {"enable_thinking": [True, False], "thinking": [True, False],
                             "reasoning_effort": ["low", "high"], "date_string": ["1 Jan 2026"],
                             "preserve_thinking": [True], "clear_thinking": [True, False],
                             "builtin_tools": [["browser"]], "model_identity": ["You are X."],
                             "documents": [[{"title": "t", "text": "body"}]],
                             "custom_tools": [None], "tools_in_user_message": [False],
                             "system_message": ["S"], "xml_tools": [True]}.items():
            if rng.random() < 0.15:
                context[name] = rng.choice(values)
        return context

    def _text(self):
        return self.rng.choice(TEXTS)

    def _content(self):
        rng = self.rng
        p = rng.random()
        if self._tame or p < 0.75:
            return self._text()
        if p < 0.9:
            return [{"type": "text", "text": self._text()} for _ in range(rng.randint(0, 2))]
        return rng.choice([None, "", [{"type": "image_url", "image_url": {"url": "u"}}], {"k": 1}, 7])

    def _value(self, depth):
        rng = self.rng
        if depth == 0 or rng.random() < 0.6:
            return rng.choice([self._text(), 1, 2.0, -0.5, 1e21, 10**20, True, None])
        if rng.random() < 0.4:
            return [self._value(depth - 1) for _ in range(rng.randint(0, 3))]
        return {rng.choice(["city", "unit", "items", "日", "n"]): self._value(depth - 1) for _ in range(rng.randint(0, 3))}

    def _arguments(self):
        rng = self.rng
        as_object = {rng.choice(["city", "unit", "code", "é"]): self._value(2) for _ in range(rng.randint(0, 3))}
        if self._tame or rng.random() < 0.6:
            return as_object
        return rng.choice(['{"city": "Bern"}', "", '{"city": ', "not json", "[1, 2]"])

    def _calls(self):
        rng = self.rng
        calls = []
        for i in range(rng.choice([0, 1, 1, 1, 2, 3])):
            call = {"id": f"call_{i:05d}ab"[:9], "type": "function",
                    "function": {"name": rng.choice(NAMES), "arguments": self._arguments()}}
            calls.append(call if self._tame or rng.random() < 0.9 else call["function"])
        return calls

    def _message(self, role):
        rng = self.rng
        message = {"role": role, "content": self._content()}
        if role == "assistant":
            if rng.random() < 0.4:
                message["tool_calls"] = self._calls()
            if rng.random() < 0.4:
                message[rng.choice(["reasoning_content", "reasoning_content", "reasoning", "thinking"])] = self._text()
            if not self._tame and rng.random() < 0.2:
                del message["content"]
        if role == "tool":
            message["tool_call_id"] = "call_0000"
            if rng.random() < 0.5:
                message["name"] = rng.choice(NAMES)
        return message

    def _messages(self):
        rng = self.rng
        if not self._tame and rng.random() < 0.6:
            roles = [rng.choice(ROLES if rng.random() < 0.95 else ODD_ROLES) for _ in range(rng.randint(0, 7))]
            return [self._message(role) for role in roles]
        messages = [self._message("system")] if rng.random() < 0.5 else []
        for _ in range(rng.randint(1, 3)):
            messages.append(self._message("user"))
            messages.append(self._message("assistant"))
            for _ in messages[-1].get("tool_calls", []):
                messages.append(self._message("tool"))
        return messages + ([self._message("user")] if rng.random() < 0.6 else [])

    def _schema(self, depth):
        rng = self.rng
        schema = {"type": rng.choice(["string", "integer", "number", "boolean", "array", "object", ["string", "null"]])}
        if rng.random() < 0.5:
            schema["description"] = self._text()
        if rng.random() < 0.2:
            schema["enum"] = ["a", "b", 1]
        if rng.random() < 0.15:
            schema["default"] = self._value(1)
        if depth and schema["type"] == "object":
            schema["properties"] = {n: self._schema(depth - 1) for n in rng.sample(["x", "y", "z"], rng.randint(0, 3))}
            schema["required"] = ["x"]
        if depth and schema["type"] == "array":
            schema["items"] = self._schema(depth - 1)
        if rng.random() < 0.1:
            schema["anyOf"] = [{"type": "string"}, {"type": "null"}]
        return schema

    def _tools(self):
        rng = self.rng
        if rng.random() < 0.45:
            return rng.choice([None, None, []])
        tools = []
        for _ in range(rng.randint(1, 3)):
            properties = {n: self._schema(2) for n in rng.sample(["city", "unit", "days", "opts"], rng.randint(0, 4))}
            parameters = {"type": "object", "properties": properties}
            if rng.random() < 0.7:
                parameters["required"] = list(properties)[:1]
            function = {"name": rng.choice(NAMES), "description": self._text(), "parameters": parameters}
            if rng.random() < 0.1:
                function["return"] = {"type": "string"}
            tools.append({"type": "function", "function": function})
        return tools
