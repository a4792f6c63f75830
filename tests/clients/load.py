"""Requests whose answers are compared with those of an undisturbed run (standard library only)."""

import http.client
import json
import pathlib

from stack import API_KEY, MODEL_NAME, descendants

PATIENCE = 120


def named(pids, name):
    """Those of the processes that run `name`."""
    found = []
    for pid in pids:
        try:
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == name:
                found.append(pid)
        except OSError:
            pass
    return found


def processes(stack, name):
    return named(descendants(stack.process.pid), name)


class Answer:
    """What an answer says, by choice and however it came: text, tokens, reasons, usage."""

    def __init__(self, choices):
        self.texts = [{"reasoning_content": "", "content": "", "calls": ""} for _ in range(choices)]
        self.tokens = [[] for _ in range(choices)]
        self.reasons = [None] * choices
        self.usage = None
        self.error = None

    def add(self, body, part):
        if "error" in body:
            assert self.error is None, "two errors"
            self.error = body["error"]
            return
        if body.get("usage"):
            # How much of a prompt was found in a cache depends on who was there before.
            self.usage = {key: body["usage"][key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")}
        for choice in body["choices"]:
            at = choice["index"]
            message = choice[part] if part else {"content": choice["text"]}
            for field in ("reasoning_content", "content"):
                self.texts[at][field] += message.get(field) or ""
            for call in message.get("tool_calls") or []:
                function = call["function"]
                self.texts[at]["calls"] += (function.get("name") or "") + (function.get("arguments") or "")
            logprobs = choice.get("logprobs") or {}
            self.tokens[at] += [(entry["token"], entry["logprob"]) for entry in logprobs.get("content") or []]
            if choice.get("finish_reason"):
                assert self.reasons[at] is None, "two finish reasons"
                self.reasons[at] = choice["finish_reason"]

    def gist(self):
        return {"texts": self.texts, "tokens": self.tokens, "reasons": self.reasons, "usage": self.usage,
                "error": self.error}  # fmt: skip


class Request:
    """One request, sent at once; answer() reads the rest."""

    def __init__(self, port, body, path="/v1/chat/completions"):
        self.body = {"model": MODEL_NAME, **body}
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self.connection.request("POST", path, json.dumps(self.body),
                                {"Content-Type": "application/json", "Authorization": f"Bearer {API_KEY}"})  # fmt: skip
        self._answer = Answer(self.body.get("n", 1))
        self._reply = None
        self._done = False
        self._chat = path.endswith("chat/completions")

    @property
    def reply(self):
        if self._reply is None:
            self._reply = self.connection.getresponse()
        return self._reply

    @property
    def instance(self):
        return self.reply.getheader("x-instance")

    def read_frames(self, count):
        """Reads so many frames of a stream, or to its end; False at the end."""
        for _ in range(count):
            while True:
                line = self.reply.readline()
                if not line:
                    return False
                if line.startswith(b"data: "):
                    break
            assert not self._done, "a frame behind the last one"
            if line == b"data: [DONE]\n":
                self._done = True
            else:
                self._answer.add(json.loads(line[6:]), "delta" if self._chat else None)
        return True

    def answer(self):
        if self.body.get("stream"):
            if self.reply.status == 200:
                while self.read_frames(1):
                    pass
                assert self._done, "the stream has no [DONE]"
            else:
                self._answer.error = json.loads(self.reply.read())["error"]
        else:
            self._answer.add(json.loads(self.reply.read()), "message" if self._chat else None)
        self.reply.close()
        self.connection.close()
        return self._answer.gist()
