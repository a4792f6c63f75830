"""What a client sees when services die under its request: a pause, then the bytes it would have had.

Every kind of request is answered once undisturbed; then processes are killed, stopped and drained
under it, and the answer must be the same. Starts its own stack.
"""

import concurrent.futures
import json
import os
import pathlib
import signal
import time
import unittest
import urllib.request

from load import Request, processes
from stack import Stack, descendants

CHAT = {"messages": [{"role": "user", "content": "Count from 1 to 40."}], "temperature": 0.9, "seed": 7,
        "ignore_eos": True, "max_tokens": 500}  # fmt: skip
STREAM = {**CHAT, "stream": True, "logprobs": True, "stream_options": {"include_usage": True}}
LONG_PROMPT = {**CHAT, "messages": [{"role": "user", "content": "one two three four " * 500}], "max_tokens": 50}
INSTANCES = 3


def wait_for(what, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


class FailoverTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared_before = set(os.listdir("/dev/shm"))
        cls.stack = cls.enterClassContext(Stack(["--instance", str(INSTANCES), "--stall-timeout", "2"]))
        cls.undisturbed = cls.ask(STREAM).answer()
        assert cls.undisturbed["error"] is None and len(cls.undisturbed["tokens"][0]) == 500

    @classmethod
    def ask(cls, body, path="/v1/chat/completions"):
        return Request(cls.stack.port, body, path)

    def setUp(self):
        self.wait_for_instances(2)

    def wait_for_instances(self, count):
        wait_for("instances", lambda: self.metric("vallm_gateway_instance_serving") >= count)

    def metric(self, name, label=""):
        with urllib.request.urlopen(f"{self.stack.management_url}/metrics") as reply:
            text = reply.read().decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name) and label in line)

    def processes(self, name):
        return processes(self.stack, name)

    def kill(self, name, signal_number=signal.SIGKILL):
        for pid in self.processes(name):
            os.kill(pid, signal_number)

    def victim(self, instance):
        """The engine process of an instance."""
        for pid in self.processes("vallm-engine"):
            if f"--name={instance}" in pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
                return pid
        raise AssertionError(f"{instance} has no process")

    def assert_same(self, request, undisturbed=None):
        self.assertEqual(request.answer(), undisturbed or self.undisturbed)

    def begun_stream(self):
        request = self.ask(STREAM)
        self.assertTrue(request.read_frames(20))
        return request

    def test_kill_an_engine(self):
        stream = self.begun_stream()
        os.kill(self.victim(stream.instance), signal.SIGKILL)
        self.assert_same(stream)

    def test_kill_a_worker(self):
        stream = self.begun_stream()
        os.kill(descendants(self.victim(stream.instance))[0], signal.SIGKILL)
        self.assert_same(stream)

    def test_kill_the_second_instance_too(self):
        stream = self.begun_stream()
        os.kill(self.victim(stream.instance), signal.SIGKILL)
        stream.read_frames(50)
        self.kill("vallm-worker")
        self.assert_same(stream)

    def test_stop_an_engine(self):
        moves = self.metric("vallm_gateway_moves_total", "stalled")
        stream = self.begun_stream()
        engine = self.victim(stream.instance)
        os.kill(engine, signal.SIGSTOP)
        try:
            self.assert_same(stream)
        finally:
            os.kill(engine, signal.SIGKILL)
        self.assertEqual(self.metric("vallm_gateway_moves_total", "stalled"), moves + 1)

    def test_stop_a_worker(self):
        stream = self.begun_stream()
        worker = descendants(self.victim(stream.instance))[0]
        os.kill(worker, signal.SIGSTOP)
        try:
            self.assert_same(stream)
        finally:
            os.kill(worker, signal.SIGKILL)

    def test_restart_the_instances_one_after_the_other(self):
        long = {**STREAM, "max_tokens": 1500}
        undisturbed = self.ask(long).answer()
        self.wait_for_instances(INSTANCES)
        streams = [self.ask(long) for _ in range(4)]
        for stream in streams:
            stream.read_frames(10)
        with concurrent.futures.ThreadPoolExecutor(len(streams)) as readers:
            answers = [readers.submit(stream.answer) for stream in streams]
            for instance in range(INSTANCES):
                os.kill(self.victim(f"engine-{instance}"), signal.SIGTERM)  # drains, then ends
                time.sleep(0.4)
        for answer in answers:
            self.assertEqual(answer.result(), undisturbed)
        self.assertGreater(self.metric("vallm_gateway_moves_total", "drained"), 0)

    def test_kill_an_engine_before_the_first_token(self):
        retries = self.metric("vallm_gateway_retries_total")
        whole = self.ask(LONG_PROMPT)
        stream = self.ask({**LONG_PROMPT, "stream": True, "stream_options": {"include_usage": True}})
        wait_for("a run", lambda: self.metric("vallm_gateway_requests_in_flight") > 0)
        self.kill("vallm-engine")
        undisturbed = self.ask(LONG_PROMPT).answer()
        self.assertIsNone(undisturbed["error"])
        self.assert_same(whole, undisturbed)
        self.assert_same(stream, undisturbed)
        self.assertGreater(self.metric("vallm_gateway_retries_total"), retries)

    def test_kill_all_engines(self):
        streams = [self.begun_stream() for _ in range(2)]
        self.kill("vallm-engine")
        waiting = self.ask(STREAM)
        for stream in streams + [waiting]:
            self.assert_same(stream)

    def test_kill_the_tokenizer(self):
        stream = self.begun_stream()
        stopped = self.ask({**STREAM, "stop": ["77", "never said"]})
        stopped.read_frames(10)
        self.kill("vallm-tokenizer")
        self.assert_same(stream)
        self.assert_same(stopped, self.ask({**STREAM, "stop": ["77", "never said"]}).answer())

    def test_kill_the_tokenizer_and_the_engines_at_once(self):
        stream = self.begun_stream()
        self.kill("vallm-tokenizer")
        self.kill("vallm-engine")
        self.assert_same(stream)

    def test_whole_answers_and_choices(self):
        bodies = [("/v1/chat/completions", {**CHAT, "n": 3, "logprobs": True}),
                  ("/v1/chat/completions", {**STREAM, "n": 2}),
                  ("/v1/completions", {"prompt": "one two three", "max_tokens": 400, "seed": 3, "prompt_logprobs": 1,
                                       "ignore_eos": True, "n": 2})]  # fmt: skip
        undisturbed = [self.ask(body, path).answer() for path, body in bodies]
        requests = [self.ask(body, path) for path, body in bodies]
        time.sleep(0.2)
        os.kill(self.processes("vallm-engine")[0], signal.SIGKILL)
        for request, expected in zip(requests, undisturbed):
            self.assertIsNone(expected["error"])
            self.assert_same(request, expected)

    def test_schema_bound_answers(self):
        schema = {"type": "object", "properties": {"items": {"type": "array", "items": {"type": "integer"},
                  "minItems": 50, "maxItems": 50}}, "required": ["items"]}  # fmt: skip
        body = {**STREAM, "ignore_eos": False, "max_tokens": 600,
                "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}}  # fmt: skip
        undisturbed = self.ask(body).answer()
        stream = self.ask(body)
        self.assertTrue(stream.read_frames(20))
        os.kill(self.victim(stream.instance), signal.SIGKILL)
        self.assert_same(stream, undisturbed)
        self.assertEqual(len(json.loads(undisturbed["texts"][0]["content"])["items"]), 50)

    @classmethod
    def tearDownClass(cls):
        log = "".join(path.read_text(errors="replace") for path in cls.stack.log_dir.glob("*gateway*"))
        assert "moves=" in log, "no request's line says that it was moved"
        leaked = set(os.listdir("/dev/shm")) - cls.shared_before
        assert not leaked, f"left in /dev/shm: {leaked}"
        zombies = [pid for pid in children_of(cls.stack.process.pid) if is_zombie(pid)]
        assert not zombies, f"zombies: {zombies}"


def children_of(pid):
    found = set()
    for task in os.listdir(f"/proc/{pid}/task"):
        found.update(int(child) for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def is_zombie(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return False


if __name__ == "__main__":
    unittest.main(verbosity=1)
