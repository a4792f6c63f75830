"""Open WebUI in front of the demo model, driven in headless Chromium: sign up and log in, choose a model, chat with the thought
folded, title and follow-ups from its background tasks, a tool called natively, and a stop button that stops the engine.

Runs in the environment that tests/clients/open-webui/install.sh makes; by hand:

    tests/clients/open-webui/install.sh && tests/clients/open-webui/.venv/bin/python tests/clients/open_webui_test.py
"""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

if importlib.util.find_spec("open_webui") is None:
    print("skipped: Open WebUI is not installed; tests/clients/open-webui/install.sh installs it (about 1.2 GB)")
    sys.exit(77)

from browser import Browser
from stack import API_KEY, MODEL_NAME, Stack, free_port

START_SECONDS = 300  # its imports alone take half a minute on an idle core
PATIENCE_SECONDS = 120
NAME, EMAIL, PASSWORD = "Ada", "ada@example.org", "correct horse battery"
# The demo model has 4,096 positions; Open WebUI's own tools would fill twice as many.
NO_BUILTIN_TOOLS = {"capabilities": {"builtin_tools": False}}
TOOL = '''
class Tools:
    def calculator(self, expr: str) -> str:
        """
        Evaluate a mathematical expression.
        :param expr: Arithmetic expression
        """
        left, operator, right = expr.split()
        return str({"+": int.__add__, "-": int.__sub__, "*": int.__mul__}[operator](int(left), int(right)))
'''


class OpenWebUi:
    def __init__(self, api_base_url):
        self.url = f"http://127.0.0.1:{free_port()}"
        self._folder = tempfile.TemporaryDirectory(prefix="open-webui-")
        self._environment = {
            **os.environ, "DATA_DIR": self._folder.name, "HOME": self._folder.name, "WEBUI_SECRET_KEY": "of this test",
            "OPENAI_API_BASE_URL": api_base_url, "OPENAI_API_KEY": API_KEY, "ENABLE_OLLAMA_API": "false",
            "DEFAULT_MODEL_METADATA": json.dumps(NO_BUILTIN_TOOLS), "RAG_EMBEDDING_ENGINE": "openai",
            "OFFLINE_MODE": "true", "HF_HUB_OFFLINE": "1", "ANONYMIZED_TELEMETRY": "false", "DO_NOT_TRACK": "true",
            "SCARF_NO_ANALYTICS": "true",
        }  # fmt: skip

    def __enter__(self):
        self._log = open(pathlib.Path(self._folder.name) / "open-webui.log", "w+b")
        program = pathlib.Path(sys.executable).parent / "open-webui"
        host, port = self.url.removeprefix("http://").split(":")
        self._process = subprocess.Popen([program, "serve", "--host", host, "--port", port], env=self._environment,
                                         cwd=self._folder.name, stdout=self._log, stderr=subprocess.STDOUT)  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(self.url + "/health"):
                    return self
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        self._log.seek(0)
        text = self._log.read()[-3000:].decode(errors="replace")
        self.__exit__()
        raise RuntimeError(f"Open WebUI did not start within {START_SECONDS} s:\n{text}")

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._folder.cleanup()


class OpenWebUiTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack())
        cls.webui = cls.enterClassContext(OpenWebUi(cls.stack.base_url))
        cls.browser = cls.enterClassContext(Browser())
        cls.page = cls.browser.page(timeout_seconds=PATIENCE_SECONDS, locale="en-US", height=800)
        cls.sign_up()
        cls.post("tools/create", {"id": "calculator", "name": "Calculator", "content": TOOL, "meta": {"description": "Arithmetic"}})
        # The demo model, but without an end, for the stop button.
        cls.post("models/create", {"id": "endless", "base_model_id": MODEL_NAME, "name": "Endless", "meta": {},
                                   "params": {"custom_params": {"ignore_eos": True}}})  # fmt: skip

    @classmethod
    def sign_up(cls):
        cls.page.goto(cls.webui.url)
        cls.page.get_by_text("Get started", exact=True).click()
        for field, value in (("name", NAME), ("email", EMAIL), ("password", PASSWORD)):
            cls.page.fill(f"input#{field}", value)
        cls.page.get_by_role("button", name="Create Admin Account").click()
        cls.page.get_by_role("button", name="Okay, Let's Go!").click()
        cls.page.locator("#chat-input").wait_for()

    @classmethod
    def post(cls, path, body):
        token = cls.page.evaluate("localStorage.token")
        reply = cls.page.request.post(f"{cls.webui.url}/api/v1/{path}", headers={"Authorization": f"Bearer {token}"}, data=body)
        assert reply.ok, reply.text()

    def new_chat(self):
        self.page.goto(self.webui.url)
        self.page.locator("#chat-input").wait_for()

    def say(self, text):
        self.page.click("#chat-input")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def answer(self):
        return self.page.locator("#response-content-container").last

    def metric(self, pattern):
        with urllib.request.urlopen(self.stack.management_url + "/metrics") as reply:
            return sum(float(value) for value in re.findall(rf"^{pattern} (\S+)$", reply.read().decode(), re.M))

    def running(self):
        return self.metric(r"vllm:num_requests_running\{.*\}")

    def wait_until(self, condition, what):
        """Returns how long it took."""
        start = time.monotonic()
        while not condition():
            self.assertLess(time.monotonic() - start, PATIENCE_SECONDS, what)
            time.sleep(0.01)
        return time.monotonic() - start

    def test_logs_in(self):
        page = self.browser.page(timeout_seconds=PATIENCE_SECONDS, locale="en-US")
        self.addCleanup(page.context.close)
        page.goto(self.webui.url)
        page.fill("input#email", EMAIL)
        page.fill("input#password", PASSWORD)
        page.press("input#password", "Enter")
        page.locator("#chat-input").wait_for()
        self.assertIn(MODEL_NAME, page.locator("#model-selector-model-button").inner_text())

    def test_chat_with_a_folded_thought_title_and_follow_ups(self):
        self.new_chat()
        self.say("Tom has 12 apples and buys 30 more. How many apples does he have?")
        thought = self.answer().get_by_text(re.compile("^Thought for"))
        thought.wait_for()
        self.answer().get_by_text("The answer is").wait_for()
        folded = self.answer().inner_text()
        self.assertIn("42", folded)
        self.assertNotIn("think>", folded)
        # Background tasks: they come after the answer, without thoughts of their own.
        self.page.get_by_text("Follow up", exact=True).wait_for()
        self.page.wait_for_function("!/^(New Chat|Open WebUI)/.test(document.title)")
        self.assertNotIn("think", self.page.title().lower())
        self.browser.screenshot(self.page, "open-webui-folded")
        thought.click()
        self.page.wait_for_function("length => [...document.querySelectorAll('#response-content-container')].at(-1).innerText.length > length",
                                    arg=len(folded))  # fmt: skip
        self.assertIn("12 + 30 = 42.", self.answer().inner_text())
        self.browser.screenshot(self.page, "open-webui-unfolded")

    def test_calls_a_tool(self):
        self.new_chat()
        self.page.click("#integration-menu-button")
        self.page.locator("[role=menu] button, [role=menuitem], [data-melt-dropdown-menu] button").filter(has_text="Tools").first.click()
        self.page.get_by_text("Calculator", exact=True).first.click()
        self.page.keyboard.press("Escape")
        self.say("Evaluate 765 - 497 with the tool.")
        self.answer().get_by_text("268").first.wait_for()
        self.assertIn("calculator", self.answer().inner_text())
        self.browser.screenshot(self.page, "open-webui-tool")

    def test_the_stop_button_stops_the_engine(self):
        self.wait_until(lambda: self.running() == 0, "something still runs")
        self.new_chat()
        self.page.click("#model-selector-model-button")
        self.page.get_by_role("option", name="Endless").or_(self.page.locator("button", has_text="Endless")).first.click()
        self.assertIn("Endless", self.page.locator("#model-selector-model-button").inner_text())
        aborted = r'vllm:request_success_total\{finished_reason="abort".*\}'
        before = self.metric(aborted)
        self.say("Count from 1 to 100.")
        self.wait_until(lambda: self.running() > 0, "the engine did not start")
        stop = self.page.get_by_label("Stop", exact=True)
        stop.wait_for()
        with self.page.expect_request("**/api/tasks/**") as request:
            stop.click()
        seconds = self.wait_until(lambda: self.metric(aborted) == before + 1, "the answer was not aborted")
        print(f"stop button ({request.value.url.rsplit('/api/', 1)[1]}): the engine was free {seconds:.2f} s later")
        self.browser.screenshot(self.page, "open-webui-stopped")


if __name__ == "__main__":
    unittest.main(verbosity=1)
