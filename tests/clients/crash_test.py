"""Kill -9 of a worker in the middle of a stream, seen from the outside (starts its own stacks).

The stream pauses and goes on with the text it would have had, a stream on another instance does not
notice, the group serves again within seconds, and neither processes nor shared memory are left
behind. What else may die is in failover_test.py and chaos_test.py.
"""

import http.client
import json
import os
import pathlib
import signal
import time
import unittest

from stack import API_KEY, MODEL_NAME, Stack, descendants

SERVING_AGAIN_SECONDS = 15  # and has finished the stream


def named(pids, name):
    found = []
    for pid in pids:
        try:
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == name:
                found.append(pid)
        except OSError:
            pass
    return found


class Stream:
    """One streamed chat that would go on for long."""

    def __init__(self, port, max_tokens=1500):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = {"model": MODEL_NAME, "messages": [{"role": "user", "content": "Count from 1 to 40."}],
                "temperature": 0, "stream": True, "ignore_eos": True, "max_tokens": max_tokens}  # fmt: skip
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body),
                                {"Content-Type": "application/json", "Authorization": f"Bearer {API_KEY}"})  # fmt: skip
        self.reply = self.connection.getresponse()
        self.instance = self.reply.getheader("x-instance")

    def frame(self):
        """The next frame's payload; None at the end of the body."""
        while True:
            line = self.reply.readline()
            if not line:
                return None
            if line.startswith(b"data: "):
                return line[6:].strip().decode()

    def rest(self):
        frames = []
        while (frame := self.frame()) is not None:
            frames.append(frame)
        self.reply.close()
        self.connection.close()
        return frames


def text_of(frames):
    """What a stream says, however it was cut into frames."""
    text = ""
    for frame in frames:
        for choice in json.loads(frame)["choices"] if frame != "[DONE]" else []:
            text += choice["delta"].get("content") or ""
    return text


def chat_status(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = {"model": MODEL_NAME, "messages": [{"role": "user", "content": "Hello!"}], "temperature": 0, "max_tokens": 4}
    connection.request("POST", "/v1/chat/completions", json.dumps(body),
                       {"Content-Type": "application/json", "Authorization": f"Bearer {API_KEY}"})  # fmt: skip
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply.status


class WorkerCrashTest(unittest.TestCase):
    def workers(self, stack):
        return named(descendants(stack.process.pid), "vallm-worker")

    def assert_complete(self, frames):
        self.assertEqual(frames[-1], "[DONE]")
        self.assertNotIn("error", json.loads(frames[-2]))
        self.assertEqual(json.loads(frames[-2])["choices"][0]["finish_reason"], "length")

    def test_a_stream_survives_a_killed_rank_and_the_group_returns(self):
        shared_before = set(os.listdir("/dev/shm"))
        with Stack(["--tensor-parallel-size", "2"]) as stack:
            undisturbed = text_of(Stream(stack.port).rest())
            before = self.workers(stack)
            self.assertEqual(len(before), 2)
            stream = Stream(stack.port)
            frames = [stream.frame() for _ in range(5)]
            killed = time.monotonic()
            os.kill(before[0], signal.SIGKILL)
            frames += stream.rest()
            self.assert_complete(frames)
            self.assertEqual(text_of(frames), undisturbed)
            self.assertEqual(chat_status(stack.port), 200)
            self.assertLess(time.monotonic() - killed, SERVING_AGAIN_SECONDS)
            after = self.workers(stack)
            self.assertEqual(len(after), 2)
            self.assertFalse(set(before) & set(after), "the surviving rank must go with its group")
        self.assertEqual(set(os.listdir("/dev/shm")) - shared_before, set())

    def test_the_other_instance_does_not_notice(self):
        with Stack(["--instance", "2", "--routing-policy", "least_load"]) as stack:
            worker_of = {named_engine(pid): pid for pid in self.workers(stack)}
            streams = [Stream(stack.port) for _ in range(2)]
            self.assertNotEqual(streams[0].instance, streams[1].instance)
            os.kill(worker_of[streams[0].instance], signal.SIGKILL)
            texts = []
            for stream in streams:
                frames = stream.rest()
                self.assert_complete(frames)
                texts.append(text_of(frames))
            self.assertEqual(texts[0], texts[1])


def named_engine(worker_pid):
    """The instance a worker belongs to, from its parent's command line (--name engine-0)."""
    parent = pathlib.Path(f"/proc/{worker_pid}/stat").read_text().rsplit(")", 1)[1].split()[1]
    words = pathlib.Path(f"/proc/{parent}/cmdline").read_text().replace("=", "\0").split("\0")
    return words[words.index("--name") + 1]


if __name__ == "__main__":
    unittest.main(verbosity=1)
