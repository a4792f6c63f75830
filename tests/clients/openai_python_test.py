"""The OpenAI Python SDK against a running vallm (see stack.py)."""

import concurrent.futures
import json
import os
import sys
import unittest
import urllib.request

try:
    import openai
except ImportError:
    print("skipped: the openai package is missing; tests/clients/install.sh installs it")
    sys.exit(77)

BASE_URL = os.environ["VALLM_TEST_BASE_URL"]
API_KEY = os.environ["VALLM_TEST_API_KEY"]
MODEL = os.environ["VALLM_TEST_MODEL"]

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather for a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city"],
        },
    },
}


def user(text):
    return [{"role": "user", "content": text}]


def thinking(enabled):
    return {"chat_template_kwargs": {"enable_thinking": enabled}}


class OpenAiPythonTest(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=60)
        self.addCleanup(self.client.close)

    def chat(self, text, **kwargs):
        kwargs.setdefault("messages", user(text))
        return self.client.chat.completions.create(model=MODEL, **{"temperature": 0, **kwargs})

    def fold(self, stream):
        """A stream's deltas put together: (reasoning, content, finish_reason, usage)."""
        reasoning, content, finish, usage, ids = "", "", None, None, set()
        for chunk in stream:
            ids.add((chunk.id, chunk.created, chunk.model))
            usage = chunk.usage or usage
            for choice in chunk.choices:
                reasoning += getattr(choice.delta, "reasoning_content", None) or ""
                content += choice.delta.content or ""
                finish = choice.finish_reason or finish
        self.assertEqual(len(ids), 1, "id, created and model must not change within a stream")
        return reasoning, content, finish, usage

    def test_lists_the_model(self):
        models = self.client.models.list().data
        self.assertEqual([m.id for m in models], [MODEL])
        self.assertEqual(models[0].model_dump()["max_model_len"], 4096)

    def test_thinks_and_answers(self):
        reply = self.chat("What is 478 + 356?")
        message = reply.choices[0].message
        self.assertIn("834", message.content)
        self.assertTrue(message.reasoning_content)
        self.assertEqual(message.reasoning_content, message.reasoning)
        self.assertNotIn("think>", message.content + message.reasoning_content)
        self.assertEqual(reply.choices[0].finish_reason, "stop")
        self.assertGreater(reply.usage.completion_tokens_details.reasoning_tokens, 0)

    def test_answers_without_thinking_when_told_so(self):
        message = self.chat("What is 478 + 356?", extra_body=thinking(False)).choices[0].message
        self.assertIn("834", message.content)
        self.assertFalse(message.reasoning_content)

    def test_a_budget_ends_the_thought(self):
        free = self.chat("What is 478 + 356?").choices[0].message.reasoning_content
        for name in ("thinking_token_budget", "thinking_budget"):
            with self.subTest(name=name):
                reply = self.chat("What is 478 + 356?", extra_body={name: 4})
                message = reply.choices[0].message
                thought, _, closing = message.reasoning_content.partition("Considering the limited time")
                self.assertTrue(closing, "the thought is closed with the model's own sentence")
                self.assertTrue(free.startswith(thought.rstrip("\n")))
                self.assertTrue(message.content)
                self.assertGreater(reply.usage.completion_tokens_details.reasoning_tokens, 4)
                stream = self.chat("What is 478 + 356?", stream=True, extra_body={name: 4})
                reasoning, content, _, _ = self.fold(stream)
                self.assertEqual((reasoning, content), (message.reasoning_content, message.content))
        for body in ({"thinking_token_budget": 100000},
                     {"thinking": {"type": "enabled", "budget_tokens": 100000}}):
            reply = self.chat("What is 478 + 356?", extra_body=body)
            self.assertEqual(reply.choices[0].message.reasoning_content, free)
        without = self.chat("What is 478 + 356?", extra_body={"thinking_token_budget": 0})
        self.assertFalse(without.choices[0].message.reasoning_content)
        with self.assertRaises(openai.BadRequestError) as raised:
            self.chat("Hi", extra_body={"thinking_token_budget": 3, "thinking_budget": 4})
        self.assertEqual(raised.exception.param, "thinking_budget")

    def test_thinking_ends_when_told_so(self):
        # Slow enough to be told in time: the model thinks about everything for a while.
        stream = self.chat("What is 478 + 356?", stream=True, n=16, temperature=1)
        answers, told = {}, False
        for chunk in stream:
            for choice in chunk.choices:
                reasoning = getattr(choice.delta, "reasoning_content", None) or ""
                content = choice.delta.content or ""
                old = answers.get(choice.index, ("", ""))
                answers[choice.index] = (old[0] + reasoning, old[1] + content)
            if not told and any(reasoning for reasoning, _ in answers.values()):
                reply = self.client.post(f"/chat/completions/{chunk.id}/control",
                                         body={"action": "end_thinking"}, cast_to=object)
                self.assertEqual((reply["id"], reply["action"]), (chunk.id, "end_thinking"))
                told = True
        self.assertTrue(told)
        closed = [reasoning for reasoning, _ in answers.values() if "Considering the limited time" in reasoning]
        self.assertTrue(closed, "some of sixteen thoughts were open still")
        for reasoning, content in answers.values():
            self.assertTrue(content, reasoning)
        with self.assertRaises(openai.NotFoundError):
            self.client.post(f"/chat/completions/{chunk.id}/control",
                             body={"action": "end_thinking"}, cast_to=object)
        with self.assertRaises(openai.BadRequestError) as raised:
            self.client.post("/chat/completions/chatcmpl-1/control", body={"action": "stop"}, cast_to=object)
        self.assertEqual(raised.exception.param, "action")

    def test_speculation_changes_nothing_but_the_usage(self):
        ask = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20. Count from 1 to 40."
        for temperature in (0, 0.8):
            plain = self.chat(ask, seed=5, temperature=temperature, extra_body=thinking(False))
            fast = self.chat(ask, seed=5, temperature=temperature,
                             extra_body={**thinking(False), "prompt_lookup_num_tokens": 8})  # fmt: skip
            self.assertEqual(fast.choices[0].message.content, plain.choices[0].message.content)
            self.assertEqual(fast.usage.completion_tokens, plain.usage.completion_tokens)
            self.assertEqual(plain.usage.completion_tokens_details.accepted_prediction_tokens, 0)
            self.assertEqual(plain.usage.completion_tokens_details.rejected_prediction_tokens, 0)
            if temperature == 0:
                self.assertGreater(fast.usage.completion_tokens_details.accepted_prediction_tokens, 0)
        with self.assertRaises(openai.BadRequestError) as raised:
            self.chat(ask, extra_body={"prompt_lookup_num_tokens": 17})
        self.assertEqual(raised.exception.param, "prompt_lookup_num_tokens")

    def test_stream_equals_whole_answer(self):
        for enabled in (True, False):
            with self.subTest(thinking=enabled):
                body = thinking(enabled)
                whole = self.chat("Count from 1 to 40.", extra_body=body)
                stream = self.chat("Count from 1 to 40.", extra_body=body, stream=True,
                                   stream_options={"include_usage": True})  # fmt: skip
                reasoning, content, finish, usage = self.fold(stream)
                message = whole.choices[0].message
                self.assertEqual(reasoning, message.reasoning_content or "")
                self.assertEqual(content, message.content)
                self.assertEqual(finish, whole.choices[0].finish_reason)
                self.assertEqual(usage.completion_tokens, whole.usage.completion_tokens)
                self.assertEqual(usage.prompt_tokens, whole.usage.prompt_tokens)

    def test_chinese_arrives_whole(self):
        reasoning, content, _, _ = self.fold(self.chat("你是谁？", extra_body=thinking(False), stream=True))
        self.assertNotIn("\ufffd", content)
        self.assertEqual(content, self.chat("你是谁？", extra_body=thinking(False)).choices[0].message.content)

    def test_tool_call_round_trip(self):
        messages = user("What is the weather in Helsinki in Celsius?")
        first = self.chat("", messages=messages, tools=[WEATHER])
        self.assertEqual(first.choices[0].finish_reason, "tool_calls")
        self.assertIsNone(first.choices[0].message.content)
        call = first.choices[0].message.tool_calls[0]
        self.assertEqual((call.type, call.function.name), ("function", "get_weather"))
        self.assertEqual(json.loads(call.function.arguments)["city"], "Helsinki")
        messages = messages + [
            first.choices[0].message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id,
             "content": json.dumps({"city": "Helsinki", "temperature": -4, "condition": "snowy"})},
        ]  # fmt: skip
        second = self.chat("", messages=messages, tools=[WEATHER])
        self.assertEqual(second.choices[0].finish_reason, "stop")
        self.assertIn("Helsinki", second.choices[0].message.content)

    def test_forced_tool_calls(self):
        named = {"type": "function", "function": {"name": "get_weather"}}
        for choice in ("required", named):
            for enabled in (True, False):
                with self.subTest(choice=choice, thinking=enabled):
                    reply = self.chat("Good morning", tools=[WEATHER], tool_choice=choice, extra_body=thinking(enabled))
                    call = reply.choices[0].message.tool_calls[0]
                    self.assertEqual(call.function.name, "get_weather")
                    self.assertIn("city", json.loads(call.function.arguments))

    def test_answers_keep_to_their_schema(self):
        schema = {"type": "object", "properties": {"sum": {"type": "integer", "minimum": 0, "maximum": 9999}, "sure": {"type": "boolean"}},
                  "required": ["sum", "sure"], "additionalProperties": False}  # fmt: skip
        format = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
        for enabled in (True, False):
            for stream in (True, False):
                with self.subTest(thinking=enabled, stream=stream):
                    reply = self.client.chat.completions.create(
                        model=MODEL, messages=user("What is 478 + 356?"), temperature=1, seed=3, response_format=format,
                        stream=stream, extra_body=thinking(enabled))  # fmt: skip
                    content = self.fold(reply)[1] if stream else reply.choices[0].message.content
                    answer = json.loads(content)
                    self.assertEqual(list(answer), ["sum", "sure"])
                    self.assertIsInstance(answer["sure"], bool)

    def test_a_format_leaves_room_for_calls(self):
        schema = {"type": "object", "properties": {"answer": {"type": "string", "maxLength": 40}}, "required": ["answer"],
                  "additionalProperties": False}  # fmt: skip
        format = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
        body = json.dumps({"prompt": "<tool_call>", "add_special_tokens": False}).encode()
        request = urllib.request.Request(BASE_URL.removesuffix("/v1") + "/tokenize", body, {"Authorization": f"Bearer {API_KEY}"})
        with urllib.request.urlopen(request) as reply:
            (call_id,) = json.load(reply)["tokens"]
        # What the model likes better is not the point.
        for bias, finish in ((100, "tool_calls"), (-100, "stop")):
            for stream in (True, False):
                with self.subTest(finish=finish, stream=stream):
                    reply = self.chat("What is the weather in Helsinki?", tools=[WEATHER], response_format=format, stream=stream,
                                      parallel_tool_calls=False, logit_bias={call_id: bias}, extra_body=thinking(False))  # fmt: skip
                    if stream:
                        _, content, ended, _ = self.fold(reply)
                    else:
                        content, ended = reply.choices[0].message.content, reply.choices[0].finish_reason
                    self.assertEqual(ended, finish)
                    if finish == "stop":
                        self.assertEqual(list(json.loads(content)), ["answer"])
                    else:
                        self.assertFalse(content)

    def test_other_constraints(self):
        for body, pattern in (({"guided_choice": ["red", "green"]}, "red|green"), ({"guided_regex": "[xyz]{4}"}, "[xyz]{4}"),
                              ({"structured_outputs": {"grammar": 'root ::= "<" [a-c]+ ">"'}}, "<[abc]+>")):
            with self.subTest(body=body):
                content = self.chat("Hello", max_tokens=30, extra_body={**body, **thinking(False)}).choices[0].message.content
                self.assertRegex(content, f"^({pattern})$")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat("Hello", extra_body={"guided_json": {"not": {}}})
        self.assertIn("keyword 'not' is not supported", str(caught.exception))

    def test_streamed_tool_call_equals_whole(self):
        question = "What is the weather in Helsinki in Celsius?"
        whole = self.chat(question, tools=[WEATHER]).choices[0].message.tool_calls
        calls, finish = {}, None
        for chunk in self.chat(question, tools=[WEATHER], stream=True):
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                for delta in choice.delta.tool_calls or []:
                    call = calls.setdefault(delta.index, {"id": delta.id, "type": delta.type, "name": delta.function.name, "arguments": ""})
                    call["arguments"] += delta.function.arguments or ""
        self.assertEqual(finish, "tool_calls")
        self.assertEqual(list(calls), list(range(len(whole))))
        for index, call in calls.items():
            self.assertTrue(call["id"])
            self.assertEqual(call["type"], "function")
            self.assertEqual((call["name"], call["arguments"]), (whole[index].function.name, whole[index].function.arguments))

    def test_same_seed_same_answer_and_parallel_requests_do_not_mix(self):
        def ask(i):
            return self.client.chat.completions.create(
                model=MODEL, messages=user(f"What is {100 + i} + {200 + i}?"), temperature=0.8, top_p=0.95,
                seed=7 + i, max_tokens=200,
            ).choices[0].message  # fmt: skip

        alone = [(m.reasoning_content, m.content) for m in map(ask, range(8))]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            together = [(m.reasoning_content, m.content) for m in pool.map(ask, range(8))]
        self.assertEqual(alone, together)

    def test_completions(self):
        prompt = "<|im_start|>user\nWhat is 2 + 3?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
        reply = self.client.completions.create(model=MODEL, prompt=prompt, max_tokens=50, temperature=0)
        self.assertIn("5", reply.choices[0].text)
        streamed = "".join(
            c.choices[0].text
            for c in self.client.completions.create(model=MODEL, prompt=prompt, max_tokens=50, temperature=0, stream=True)
            if c.choices
        )
        self.assertEqual(streamed, reply.choices[0].text)

    def test_max_tokens_cuts_with_finish_reason_length(self):
        reply = self.chat("Count from 1 to 40.", max_tokens=5)
        self.assertEqual(reply.choices[0].finish_reason, "length")
        self.assertEqual(reply.usage.completion_tokens, 5)

    def test_stop_string_is_not_part_of_the_answer(self):
        reply = self.chat("Count from 1 to 40.", stop=["7"], extra_body=thinking(False))
        self.assertEqual(reply.choices[0].finish_reason, "stop")
        self.assertIn("6", reply.choices[0].message.content)
        self.assertNotIn("7", reply.choices[0].message.content)

    def test_logprobs_are_of_every_token_and_stream_with_their_text(self):
        body = thinking(False)
        whole = self.chat("Count from 1 to 40.", logprobs=True, top_logprobs=3, max_tokens=30, extra_body=body)
        content = whole.choices[0].logprobs.content
        self.assertEqual(len(content), whole.usage.completion_tokens)
        self.assertEqual(b"".join(bytes(t.bytes) for t in content).decode().strip(), whole.choices[0].message.content.strip())
        for token in content:
            self.assertLessEqual(token.logprob, 0)
            self.assertEqual(len(token.top_logprobs), 3)
            self.assertEqual(token.top_logprobs[0].token, token.token, "greedy takes the likeliest")
            self.assertEqual(token.top_logprobs[0].logprob, token.logprob)
        streamed = []
        for chunk in self.chat("Count from 1 to 40.", logprobs=True, top_logprobs=3, max_tokens=30, extra_body=body, stream=True):
            for choice in chunk.choices:
                if choice.logprobs:
                    streamed += choice.logprobs.content
        self.assertEqual(streamed, content)

    def test_logprobs_survive_tools_and_reasoning(self):
        reply = self.chat("What is the weather in Helsinki in Celsius?", tools=[WEATHER], logprobs=True)
        self.assertEqual(reply.choices[0].finish_reason, "tool_calls")
        self.assertEqual(len(reply.choices[0].logprobs.content), reply.usage.completion_tokens)

    def test_n_choices_are_those_of_their_seeds(self):
        def ask(seed, n, **kwargs):
            return self.client.chat.completions.create(
                model=MODEL, messages=user("Hello!"), temperature=1.5, seed=seed, n=n, max_tokens=20, **kwargs
            )  # fmt: skip

        three = ask(40, 3)
        self.assertEqual([c.index for c in three.choices], [0, 1, 2])
        for i, choice in enumerate(three.choices):
            one = ask(40 + i, 1).choices[0].message
            self.assertEqual((choice.message.content, choice.message.reasoning_content), (one.content, one.reasoning_content))
        texts = ["", "", ""]
        for chunk in ask(40, 3, stream=True):
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
                texts[choice.index] += getattr(choice.delta, "reasoning_content", None) or ""
        self.assertEqual(texts, [(c.message.reasoning_content or "") + c.message.content for c in three.choices])
        self.assertEqual(three.usage.prompt_tokens, ask(40, 1).usage.prompt_tokens)
        self.assertGreater(three.usage.completion_tokens, 20)

    def completion(self, **kwargs):
        kwargs.setdefault("temperature", 0)
        return self.client.completions.create(model=MODEL, prompt="Hello, I am", max_tokens=12, **kwargs)

    def test_penalties_biases_and_bans_change_the_answer(self):
        plain = self.completion(logprobs=0)
        first = plain.choices[0].logprobs.tokens[0]
        for change in (
            {"logit_bias": {"100": 100}},
            {"extra_body": {"bad_words": [first]}},
            {"extra_body": {"allowed_token_ids": [100, 101, 102]}},
            {"presence_penalty": 2, "frequency_penalty": 2, "extra_body": {"repetition_penalty": 5}},
        ):
            with self.subTest(**change):
                self.assertNotEqual(self.completion(**change).choices[0].text, plain.choices[0].text)
        same = self.completion(extra_body={"min_p": 0.5, "min_tokens": 0, "repetition_penalty": 1})
        self.assertEqual(same.choices[0].text, plain.choices[0].text, "min_p never touches the likeliest")
        longer = self.completion(extra_body={"min_tokens": 12}).usage.completion_tokens
        self.assertEqual(longer, 12)

    def test_completion_logprobs_and_echo(self):
        reply = self.completion(logprobs=2).choices[0]
        logprobs = reply.logprobs
        self.assertEqual(len(logprobs.tokens), len(logprobs.token_logprobs))
        for i, token in enumerate(logprobs.tokens):
            self.assertIn(token, logprobs.top_logprobs[i])
            if not token.startswith("bytes:") and logprobs.text_offset[i] < len(reply.text):
                self.assertTrue(reply.text.startswith(token, logprobs.text_offset[i]))
        echo = self.completion(logprobs=2, echo=True).choices[0]
        self.assertEqual(echo.text, "Hello, I am" + reply.text)
        self.assertIsNone(echo.logprobs.token_logprobs[0])
        self.assertEqual(echo.logprobs.token_logprobs[-len(logprobs.tokens):], logprobs.token_logprobs)
        scored = self.completion(extra_body={"prompt_logprobs": 0}).choices[0].prompt_logprobs
        own = [next(iter(position.values()))["logprob"] for position in scored[1:]]
        self.assertEqual(own, echo.logprobs.token_logprobs[1 : len(scored)])

    def test_best_of_is_the_likeliest_of_its_seeds(self):
        def ask(seed, **kwargs):
            return self.completion(temperature=1.5, seed=seed, logprobs=0, **kwargs).choices[0]

        def mean(choice):
            return sum(choice.logprobs.token_logprobs) / len(choice.logprobs.token_logprobs)

        alone = [ask(60 + i) for i in range(4)]
        self.assertEqual(ask(60, best_of=4).text, max(alone, key=mean).text)

    def test_sampling_parameters_out_of_range_are_named(self):
        for name, value in (
            ("presence_penalty", 3),
            ("frequency_penalty", -3),
            ("top_logprobs", 21),
            ("logit_bias", {"x": 1}),
        ):
            with self.subTest(name), self.assertRaises(openai.BadRequestError) as caught:
                self.chat("Hello!", **{name: value})
            self.assertEqual(caught.exception.param, name)

    def test_wrong_key_is_refused(self):
        client = openai.OpenAI(base_url=BASE_URL, api_key="wrong", max_retries=0)
        with self.assertRaises(openai.AuthenticationError):
            client.models.list()

    def test_unknown_model_is_not_found(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.chat.completions.create(model="no-such-model", messages=user("Hello!"))
        self.assertEqual(caught.exception.code, "model_not_found")

    def test_bad_parameter_is_named(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.chat.completions.create(model=MODEL, messages=user("Hello!"), temperature=-1)
        self.assertEqual(caught.exception.param, "temperature")

    def test_too_long_prompt_says_how_long(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat("word " * 5000)
        self.assertEqual(caught.exception.code, "context_length_exceeded")
        self.assertIn("4096", caught.exception.message)


if __name__ == "__main__":
    unittest.main(verbosity=1)
