"""What the clients of load_test.py ask for, and what must come back.

A job is one request whose answer depends on itself alone. It is asked for over REST or gRPC, whole or
in a stream, to its end or not; an answer that was cut off is the beginning of the whole one. Every call
goes out under an id of its own and returns the name of how it ended; what must not be raises Wrong.
"""

import http.client
import json
import random

import grpc
from rpc import engine_pb2

JSON_HEADERS = {"Content-Type": "application/json"}
WORDS = ("load", "test", "number", "seven", "river", "stone", "light", "again")


class Wrong(Exception):
    """An answer that breaks a promise."""


def expect(condition, *what):
    if not condition:
        raise Wrong(*what)


class RestJob:
    def __init__(self, rng):
        words = " ".join(rng.choice(WORDS) for _ in range(rng.choice((2, 8, 60, 400))))
        self.body = {
            "model": "demo",
            "messages": [{"role": "system", "content": "You are helpful. " * rng.choice((0, 1, 20))},
                         {"role": "user", "content": f"What is {rng.randint(1, 99)} + {rng.randint(1, 99)}? {words}"}],
            "temperature": rng.choice((0, 0.8, 1.2)),
            "seed": rng.randint(0, 1 << 40),
            "max_tokens": rng.choice((1, 5, 40, 120)),
            "cache_salt": rng.choice("ab"),
        }  # fmt: skip
        extras = ({"min_p": 0.05}, {"presence_penalty": 0.7, "repetition_penalty": 1.1}, {"n": 2}, {"ignore_eos": True},
                  {"logprobs": True, "top_logprobs": 3}, {"stop": ["a", "12"]})  # fmt: skip
        constraints = ({"response_format": {"type": "json_object"}}, {"structured_outputs": {"regex": "[a-f]{3,30}"}},
                       {"structured_outputs": {"choice": ["yes", "no", "perhaps"]}})  # fmt: skip
        for extra in (rng.choice(extras), rng.choice(extras), rng.choice(constraints) if rng.random() < 0.3 else {}):
            self.body.update(extra)
        self.reference = None  # [(reasoning, content, finish reason, log-probabilities)] by choice

    def ask(self, address, request_id, priority=0, **more):
        """The connection and its open response."""
        connection = http.client.HTTPConnection(*address, timeout=120)
        body = json.dumps({**self.body, "priority": priority, **more})
        connection.request("POST", "/v1/chat/completions", body, {**JSON_HEADERS, "X-Request-Id": request_id})
        return connection, connection.getresponse()

    @staticmethod
    def refused(response):
        """Whether the engine's queue was full, which is no fault."""
        if response.status == 200:
            return False
        body = response.read()
        expect(response.status in (429, 503), response.status, body)
        expect(json.loads(body)["error"]["message"], body)
        return True

    def whole(self, address, request_id, priority=0):
        connection, response = self.ask(address, request_id, priority)
        with connection_closing(connection):
            if self.refused(response):
                return "refused"
            answer = json.load(response)
        view = []
        for choice in answer["choices"]:
            message, logprobs = choice["message"], choice["logprobs"]
            view.append((message.get("reasoning_content") or "", message["content"] or "", choice["finish_reason"],
                         logprobs and [(t["token"], t["logprob"], t["top_logprobs"]) for t in logprobs["content"]]))  # fmt: skip
        self.check(view)
        return "complete"

    def streamed(self, address, request_id, priority=0, frames=None):
        """To its end, or dropped after so many frames."""
        connection, response = self.ask(address, request_id, priority, stream=True)
        with connection_closing(connection):
            if self.refused(response):
                return "refused"
            count = self.body.get("n", 1)
            texts = [["", "", None, [] if self.body.get("logprobs") else None] for _ in range(count)]
            ended = False
            for line in response:
                if not line.strip():
                    continue
                expect(line.startswith(b"data: ") and not ended, "unexpected line", line)
                if line == b"data: [DONE]\n":
                    ended = True
                    continue
                self.fold(json.loads(line[6:]), texts)
                frames = None if frames is None else frames - 1
                if frames == 0:
                    break
        if frames == 0:
            for text, whole in zip(texts, self.reference or ()):
                expect(whole[0].startswith(text[0]) and whole[1].startswith(text[1]), "not a beginning", text, whole)
            return "dropped"
        expect(ended, "the stream ended without [DONE]")
        self.check([tuple(text) for text in texts])
        return "complete"

    @staticmethod
    def fold(chunk, texts):
        expect("error" not in chunk, chunk)
        for choice in chunk["choices"]:
            text, delta = texts[choice["index"]], choice["delta"]
            expect(text[2] is None, "something after the finish", chunk)
            text[0] += delta.get("reasoning_content") or ""
            text[1] += delta.get("content") or ""
            text[2] = choice["finish_reason"]
            if choice.get("logprobs"):
                text[3] += [(t["token"], t["logprob"], t["top_logprobs"]) for t in choice["logprobs"]["content"]]

    def check(self, view):
        expect(all(choice[2] in ("stop", "length") for choice in view), "no finish reason", view)
        expect(len(view) == self.body.get("n", 1), "choices", view)
        if self.reference is None:
            self.reference = view
        expect(view == self.reference, "another answer than before", self.body, self.reference, view)


