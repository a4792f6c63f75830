"""Holds what vallm says of itself in /openapi.json against what it does (see stack.py).

Every operation is called; bodies and headers must be those described, and whatever an answer has
beside them fails. Which paths there are is compared by gateway_openapi_test.cc.
"""

import functools
import json
import os
import sys
import unittest
import urllib.error
import urllib.request

try:
    import jsonschema
    import openapi_spec_validator
except ImportError:
    print("skipped: openapi-spec-validator is missing; tests/clients/install.sh installs it")
    sys.exit(77)

URL = os.environ["VALLM_TEST_BASE_URL"].removesuffix("/v1")
API_KEY = os.environ["VALLM_TEST_API_KEY"]
MODEL = os.environ["VALLM_TEST_MODEL"]

CHAT = [{"role": "user", "content": "What is 2 + 3?"}]
WEATHER = {"name": "get_weather", "description": "Get the weather.",
           "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}  # fmt: skip
TOOL = {"type": "function", "function": WEATHER}
SHORT = {"max_tokens": 12, "temperature": 0}
SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"], "additionalProperties": False}

# Bodies that must be taken, by operation. Streams are asked for besides.
GENERATING = {
    "createChatCompletion": [
        {"messages": CHAT, **SHORT},
        {"messages": CHAT, "enable_thinking": False, "n": 2, "logprobs": True, "top_logprobs": 2, **SHORT,
         "stream_options": {"include_usage": True}},
        {"messages": [{"role": "user", "content": "What is the weather in Helsinki?"}], "tools": [TOOL], "tool_choice": "required",
         "temperature": 0, "reasoning_effort": "none"},
        {"messages": CHAT, "response_format": {"type": "json_schema", "json_schema": {"name": "sum", "schema": SCHEMA}},
         "thinking": {"type": "disabled"}, "temperature": 0},
        {"messages": [*CHAT, {"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "5"}]}], "stop": ["5"], **SHORT},
    ],
    "createCompletion": [
        {"prompt": "Hello", **SHORT},
        {"prompt": ["Hello", "Good"], "n": 2, "logprobs": 2, "max_tokens": 4, "seed": 1},
        {"prompt": [[1, 2], [3]], "max_tokens": 2, "stream_options": {"include_usage": True}},
    ],
    "createResponse": [
        {"input": "What is 2 + 3?", "temperature": 0},
        {"input": "What is 2 + 3?", "reasoning": {"summary": "auto"}, "include": ["message.output_text.logprobs"],
         "top_logprobs": 1, "metadata": {"a": "b"}, "instructions": "Be brief.", "temperature": 0},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "The weather in Paris?"}]},
                   {"type": "function_call", "call_id": "1", "name": "get_weather", "arguments": "{}"},
                   {"type": "function_call_output", "call_id": "1", "output": "rain"}],
         "tools": [{"type": "function", **WEATHER}], "tool_choice": {"type": "function", "name": "get_weather"},
         "reasoning": {"effort": "none"}},
        {"input": "Count from 1 to 40.", "max_output_tokens": 3, "store": False,
         "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}},
    ],
    "createMessage": [
        {"messages": CHAT, **SHORT},
        {"messages": CHAT, "max_tokens": 300, "temperature": 0, "thinking": {"type": "enabled", "budget_tokens": 50}},
        {"messages": [*CHAT, {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
                      {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "5"}]}],
         "system": "Be brief.", "max_tokens": 60, "enable_thinking": False, "tool_choice": {"type": "any"},
         "tools": [{"name": "get_weather", "input_schema": WEATHER["parameters"]}]},
    ],
}  # fmt: skip
# What only whole answers may ask for.
WHOLE_ONLY = {
    "createChatCompletion": [{"messages": CHAT, "prompt_logprobs": 1, **SHORT}],
    "createCompletion": [{"prompt": "Hello", "echo": True, "logprobs": 1, "best_of": 2, **SHORT},
                         {"prompt": "Hello", "prompt_logprobs": 0, **SHORT}],
}  # fmt: skip
OTHERS = {
    "countMessageTokens": [{"messages": CHAT, "system": [{"type": "text", "text": "Be brief."}]}],
    "tokenize": [{"prompt": "Hello", "return_token_strs": True}, {"messages": CHAT, "tools": [TOOL]}],
    "detokenize": [{"tokens": [1, 2, 3]}],
    "tokenizeV1": [{"prompt": "Hello"}],
    "detokenizeV1": [{"tokens": [1, 2, 3]}],
    "applyTemplate": [{"messages": CHAT, "tools": [TOOL]}],
    "renderChatCompletion": [{"messages": CHAT}],
    "countChatCompletionTokens": [{"messages": CHAT}],
    "parseAnswer": [{"text": "5"}, {"text": "<think>hm</think>5", "tools": [TOOL], "stop": ["9"]}],
    "explainRoute": [{"messages": CHAT}],
}
# What must be refused, by operation: (status, body).
REFUSED = {
    "createChatCompletion": [(400, {"messages": CHAT, "temperature": "hot"}), (404, {"messages": CHAT, "model": "nope"})],
    "controlChatCompletion": [(404, {"action": "end_thinking"}), (400, {"action": "stop"})],
    "createCompletion": [(400, {"prompt": {}}), (404, {"prompt": "x", "model": "nope"})],
    "createResponse": [(400, {"input": "x", "background": True}), (404, {"input": "x", "model": "nope"})],
    "getResponse": [(404, None)],
    "deleteResponse": [(404, None)],
    "listInputItems": [(404, None)],
    "cancelResponse": [(404, {})],
    "createMessage": [(400, {"messages": CHAT}), (404, {"messages": CHAT, "max_tokens": 1, "model": "nope"})],
    "countMessageTokens": [(400, {}), (404, {"messages": CHAT, "model": "nope"})],
    "getModel": [(404, None)],
    "tokenize": [(400, {}), (404, {"prompt": "x", "model": "nope"})],
    "detokenize": [(400, {"tokens": [-1]})],
}


