"""What the chat templates are written for: Jinja2 in the environment of Hugging Face transformers.

Renders rows as `vallm tokenizer render` does. Knows nothing of how rows are made or compared.
"""

import contextlib
import datetime
import functools
import json
import signal
import warnings

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

# The moment that `vallm tokenizer render` shows unless --now says otherwise.
NOW = datetime.datetime(2025, 9, 14, 12, 34, 56)
SPECIAL_TOKENS = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
SECONDS_PER_ROW = 2


class TooSlow(Exception):
    """The reference has no limits of its own; such a row says nothing."""


class GenerationBlock(Extension):
    """{% generation %}...{% endgeneration %} renders its body as a call block does."""

    tags = {"generation"}

    def parse(self, parser):
        line = parser.stream.expect("name:generation").lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        block = nodes.CallBlock(self.call_method("_body"), [], [], body)
        return block.set_lineno(line)

    def _body(self, caller):
        return caller()


def _raise_exception(message):
    raise TemplateError(message)


def _tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def make_environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, loopcontrols])
    env.filters["tojson"] = _tojson
    env.globals["raise_exception"] = _raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


# Compiling a large template costs more than rendering it a hundred times.
@functools.lru_cache(maxsize=8)
def _compiled(env, template):
    return env.from_string(template)


@contextlib.contextmanager
def _deadline():
    def expire(signum, frame):
        raise TooSlow()

    previous = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_PER_ROW)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def render(env, template, context):
    """Returns (text, None) or (None, error). Raises TooSlow."""
    with warnings.catch_warnings(), _deadline():
        warnings.simplefilter("ignore")
        try:
            return _compiled(env, template).render(**context), None
        except (TooSlow, MemoryError) as e:
            raise TooSlow() from e
        except Exception as e:  # whatever a template can do wrong
            return None, f"{type(e).__name__}: {e}"


def chat_context(row):
    """The variables of a row that has messages."""
    return {**SPECIAL_TOKENS, "messages": row["messages"], "tools": row.get("tools"),
            "documents": None, "add_generation_prompt": False, **row.get("kwargs", {})}