class GrpcJob:
    def __init__(self, rng, vocab_size=6000):
        prompt = [rng.randrange(vocab_size) for _ in range(rng.choice((1, 12, 100, 900)))]
        self.request = engine_pb2.GenerateRequest(
            prompt_token_ids=engine_pb2.TokenIds(ids=prompt),
            sampling=engine_pb2.SamplingParams(temperature=rng.choice((0, 0.8, 1.2)), seed=rng.randint(0, 1 << 40)),
            stop=engine_pb2.StopConditions(max_tokens=rng.choice((1, 8, 60, 160)), eos_mode=rng.choice((1, 2))),
            cache_salt=rng.choice("ab"),
        )
        if rng.random() < 0.3:
            self.request.logprobs.top_count = 2
        if rng.random() < 0.2:
            self.request.constraint.regex = "([a-z]+ ){2,20}end"
        self.reference = None  # token ids, log-probabilities, finish reason

    def named(self, request_id, priority):
        request = engine_pb2.GenerateRequest()
        request.CopyFrom(self.request)
        request.request_id, request.priority = request_id, priority
        return request

    def streamed(self, engine, request_id, priority=0, timeout=120, chunks=None, abort=False):
        """To its end, or cancelled or aborted after so many chunks."""
        call = engine.GenerateStream(self.named(request_id, priority), timeout=timeout)
        token_ids, logprobs, last = [], [], None
        try:
            for chunk in call:
                expect(last is None, "a chunk after the last one")
                token_ids += chunk.token_ids
                logprobs += [(p.logprob, [(t.token_id, t.logprob) for t in p.top]) for p in chunk.logprobs]
                if chunk.finish_reason != engine_pb2.FINISH_REASON_UNSPECIFIED:
                    last = chunk
                elif chunks is not None and (chunks := chunks - 1) == 0:
                    self.cut(engine, call, request_id, abort)
        except grpc.RpcError as error:
            expect(last is None, "an error after the last chunk", error.details())
            self.check_beginning(token_ids)
            code = error.code()
            allowed = {grpc.StatusCode.CANCELLED: chunks == 0 and not abort, grpc.StatusCode.DEADLINE_EXCEEDED: timeout < 120,
                       grpc.StatusCode.RESOURCE_EXHAUSTED: not token_ids}  # fmt: skip
            expect(allowed.get(code, False), code, error.details())
            return {"RESOURCE_EXHAUSTED": "refused"}.get(code.name, code.name.lower())
        expect(last is not None, "a stream without a last chunk")
        expect(last.usage.completion_token_count == len(token_ids), "usage", last.usage, len(token_ids))
        if last.finish_reason == engine_pb2.FINISH_REASON_ABORT:
            expect(abort, "an abort nobody asked for")
            self.check_beginning(token_ids)
            return "aborted"
        view = (token_ids, logprobs, last.finish_reason)
        if self.reference is None:
            self.reference = view
        expect(view == self.reference, "another answer than before", self.request, self.reference, view)
        return "complete"

    @staticmethod
    def cut(engine, call, request_id, abort):
        if not abort:
            call.cancel()
            return
        try:
            engine.Abort(engine_pb2.AbortRequest(request_id=request_id))
        except grpc.RpcError as error:  # it has just ended
            expect(error.code() == grpc.StatusCode.NOT_FOUND, error.code(), error.details())

    def check_beginning(self, token_ids):
        if self.reference is not None:
            expect(self.reference[0][: len(token_ids)] == token_ids, "not a beginning", self.request, token_ids)