def load(path="/openapi.json"):
    with urllib.request.urlopen(URL + path) as reply:
        return json.load(reply)


DOCUMENT = load()
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


def resolve(value):
    if "$ref" not in value:
        return value
    node = DOCUMENT
    for key in value["$ref"].removeprefix("#/").split("/"):
        node = node[key]
    return node


@functools.cache
def validator(schema):
    """For a schema as JSON text: to make one takes longer than to use it."""
    # References lead to the document's components.
    return jsonschema.Draft202012Validator({**json.loads(schema), "components": DOCUMENT["components"]})


def check(value, schema):
    error = jsonschema.exceptions.best_match(validator(json.dumps(schema)).iter_errors(value))
    if error is not None:
        raise AssertionError(f"{error.json_path}: {error.message[:600]}\n{json.dumps(value)[:2000]}")


def call(operation, body=None, key=API_KEY, query="", **parameters):
    """Calls an operation: (status, headers, content type, text), all as described."""
    method, path, described = OPERATIONS[operation]
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(URL + path.format(**parameters) + query, data, headers, method=method)
    try:
        reply = urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        reply = error
    with reply:
        text = reply.read().decode()
    assert str(reply.status) in described["responses"], f"{operation} answered {reply.status}: {text}"
    answer = resolve(described["responses"][str(reply.status)])
    content_type = reply.headers["Content-Type"].split(";")[0]
    assert content_type in answer["content"], f"{operation} answered {content_type}"
    if reply.status == 200:
        named = {name.lower() for name in answer.get("headers", {})}
        own = {name.lower() for name in reply.headers if name.lower().startswith("x-")} - {"x-accel-buffering"}
        assert own <= named, f"{operation} has the headers {own - named}"
    schema = answer["content"][content_type]["schema"]
    if content_type == "application/json":
        check(json.loads(text), schema)
    elif content_type == "text/event-stream":
        check_stream(operation, text, schema)
    return reply, text


def check_stream(operation, text, schema):
    frames = text.removesuffix("\n\n").split("\n\n")
    if operation in ("createChatCompletion", "createCompletion"):
        assert frames.pop() == "data: [DONE]"
    for frame in frames:
        name, _, data = frame.rpartition("data: ")
        event = json.loads(data)
        check(event, schema)
        assert name == "" or name == f"event: {event['type']}\n", frame


