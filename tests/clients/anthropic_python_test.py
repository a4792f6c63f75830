"""The Anthropic Python SDK against a running vallm (see stack.py)."""

import os
import sys
import unittest

try:
    import anthropic
except ImportError:
    print("skipped: the anthropic package is missing; tests/clients/install.sh installs it")
    sys.exit(77)

BASE_URL = os.environ["VALLM_TEST_BASE_URL"].removesuffix("/v1")
API_KEY = os.environ["VALLM_TEST_API_KEY"]
MODEL = os.environ["VALLM_TEST_MODEL"]

WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather for a city.",
    "input_schema": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
}


class AnthropicPythonTest(unittest.TestCase):
    def setUp(self):
        self.client = anthropic.Anthropic(base_url=BASE_URL, auth_token=API_KEY, max_retries=0,
                                          timeout=60)
        self.addCleanup(self.client.close)

    def arguments(self, text, thinking=False, **kwargs):
        kwargs.setdefault("messages", [{"role": "user", "content": text}])
        kwargs.setdefault("max_tokens", 300)
        return {"model": MODEL, "extra_body": {"temperature": 0, "enable_thinking": thinking}, **kwargs}

    def create(self, text, **kwargs):
        return self.client.messages.create(**self.arguments(text, **kwargs))

    def stream(self, text, **kwargs):
        with self.client.messages.stream(**self.arguments(text, **kwargs)) as stream:
            return stream.get_final_message()

    def blocks(self, message):
        return [{k: v for k, v in block.to_dict().items() if k != "id"} for block in message.content]

    def test_a_message(self):
        message = self.create("What is 12 + 30?")
        self.assertEqual(message.stop_reason, "end_turn")
        self.assertEqual([block.type for block in message.content], ["text"])
        self.assertIn("42", message.content[0].text)
        self.assertTrue(message.id.startswith("msg_"))
        self.assertGreater(message.usage.input_tokens + message.usage.cache_read_input_tokens, 0)
        self.assertGreater(message.usage.output_tokens, 0)

    def test_a_stream_is_the_message(self):
        for thinking in (False, True):
            whole = self.create("What is 7 + 8?", thinking=thinking)
            streamed = self.stream("What is 7 + 8?", thinking=thinking)
            self.assertEqual(self.blocks(streamed), self.blocks(whole))
            self.assertEqual(streamed.stop_reason, whole.stop_reason)
            self.assertEqual(streamed.usage.output_tokens, whole.usage.output_tokens)
            self.assertEqual(whole.content[0].type, "thinking" if thinking else "text")

    def test_text_stream(self):
        with self.client.messages.stream(**self.arguments("What is 12 + 30?")) as stream:
            text = "".join(stream.text_stream)
        self.assertEqual(text, self.create("What is 12 + 30?").content[0].text)

    def test_a_forced_tool_and_its_result(self):
        question = "What is the weather in Paris?"
        call = self.create(question, tools=[WEATHER],
                           tool_choice={"type": "tool", "name": "get_weather"})
        self.assertEqual(call.stop_reason, "tool_use")
        use = call.content[-1]
        self.assertEqual((use.type, use.name), ("tool_use", "get_weather"))
        self.assertIsInstance(use.input["city"], str)
        streamed = self.stream(question, tools=[WEATHER],
                               tool_choice={"type": "tool", "name": "get_weather"})
        self.assertEqual(self.blocks(streamed), self.blocks(call))
        answer = self.create("", tools=[WEATHER], messages=[
            {"role": "user", "content": question},
            {"role": "assistant", "content": call.content},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": use.id, "content": "18 degrees, rain"}]},
        ])
        self.assertIn(answer.stop_reason, ("end_turn", "tool_use", "max_tokens"))

    def test_stop_sequence(self):
        whole = self.create("What is 12 + 30?").content[0].text
        stop = whole[len(whole) // 2:][:3]
        message = self.create("What is 12 + 30?", stop_sequences=[stop])
        self.assertEqual((message.stop_reason, message.stop_sequence), ("stop_sequence", stop))
        self.assertEqual("".join(block.text for block in message.content),
                         whole[:whole.index(stop)])

    def test_max_tokens(self):
        message = self.create("What is 12 + 30?", max_tokens=2)
        self.assertEqual(message.stop_reason, "max_tokens")
        self.assertEqual(message.usage.output_tokens, 2)

    def test_a_prefilled_answer_is_continued(self):
        whole = self.create("What is 12 + 30?").content[0].text
        begun = whole[: whole.index(" ") + 1].rstrip() if " " in whole else whole[:1]
        message = self.create("", messages=[{"role": "user", "content": "What is 12 + 30?"},
                                            {"role": "assistant", "content": begun}])
        self.assertFalse(message.content and message.content[0].text.startswith(begun))

    def test_system(self):
        plain = self.client.messages.count_tokens(
            model=MODEL, messages=[{"role": "user", "content": "Hi"}])
        with_system = self.client.messages.count_tokens(
            model=MODEL, system=[{"type": "text", "text": "You are terse."}],
            messages=[{"role": "user", "content": "Hi"}])
        self.assertGreater(with_system.input_tokens, plain.input_tokens)

    def test_counted_tokens_are_those_used(self):
        counted = self.client.messages.count_tokens(
            model=MODEL, tools=[WEATHER], messages=[{"role": "user", "content": "Hi"}])
        message = self.create("", max_tokens=1, tools=[WEATHER],
                              messages=[{"role": "user", "content": "Hi"}], thinking=True)
        used = message.usage.input_tokens + message.usage.cache_read_input_tokens
        self.assertEqual(counted.input_tokens, used)

    def test_errors(self):
        with self.assertRaises(anthropic.BadRequestError) as raised:
            self.create("", messages=[{"role": "user", "content": [
                {"type": "image", "source": {"type": "url", "url": "http://x/y.png"}}]}])
        error = raised.exception
        self.assertEqual(error.body["error"]["type"], "invalid_request_error")
        self.assertIn("messages[0].content[0].type", error.body["error"]["message"])
        self.assertTrue(error.request_id)
        with self.assertRaises(anthropic.NotFoundError) as raised:
            self.client.messages.create(model="other", max_tokens=1,
                                        messages=[{"role": "user", "content": "Hi"}])
        self.assertEqual(raised.exception.body["error"]["type"], "not_found_error")

    def test_async_client(self):
        import asyncio

        async def ask():
            async with anthropic.AsyncAnthropic(base_url=BASE_URL, auth_token=API_KEY) as client:
                async with client.messages.stream(**self.arguments("What is 12 + 30?")) as stream:
                    return await stream.get_final_message()

        self.assertEqual(self.blocks(asyncio.run(ask())),
                         self.blocks(self.create("What is 12 + 30?")))


if __name__ == "__main__":
    unittest.main()