class connection_closing:
    def __init__(self, connection):
        self.connection = connection

    def __enter__(self):
        return self.connection

    def __exit__(self, *_):
        self.connection.close()


BAD_BODIES = (
    b"{", b"[]", b'{"messages": 5}', b'{"messages": []}', b'{"messages": [{"role": "user"}], "temperature": 9}',
    b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": -1}',
    b'{"messages": [{"role": "user", "content": "a"}], "priority": 1e99}',
    b'{"messages": [{"role": "user", "content": "a"}], "structured_outputs": {"regex": "("}}',
    b'{"messages": [{"role": "user", "content": "\xff"}]}',
    json.dumps({"messages": [{"role": "user", "content": "word " * 6000}]}).encode(),
)  # fmt: skip


def malformed_rest(address, request_id, rng):
    connection = http.client.HTTPConnection(*address, timeout=120)
    with connection_closing(connection):
        connection.request("POST", "/v1/chat/completions", rng.choice(BAD_BODIES),
                           {**JSON_HEADERS, "X-Request-Id": request_id})  # fmt: skip
        response = connection.getresponse()
        body = response.read()
        expect(response.status == 400 and json.loads(body)["error"]["message"], response.status, body)
    return "malformed"


def malformed_grpc(engine, request_id, rng):
    good = {"request_id": request_id, "prompt_token_ids": engine_pb2.TokenIds(ids=[1, 2])}
    bad = rng.choice((
        {"prompt_token_ids": engine_pb2.TokenIds()}, {"prompt_token_ids": engine_pb2.TokenIds(ids=[1 << 30])},
        {"sampling": engine_pb2.SamplingParams(top_p=7)}, {"stop": engine_pb2.StopConditions(max_tokens=1 << 30)},
        {"resume_token_ids": [-1]}, {"constraint": engine_pb2.OutputConstraint(json_schema="{")},
    ))  # fmt: skip
    try:
        list(engine.GenerateStream(engine_pb2.GenerateRequest(**{**good, **bad}), timeout=120))
    except grpc.RpcError as error:
        expect(error.code() == grpc.StatusCode.INVALID_ARGUMENT, error.code(), error.details())
        return "malformed"
    raise Wrong("accepted", bad)


class Client:
    """Asks for one thing after another, seeded by its number."""

    def __init__(self, number, address, engine, jobs):
        self.name, self.rng = f"load-{number}", random.Random(number)
        self.address, self.engine = address, engine
        self.jobs = [job for job in jobs if isinstance(job, RestJob if engine is None else GrpcJob)]
        self.sent = {}  # id -> what it was and how it ended; None while it has not

    def act(self):
        """One request: (what it was, how it ended)."""
        request_id = f"{self.name}-{len(self.sent)}"
        self.sent[request_id] = None
        self.sent[request_id] = self._ask(request_id)
        return self.sent[request_id]

    def _ask(self, request_id):
        rng, job, priority = self.rng, self.rng.choice(self.jobs), self.rng.randint(-2, 2)
        kind = rng.random()
        if self.engine is None:
            if kind < 0.1:
                return "REST malformed", malformed_rest(self.address, request_id, rng)
            if kind < 0.3:
                return "REST dropped", job.streamed(self.address, request_id, priority, frames=rng.randint(1, 30))
            if kind < 0.65:
                return "REST stream", job.streamed(self.address, request_id, priority)
            return "REST whole", job.whole(self.address, request_id, priority)
        if kind < 0.1:
            return "gRPC malformed", malformed_grpc(self.engine, request_id, rng)
        if kind < 0.25:
            return "gRPC cancelled", job.streamed(self.engine, request_id, priority, chunks=rng.randint(1, 30))
        if kind < 0.4:
            return "gRPC deadline", job.streamed(self.engine, request_id, priority, timeout=rng.uniform(0.001, 1))
        if kind < 0.5:
            return "gRPC aborted", job.streamed(self.engine, request_id, priority, chunks=rng.randint(1, 30), abort=True)
        return "gRPC stream", job.streamed(self.engine, request_id, priority)