class OpenApiTest(unittest.TestCase):
    called = set()

    def answered(self, operation, body=None, **kwargs):
        self.called.add(operation)
        reply, text = call(operation, body, **kwargs)
        self.assertEqual(reply.status, 200, text)
        return reply, text

    def body_schema(self, operation):
        return OPERATIONS[operation][2]["requestBody"]["content"]["application/json"]["schema"]

    def test_the_document_is_valid(self):
        openapi_spec_validator.validate(DOCUMENT)
        self.assertEqual(DOCUMENT["info"]["version"], load("/version")["version"])

    def test_what_is_described_is_answered(self):
        for operation, bodies in {**OTHERS, **GENERATING}.items():
            for body in bodies + WHOLE_ONLY.get(operation, []):
                with self.subTest(operation, body=body):
                    check(body, self.body_schema(operation))
                    self.answered(operation, {"model": MODEL, **body})
        for operation, bodies in GENERATING.items():
            for body in bodies:
                with self.subTest(operation, stream=True, body=body):
                    self.answered(operation, {"model": MODEL, "stream": True, **body})
        _, text = self.answered("createResponse", GENERATING["createResponse"][2])
        stored = json.loads(text)["id"]
        for operation in ("getResponse", "listInputItems", "deleteResponse"):
            self.answered(operation, id=stored)
        for operation in ("listModels", "tokenizerInfo", "health", "ready", "live", "ping", "version", "load", "metrics", "openapi"):
            self.answered(operation)
        self.answered("getModel", id=MODEL)
        self.answered("explainRouteOfPrompt", query="?prompt=Hello&priority=1")
        self.the_control_answers()
        never = {"cancelResponse"}  # always refused
        self.assertEqual(set(OPERATIONS) - self.called, never, "not called by this test")

    def the_control_answers(self):
        body = {"model": MODEL, "messages": CHAT, "stream": True, "n": 16, "temperature": 1}
        request = urllib.request.Request(URL + "/v1/chat/completions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json", "Authorization": f"Bearer {API_KEY}"})  # fmt: skip
        with urllib.request.urlopen(request) as stream:
            for line in stream:
                if b'"reasoning":"' in line:
                    chunk = json.loads(line.removeprefix(b"data: "))
                    break
            self.answered("controlChatCompletion", {"action": "end_thinking"}, id=chunk["id"])

    def test_refusals_are_described(self):
        for operation, cases in REFUSED.items():
            for status, body in cases:
                with self.subTest(operation, status=status):
                    reply, text = call(operation, body, id="nope")
                    self.assertEqual(reply.status, status, text)
                    if status == 400 and body != {"action": "stop"}:
                        with self.assertRaises(AssertionError, msg="the schema allows it"):
                            check(body, self.body_schema(operation))

    def test_keys_are_asked_for_where_it_says_so(self):
        for operation, (_, _, described) in OPERATIONS.items():
            with self.subTest(operation):
                reply, _ = call(operation, {} if "requestBody" in described else None, key=None, id="nope")
                self.assertEqual(reply.status, 200 if described.get("security") == [] else 401)

    def test_no_described_parameter_is_ignored(self):
        for operation, bodies in GENERATING.items():
            schema = resolve(self.body_schema(operation))
            usual = {**bodies[0], "max_output_tokens" if operation == "createResponse" else "max_tokens": 2}
            for name, described in schema["properties"].items():
                with self.subTest(operation, name=name):
                    ignored = self.ignored(operation, {**usual, name: self.example(name, described)})
                    if "ithout effect" in json.dumps(resolve(described)):
                        continue
                    self.assertNotIn(name, [n.split(".")[0] for n in ignored])
            self.assertEqual(self.ignored(operation, {**usual, "no_such_parameter": 1}), ["no_such_parameter"])

    def ignored(self, operation, body):
        reply, _ = call(operation, {"model": MODEL, **body})
        return (reply.headers["x-ignored-params"] or "").split(",")

    def example(self, name, schema):
        """A value that the schema allows; whether it makes sense is not the point."""
        schema = resolve(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        if "anyOf" in schema:
            return self.example(name, schema["anyOf"][0])
        kind = schema.get("type", "object")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return {key: self.example(key, schema["properties"][key]) for key in schema.get("required", [])}
        if kind == "array":
            return [self.example(name, schema["items"])] * schema.get("minItems", 0)
        return {"string": "x", "boolean": False, "integer": max(schema.get("minimum", 0), 1),
                "number": max(schema.get("minimum", 0), 1)}[kind]  # fmt: skip


if __name__ == "__main__":
    unittest.main(verbosity=1)
