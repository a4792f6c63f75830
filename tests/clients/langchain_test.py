"""LangChain's ChatOpenAI against a running vallm (see stack.py), over chats and over responses."""

import os
import sys
import unittest

os.environ["LANGSMITH_TRACING"] = "false"
try:
    import pydantic
    from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
except ImportError:
    print("skipped: langchain-openai is missing; tests/clients/install.sh installs it")
    sys.exit(77)

BASE_URL = os.environ["VALLM_TEST_BASE_URL"]
API_KEY = os.environ["VALLM_TEST_API_KEY"]
MODEL = os.environ["VALLM_TEST_MODEL"]
QUESTION = "What is 478 + 356?"
WEATHER_QUESTION = "What is the weather in Helsinki in Celsius?"


@tool
def get_weather(city: str, unit: str = "celsius") -> str:
    """Get the current weather for a city."""
    return f'{{"city": "{city}", "temperature": -4, "condition": "snowy"}}'


class Sum(pydantic.BaseModel):
    """A sum and whether it is sure."""

    sum: int
    sure: bool


class LangChainTest(unittest.TestCase):
    def models(self, **kwargs):
        for use_responses_api in (False, True):
            model = ChatOpenAI(model=MODEL, base_url=BASE_URL, api_key=API_KEY, temperature=0, max_retries=0, timeout=60,
                               use_responses_api=use_responses_api, **kwargs)  # fmt: skip
            with self.subTest(use_responses_api=use_responses_api):
                yield model

    def test_invoke(self):
        for model in self.models():
            message = model.invoke([SystemMessage("You are helpful."), HumanMessage(QUESTION)])
            self.assertIn("834", message.text)
            self.assertGreater(message.usage_metadata["output_token_details"]["reasoning"], 0)
            self.assertEqual(message.response_metadata["model_name"], MODEL)

    def test_a_stream_is_the_message(self):
        for model in self.models(stream_usage=True):
            whole = model.invoke(QUESTION)
            chunks = list(model.stream(QUESTION))
            self.assertGreater(len(chunks), 3)
            folded = chunks[0]
            for chunk in chunks[1:]:
                folded += chunk
            self.assertEqual(folded.text, whole.text)
            self.assertEqual(folded.usage_metadata["output_tokens"], whole.usage_metadata["output_tokens"])

    def test_reasoning_of_responses(self):
        model = ChatOpenAI(model=MODEL, base_url=BASE_URL, api_key=API_KEY, temperature=0, use_responses_api=True,
                           reasoning={"summary": "auto"}, max_retries=0)  # fmt: skip
        blocks = model.invoke(QUESTION).content_blocks
        self.assertEqual([block["type"] for block in blocks], ["reasoning", "text"])
        self.assertTrue(blocks[0]["reasoning"])

    def test_tools(self):
        for model in self.models():
            bound = model.bind_tools([get_weather])
            messages = [HumanMessage(WEATHER_QUESTION)]
            call = bound.invoke(messages)
            self.assertEqual([c["name"] for c in call.tool_calls], ["get_weather"])
            self.assertEqual(call.tool_calls[0]["args"]["city"], "Helsinki")
            streamed = None
            for chunk in bound.stream(messages):
                streamed = chunk if streamed is None else streamed + chunk
            self.assertEqual([(c["name"], c["args"]) for c in streamed.tool_calls],
                             [(c["name"], c["args"]) for c in call.tool_calls])
            result = get_weather.invoke(call.tool_calls[0])
            self.assertIsInstance(result, ToolMessage)
            answer = bound.invoke([*messages, call, result])
            self.assertIn("Helsinki", answer.text)

    def test_a_forced_tool(self):
        for model in self.models():
            call = model.bind_tools([get_weather], tool_choice="get_weather").invoke("Good morning")
            self.assertEqual([c["name"] for c in call.tool_calls], ["get_weather"])

    def test_structured_output(self):
        for model in self.models():
            for method in ("json_schema", "function_calling"):
                with self.subTest(method=method):
                    answer = model.with_structured_output(Sum, method=method).invoke(QUESTION)
                    self.assertIsInstance(answer, Sum)

    def test_a_conversation_by_the_id_of_its_last_response(self):
        model = ChatOpenAI(model=MODEL, base_url=BASE_URL, api_key=API_KEY, temperature=0, use_responses_api=True,
                           use_previous_response_id=True, max_retries=0)  # fmt: skip
        first = model.invoke("Hello!")
        second = model.invoke([HumanMessage("Hello!"), first, HumanMessage(QUESTION)])
        self.assertIn("834", second.text)
        self.assertGreater(second.usage_metadata["input_tokens"], first.usage_metadata["input_tokens"] + 5)

    def test_batch(self):
        for model in self.models():
            answers = model.batch([f"What is {n} + 100?" for n in (11, 22, 33)])
            for n, answer in zip((11, 22, 33), answers):
                self.assertIn(str(n + 100), answer.text)


if __name__ == "__main__":
    unittest.main(verbosity=1)
