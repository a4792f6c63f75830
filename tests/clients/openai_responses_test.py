"""OpenAI's Responses API with its Python SDK, and the SDK's helpers around chats (see stack.py)."""

import json
import os
import sys
import unittest

try:
    import openai
    import pydantic
except ImportError:
    print("skipped: the openai package is missing; tests/clients/install.sh installs it")
    sys.exit(77)

BASE_URL = os.environ["VALLM_TEST_BASE_URL"]
API_KEY = os.environ["VALLM_TEST_API_KEY"]
MODEL = os.environ["VALLM_TEST_MODEL"]

QUESTION = "What is 478 + 356?"
WEATHER_QUESTION = "What is the weather in Helsinki in Celsius?"


class Sum(pydantic.BaseModel):
    sum: int
    sure: bool


class GetWeather(pydantic.BaseModel):
    """Get the current weather for a city."""

    city: str


WEATHER = {
    "type": "function",
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
}
NO_THOUGHT = {"effort": "none"}


class ClientTest(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=60)
        self.addCleanup(self.client.close)


class ResponsesTest(ClientTest):
    def create(self, question=QUESTION, **kwargs):
        return self.client.responses.create(model=MODEL, **{"input": question, "temperature": 0, **kwargs})

    def stream(self, question=QUESTION, **kwargs):
        """The events and the final response."""
        kwargs = {"input": question, "temperature": 0, **kwargs}
        with self.client.responses.stream(model=MODEL, **kwargs) as stream:
            events = list(stream)
            return events, stream.get_final_response()

    def output(self, response):
        """What stays the same when a response is made again."""
        items = [item.to_dict() for item in response.output]
        for item in items:
            for name in ("id", "call_id", "parsed_arguments"):
                item.pop(name, None)
            for part in item.get("content", []):
                part.pop("parsed", None)
        return items

    def test_a_response(self):
        response = self.create()
        self.assertEqual((response.status, response.object, response.model), ("completed", "response", MODEL))
        self.assertEqual([item.type for item in response.output], ["reasoning", "message"])
        self.assertTrue(response.output[0].content[0].text)
        self.assertIn("834", response.output_text)
        usage = response.usage
        self.assertGreater(usage.output_tokens_details.reasoning_tokens, 0)
        self.assertEqual(usage.total_tokens, usage.input_tokens + usage.output_tokens)
        chat = self.client.chat.completions.create(
            model=MODEL, temperature=0, messages=[{"role": "user", "content": QUESTION}])
        self.assertEqual(response.output_text, chat.choices[0].message.content)
        self.assertEqual(response.output[0].content[0].text, chat.choices[0].message.reasoning)
        self.assertEqual(usage.input_tokens, chat.usage.prompt_tokens)

    def test_a_stream_is_the_response(self):
        for arguments in ({}, {"reasoning": NO_THOUGHT}, {"reasoning": {"summary": "auto"}},
                          {"question": WEATHER_QUESTION, "tools": [WEATHER]}):
            with self.subTest(**arguments):
                events, response = self.stream(**arguments)
                self.assertEqual([e.sequence_number for e in events], list(range(len(events))))
                self.assertEqual([events[0].type, events[1].type, events[-1].type],
                                 ["response.created", "response.in_progress", "response.completed"])
                whole = self.create(**arguments)
                self.assertEqual(self.output(response), self.output(whole))
                self.assertEqual(response.usage.output_tokens, whole.usage.output_tokens)
                text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
                self.assertEqual(text, whole.output_text)

    def test_thoughts_are_told(self):
        events, response = self.stream()
        thought = "".join(e.delta for e in events if e.type == "response.reasoning_text.delta")
        self.assertTrue(thought)
        self.assertEqual(response.output[0].content[0].text, thought)
        events, response = self.stream(reasoning={"summary": "auto"})
        summary = "".join(e.delta for e in events if e.type == "response.reasoning_summary_text.delta")
        self.assertEqual((summary, response.output[0].summary[0].text), (thought, thought))
        self.assertEqual([i.type for i in self.create(reasoning=NO_THOUGHT).output], ["message"])

    def test_tools_and_their_results(self):
        first = self.create(WEATHER_QUESTION, tools=[WEATHER])
        call = first.output[-1]
        self.assertEqual((call.type, call.name), ("function_call", "get_weather"))
        self.assertEqual(json.loads(call.arguments)["city"], "Helsinki")
        result = {"type": "function_call_output", "call_id": call.call_id,
                  "output": json.dumps({"city": "Helsinki", "temperature": -4, "condition": "snowy"})}
        answers = [
            self.create([{"role": "user", "content": WEATHER_QUESTION}, *first.output, result], tools=[WEATHER]),
            self.create([result], tools=[WEATHER], previous_response_id=first.id),
            self.create([{"role": "user", "content": WEATHER_QUESTION},
                         *({"type": "item_reference", "id": item.id} for item in first.output), result], tools=[WEATHER]),
        ]  # fmt: skip
        self.assertIn("Helsinki", answers[0].output_text)
        for answer in answers[1:]:
            self.assertEqual(self.output(answer), self.output(answers[0]))
            self.assertEqual(answer.usage.input_tokens, answers[0].usage.input_tokens)

    def test_calls_can_be_forced(self):
        for choice in ("required", {"type": "function", "name": "get_weather"},
                       {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_weather"}]}):
            with self.subTest(choice=choice):
                response = self.create("Good morning", tools=[WEATHER], tool_choice=choice, reasoning=NO_THOUGHT)
                self.assertEqual({item.type for item in response.output}, {"function_call"})
                self.assertIn("city", json.loads(response.output[0].arguments))
        none = self.create(WEATHER_QUESTION, tools=[WEATHER], tool_choice="none")
        self.assertNotIn("function_call", [item.type for item in none.output])

    def test_parsed_answers(self):
        for reasoning in (NO_THOUGHT, {}):
            response = self.client.responses.parse(model=MODEL, input=QUESTION, temperature=1, text_format=Sum,
                                                   reasoning=reasoning, extra_body={"seed": 3})  # fmt: skip
            self.assertIsInstance(response.output_parsed, Sum)
        events, response = self.stream(text_format=Sum, reasoning=NO_THOUGHT)
        self.assertIsInstance(response.output_parsed, Sum)
        # What the model puts in an object of its own is not the point, nor whether it ends in time.
        self.assertTrue(self.create(text={"format": {"type": "json_object"}}, reasoning=NO_THOUGHT,
                                    max_output_tokens=20).output_text.startswith("{"))  # fmt: skip

    def test_parsed_calls(self):
        response = self.client.responses.parse(
            model=MODEL, input=WEATHER_QUESTION, temperature=0, tool_choice="required",
            tools=[openai.pydantic_function_tool(GetWeather)])
        self.assertIsInstance(response.output[-1].parsed_arguments, GetWeather)

    def test_what_is_kept(self):
        kept = self.create(metadata={"topic": "sums"}, instructions="You are terse.")
        again = self.client.responses.retrieve(kept.id)
        self.assertEqual(again.to_dict(), kept.to_dict())
        self.assertEqual((again.metadata, again.instructions), ({"topic": "sums"}, "You are terse."))
        (item,) = self.client.responses.input_items.list(kept.id).data
        self.assertEqual((item.role, item.content[0].text), ("user", QUESTION))
        second = self.create("And again?", previous_response_id=kept.id)
        items = list(self.client.responses.input_items.list(second.id, limit=1, order="asc"))
        self.assertEqual([i.type for i in items], ["message", *(i.type for i in kept.output), "message"])
        self.client.responses.delete(kept.id)
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.retrieve(kept.id)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.create(previous_response_id=kept.id)
        self.assertEqual(caught.exception.code, "previous_response_not_found")
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.retrieve(self.create(store=False).id)
        with self.assertRaises(openai.BadRequestError):
            self.client.responses.cancel(second.id)

    def test_a_conversation_remembers(self):
        first = self.create("Hello!", reasoning=NO_THOUGHT)
        second = self.create(QUESTION, previous_response_id=first.id, reasoning=NO_THOUGHT)
        by_hand = self.create([{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": first.output_text},
                               {"role": "user", "content": QUESTION}], reasoning=NO_THOUGHT)  # fmt: skip
        self.assertEqual(second.output_text, by_hand.output_text)
        self.assertEqual(second.usage.input_tokens, by_hand.usage.input_tokens)
        self.assertGreater(by_hand.usage.input_tokens_details.cached_tokens, 0)

    def test_cut_by_length(self):
        arguments = {"input": "Count from 1 to 40.", "max_output_tokens": 5, "reasoning": NO_THOUGHT, "temperature": 0}
        last = list(self.client.responses.create(model=MODEL, stream=True, **arguments))[-1]
        self.assertEqual(last.type, "response.incomplete")
        for response in (last.response, self.client.responses.create(model=MODEL, **arguments)):
            self.assertEqual((response.status, response.incomplete_details.reason), ("incomplete", "max_output_tokens"))
            self.assertEqual(response.output[-1].status, "incomplete")
            self.assertEqual(response.usage.output_tokens, 5)

    def test_logprobs(self):
        arguments = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
        whole = self.create(**arguments)
        part = whole.output[-1].content[0]
        self.assertEqual("".join(token.token for token in part.logprobs).strip(), part.text)
        self.assertEqual({len(token.top_logprobs) for token in part.logprobs}, {2})
        events, _ = self.stream(**arguments)
        streamed = [t.token for e in events if e.type == "response.output_text.delta" for t in e.logprobs]
        self.assertEqual(streamed, [token.token for token in part.logprobs])
        self.assertFalse(self.create().output[-1].content[0].logprobs)

    def test_errors_name_the_field(self):
        image = [{"role": "user", "content": [{"type": "input_image", "image_url": "http://x/y.png"}]}]
        for arguments, param in (({"background": True}, "background"), ({"input": image}, "input[0].content[0].type"),
                                 ({"tools": [{"type": "web_search"}]}, "tools[0].type"), ({"truncation": "auto"}, "truncation"),
                                 ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {"not": {}}}}},
                                  "text.format.schema")):
            with self.subTest(param), self.assertRaises(openai.BadRequestError) as caught:
                self.create(**arguments)
            self.assertEqual(caught.exception.param, param)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.create("word " * 5000)
        self.assertEqual((caught.exception.code, caught.exception.param), ("context_length_exceeded", "input"))

    def test_async_client(self):
        import asyncio

        async def ask():
            async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0) as client:
                async with client.responses.stream(model=MODEL, input=QUESTION, temperature=0) as stream:
                    return await stream.get_final_response()

        self.assertEqual(asyncio.run(ask()).output_text, self.create().output_text)


