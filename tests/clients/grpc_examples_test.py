"""The example clients of docs/grpc.md against a running stack of two engines, and what the page
quotes of them. Run by stack.py; VALLM_GRPC_CHAT is the C++ example's binary.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import unittest
import urllib.request

from stack import BIN_DIR, MODEL_DIR, ROOT

try:
    from rpc import STUB_DIR, listen_addresses
except unittest.SkipTest as skipped:
    print(skipped)
    sys.exit(77)

SERVE_PID = int(os.environ["VALLM_TEST_SERVE_PID"])
PYTHON_EXAMPLE = ROOT / "docs/examples/grpc_chat.py"
EXAMPLES = {
    "c++": [os.environ["VALLM_GRPC_CHAT"]],
    "python": [sys.executable, str(PYTHON_EXAMPLE)],
}
MESSAGES = [{"role": "user", "content": "What is 12 + 30?"}]
# What the examples ask for.
SAMPLING = {"temperature": 0.7, "seed": 7, "max_tokens": 200}


class CutConnection:
    """A proxy in front of an engine that hangs up after some bytes of answers."""

    def __init__(self, address, byte_count):
        host, port = address.rsplit(":", 1)
        self._target, self._left = (host, int(port)), byte_count
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self.cut = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        client, _ = self._listener.accept()
        self._listener.close()  # nobody comes back here
        with client, socket.create_connection(self._target) as server:
            threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
            while self._left > 0 and (data := server.recv(self._left)):
                client.sendall(data)
                self._left -= len(data)
            time.sleep(0.5)  # the client takes in what was sent
            self.cut.set()
            for end in (client, server):
                end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _pump(source, target):
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
        except OSError:
            pass


class GrpcExamples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        (cls.tokenizer,) = listen_addresses(SERVE_PID, "vallm-tokenizer")
        cls.engines = listen_addresses(SERVE_PID, "vallm-engine")
        row = json.dumps({"messages": MESSAGES, **SAMPLING})
        offline = subprocess.run([str(BIN_DIR / "vallm"), "generate", str(MODEL_DIR)], input=row.encode(),
                                 stdout=subprocess.PIPE, check=True)  # fmt: skip
        cls.offline = json.loads(offline.stdout)

    def run_example(self, language, engines, *stop):
        command = [*EXAMPLES[language], self.tokenizer, ",".join(engines), json.dumps(MESSAGES), *stop]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60,
                                env={**os.environ, "PYTHONPATH": str(STUB_DIR)})  # fmt: skip
        self.assertEqual(result.returncode, 0, result.stderr)
        reason, ids = re.search(r"^finish: (\w+); cached: \d+; tokens:([ \d]*)$", result.stderr, re.M).groups()
        return result.stdout, reason, [int(i) for i in ids.split()], result.stderr

    def rest(self, **parameters):
        body = json.dumps({"messages": MESSAGES, **SAMPLING, **parameters}).encode()
        request = urllib.request.Request(os.environ["VALLM_TEST_BASE_URL"] + "/chat/completions", body, {
            "Content-Type": "application/json", "Authorization": "Bearer " + os.environ["VALLM_TEST_API_KEY"]})  # fmt: skip
        with urllib.request.urlopen(request) as reply:
            choice = json.load(reply)["choices"][0]
        message = choice["message"]
        return message.get("reasoning_content") or "", message["content"], choice["finish_reason"]

    def check_text(self, printed, reasoning, content):
        # Each piece of reasoning is in brackets of its own.
        self.assertEqual(printed.replace("[", "").replace("]", ""), reasoning + content + "\n")

    def test_tokens_are_those_of_vallm_generate(self):
        reasoning, content, reason = self.rest()
        self.assertTrue(reasoning, "the demo model thinks")
        for language in EXAMPLES:
            with self.subTest(language):
                printed, finish, ids, _ = self.run_example(language, self.engines)
                self.assertEqual(ids, self.offline["token_ids"])
                self.assertEqual(finish, self.offline["finish_reason"])
                self.assertEqual(finish, reason)
                self.check_text(printed, reasoning, content)

    def test_an_answer_goes_on_at_another_engine(self):
        for language in EXAMPLES:
            with self.subTest(language):
                proxy = CutConnection(self.engines[0], byte_count=800)
                _, _, ids, errors = self.run_example(language, [proxy.address, self.engines[1]])
                self.assertTrue(proxy.cut.is_set())
                kept = int(re.search(r"engine 0: .*; going on after (\d+) tokens", errors)[1])
                self.assertGreater(kept, 0)
                self.assertLess(kept, len(ids))
                self.assertEqual(ids, self.offline["token_ids"])

    def test_a_stop_string_ends_it(self):
        stop = self.rest()[1][-3:]
        reasoning, content, _ = self.rest(stop=stop)
        for language in EXAMPLES:
            with self.subTest(language):
                printed, finish, ids, _ = self.run_example(language, self.engines, stop)
                self.check_text(printed, reasoning, content)
                self.assertEqual(finish, "stop")
                self.assertEqual(ids, self.offline["token_ids"][: len(ids)])

    def test_a_refusal_says_why(self):
        for language, command in EXAMPLES.items():
            with self.subTest(language):
                result = subprocess.run([*command, self.tokenizer, self.engines[0], "[{}]"], capture_output=True, text=True,
                                        env={**os.environ, "PYTHONPATH": str(STUB_DIR)})  # fmt: skip
                self.assertEqual(result.returncode, 1)
                self.assertIn("role", result.stderr)


class QuotedCode(unittest.TestCase):
    def test_the_page_quotes_the_examples_word_for_word(self):
        page = (ROOT / "docs/grpc.md").read_text()
        quotes = re.findall(r"<!-- from (\S+) -->\n```\S+\n(.*?)^```$", page, re.M | re.S)
        self.assertEqual({name for name, _ in quotes}, {"examples/grpc_chat.cc", "examples/grpc_chat.py"})
        self.assertEqual(len(quotes), page.count("<!-- from "))
        for name, code in quotes:
            with self.subTest(name):
                self.assertIn(code, pathlib.Path(ROOT / "docs" / name).read_text())


if __name__ == "__main__":
    unittest.main(verbosity=1)
