"""A chat over vallm's RPCs, for programs that need no HTTP: a conversation becomes tokens at the
tokenizer service, tokens become more tokens at an engine, and those become text again.

    pip install grpcio grpcio-tools
    python3 -m grpc_tools.protoc -Iprotos --python_out=. --grpc_python_out=. protos/vallm/v1/*.proto
    python3 grpc_chat.py TOKENIZER ENGINE[,ENGINE...] MESSAGES_JSON [STOP]

The answer goes to stdout as it comes, reasoning in brackets; how it ended goes to stderr. When an
engine dies in the middle, the next one goes on with the same answer. docs/grpc.md explains.
"""

import contextlib
import itertools
import queue
import sys
import time

import grpc
from vallm.v1 import engine_pb2, engine_pb2_grpc, tokenizer_pb2, tokenizer_pb2_grpc

MAX_TOKENS = 200
MAX_ATTEMPTS = 5
RETRY_DELAY_SECONDS = 0.5
CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),  # what the services accept
    ("grpc.keepalive_time_ms", 10_000),  # notices a host that is gone
]


class AnswerPrinter:
    """Turns tokens into text and prints it.

    One ParseEvents comes back for every message but the first.
    """

    def __init__(self, tokenizer, prompt_think_state, stop):
        self._messages = queue.SimpleQueue()
        # iter(…, None): the messages up to None.
        self._answers = tokenizer.ParseStream(iter(self._messages.get, None))
        options = tokenizer_pb2.ParseOptions(
            reasoning_parser="qwen3",
            prompt_think_state=prompt_think_state,  # where the prompt left the model
            stop=[stop] if stop else [],
        )
        self._messages.put(tokenizer_pb2.ParseStreamRequest(open=options))
        self.stopped = False  # by the stop string
        self.finish_reason = None

    def add(self, token_ids):
        tokens = tokenizer_pb2.TokenSequence(token_ids=token_ids)
        self._exchange(tokenizer_pb2.ParseStreamRequest(tokens=tokens))

    def finish(self, engine_reason):
        """Prints what was held back."""
        finish = tokenizer_pb2.EngineFinish(finish_reason=engine_reason)
        self._exchange(tokenizer_pb2.ParseStreamRequest(finish=finish))
        self._messages.put(None)
        assert next(self._answers, None) is None, "nothing follows the answer to `finish`"
        print()

    def _exchange(self, message):
        self._messages.put(message)
        for event in next(self._answers).events:
            kind = event.WhichOneof("event")
            if kind == "reasoning":
                print(f"[{event.reasoning}]", end="", flush=True)
            elif kind == "content":
                print(event.content, end="", flush=True)
            elif kind == "stop_hit":
                self.stopped = True
            elif kind == "finish":
                self.finish_reason = event.finish.finish_reason


def generate_on(engine, request, printer, token_ids):
    """One call to one engine; the last chunk. Adds what comes to token_ids, also when it fails."""
    stream = engine.GenerateStream(request, timeout=120)  # queueing included
    for chunk in stream:
        # Drawn by the engine: whoever goes on with this answer must draw the same numbers.
        if chunk.HasField("seed"):
            request.sampling.seed = chunk.seed
        token_ids.extend(chunk.token_ids)
        if chunk.token_ids:
            printer.add(chunk.token_ids)
        if printer.stopped:
            stream.cancel()  # frees the slot and the KV blocks at the next step
            break
    return chunk  # a stream that ends well has at least one


def generate(engines, request, printer):
    """Goes from engine to engine until the answer is complete."""
    token_ids = []
    for attempt in itertools.count(1):
        # Tokens that came already are given back: the stream goes on behind them.
        request.resume_token_ids[:] = token_ids
        index = (attempt - 1) % len(engines)
        try:
            return generate_on(engines[index], request, printer, token_ids), token_ids
        except grpc.RpcError as error:
            # Only these two say that another instance, or a little later, may be better.
            retry = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
            if not retry or attempt == MAX_ATTEMPTS:
                raise
            print(f"engine {index}: {error.details()}; going on after {len(token_ids)} tokens", file=sys.stderr)
        if attempt % len(engines) == 0:
            time.sleep(RETRY_DELAY_SECONDS)


def chat(connect, tokenizer_address, engine_addresses, messages_json, stop=""):
    tokenizer = tokenizer_pb2_grpc.TokenizerStub(connect(tokenizer_address))
    engines = [engine_pb2_grpc.EngineStub(connect(address)) for address in engine_addresses.split(",")]
    prompt = tokenizer.RenderChat(tokenizer_pb2.RenderChatRequest(messages_json=messages_json), timeout=10)
    request = engine_pb2.GenerateRequest(
        prompt_token_ids=engine_pb2.TokenIds(ids=prompt.token_ids),
        sampling=engine_pb2.SamplingParams(temperature=0.7, seed=7),
        stop=engine_pb2.StopConditions(max_tokens=MAX_TOKENS),
    )
    printer = AnswerPrinter(tokenizer, prompt.prompt_think_state, stop)
    last, token_ids = generate(engines, request, printer)
    length = last.finish_reason == engine_pb2.FINISH_REASON_LENGTH
    printer.finish("length" if length else "stop")
    cached = last.usage.cached_token_count
    print(f"finish: {printer.finish_reason}; cached: {cached}; tokens:", *token_ids, file=sys.stderr)


def main(arguments):
    with contextlib.ExitStack() as channels:  # closes them: a process may hang at its end otherwise

        def connect(address):
            return channels.enter_context(grpc.insecure_channel(address, CHANNEL_OPTIONS))

        try:
            chat(connect, *arguments)
        except grpc.RpcError as error:
            sys.exit(f"{error.code()}: {error.details()}")


if __name__ == "__main__":
    if not 4 <= len(sys.argv) <= 5:
        sys.exit("usage: grpc_chat.py TOKENIZER ENGINE[,ENGINE...] MESSAGES_JSON [STOP]")
    main(sys.argv[1:])