class ChatHelpersTest(ClientTest):
    def arguments(self, text=QUESTION, **kwargs):
        return {"model": MODEL, "messages": [{"role": "user", "content": text}], "temperature": 0, **kwargs}

    def test_stream_helper(self):
        whole = self.client.chat.completions.create(**self.arguments())
        with self.client.chat.completions.stream(**self.arguments()) as stream:
            text = "".join(event.delta for event in stream if event.type == "content.delta")
            final = stream.get_final_completion()
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertEqual(final.choices[0].message.content, text)
        self.assertEqual(final.choices[0].finish_reason, "stop")

    def test_stream_helper_with_tools(self):
        tools = [openai.pydantic_function_tool(GetWeather, name="get_weather")]
        with self.client.chat.completions.stream(**self.arguments(WEATHER_QUESTION, tools=tools)) as stream:
            done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
            (call,) = stream.get_final_completion().choices[0].message.tool_calls
        self.assertEqual([event.name for event in done], ["get_weather"])
        self.assertEqual(call.function.parsed_arguments.city, "Helsinki")

    def test_parsed_answers(self):
        reply = self.client.chat.completions.parse(**self.arguments(response_format=Sum, reasoning_effort="none"))
        self.assertIsInstance(reply.choices[0].message.parsed, Sum)
        with self.client.chat.completions.stream(**self.arguments(response_format=Sum, reasoning_effort="none")) as stream:
            streamed = stream.get_final_completion().choices[0].message.parsed
        self.assertEqual(streamed, reply.choices[0].message.parsed)

    def test_parsed_calls(self):
        reply = self.client.chat.completions.parse(
            **self.arguments(WEATHER_QUESTION, tools=[openai.pydantic_function_tool(GetWeather)], tool_choice="required"))
        (call,) = reply.choices[0].message.tool_calls
        self.assertIsInstance(call.function.parsed_arguments, GetWeather)

    def test_a_cut_call_is_no_call_to_make(self):
        arguments = self.arguments(WEATHER_QUESTION, tools=[openai.pydantic_function_tool(GetWeather, name="get_weather")])
        whole = self.client.chat.completions.create(**arguments)
        cut = whole.usage.completion_tokens - 4
        reply = self.client.chat.completions.create(**arguments, max_tokens=cut)
        self.assertEqual(reply.choices[0].finish_reason, "length")
        chunks = list(self.client.chat.completions.create(**arguments, max_tokens=cut, stream=True))
        self.assertEqual([c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason], ["length"])
        with self.assertRaises(openai.LengthFinishReasonError):
            self.client.chat.completions.parse(**arguments, max_tokens=cut)

    def test_chunks_have_one_identity(self):
        options = {"stream": True, "stream_options": {"include_usage": True}}
        question = "What is the weather in Helsinki and in Paris?"
        for arguments in (self.arguments(n=2), self.arguments(question, tools=[openai.pydantic_function_tool(GetWeather)])):
            chunks = list(self.client.chat.completions.create(**arguments, **options))
            self.assertEqual(len({(c.id, c.created, c.model, c.system_fingerprint, c.object) for c in chunks}), 1)
            self.assertTrue(chunks[0].system_fingerprint)
            self.assertEqual((chunks[-1].choices, chunks[-1].usage is None), ([], False))
            self.assertTrue(all(c.usage is None for c in chunks[:-1]))
            first = {}
            for chunk in chunks[:-1]:
                for choice in chunk.choices:
                    first.setdefault(choice.index, choice.delta)
            self.assertEqual({(d.role, d.content) for d in first.values()}, {("assistant", "")})
            ids = [call.id for c in chunks for choice in c.choices for call in choice.delta.tool_calls or [] if call.id]
            self.assertEqual(len(ids), len(set(ids)))


if __name__ == "__main__":
    unittest.main(verbosity=1)
