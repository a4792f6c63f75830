// The OpenAI Node SDK against a running vallm (see stack.py).
import assert from "node:assert/strict";
import test from "node:test";

let OpenAI;
try {
  ({ default: OpenAI } = await import("openai"));
} catch {
  console.log("skipped: the openai package is missing; tests/clients/install.sh installs it");
  process.exit(77);
}

const model = process.env.VALLM_TEST_MODEL;
const client = new OpenAI({
  baseURL: process.env.VALLM_TEST_BASE_URL,
  apiKey: process.env.VALLM_TEST_API_KEY,
  maxRetries: 0,
});
const user = (content) => [{ role: "user", content }];
const calculator = {
  type: "function",
  function: {
    name: "calculator",
    description: "Evaluate a mathematical expression.",
    parameters: {
      type: "object",
      properties: { expr: { type: "string", description: "Arithmetic expression" } },
      required: ["expr"],
    },
  },
};

async function fold(stream) {
  const out = { reasoning: "", content: "", calls: [], finish: null, usage: null };
  for await (const chunk of stream) {
    out.usage = chunk.usage ?? out.usage;
    for (const choice of chunk.choices) {
      out.reasoning += choice.delta.reasoning_content ?? "";
      out.content += choice.delta.content ?? "";
      out.finish = choice.finish_reason ?? out.finish;
      for (const delta of choice.delta.tool_calls ?? []) {
        out.calls[delta.index] ??= { id: delta.id, type: delta.type, name: delta.function.name, args: "" };
        out.calls[delta.index].args += delta.function.arguments ?? "";
      }
    }
  }
  return out;
}

test("log-probabilities come whole and with the chunks", async () => {
  const request = {
    model,
    temperature: 0,
    max_tokens: 20,
    logprobs: true,
    top_logprobs: 2,
    messages: user("Count from 1 to 40."),
    chat_template_kwargs: { enable_thinking: false },
  };
  const whole = await client.chat.completions.create(request);
  const content = whole.choices[0].logprobs.content;
  assert.equal(content.length, whole.usage.completion_tokens);
  assert.equal(content[0].top_logprobs.length, 2);
  const streamed = [];
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
    for (const choice of chunk.choices) streamed.push(...(choice.logprobs?.content ?? []));
  }
  assert.deepEqual(streamed, content);
});

test("n choices, penalties and biases", async () => {
  const request = { model, messages: user("Hello!"), max_tokens: 10, seed: 3, temperature: 1.5, n: 2 };
  const two = await client.chat.completions.create(request);
  assert.deepEqual(two.choices.map((choice) => choice.index), [0, 1]);
  const one = await client.chat.completions.create({ ...request, n: 1, seed: 4 });
  assert.equal(one.choices[0].message.content, two.choices[1].message.content);
  const forced = await client.completions.create({
    model, prompt: "Hello", max_tokens: 4, temperature: 0, logprobs: 0, logit_bias: { 100: 100 },
    frequency_penalty: 1, presence_penalty: 1,
  });
  assert.equal(new Set(forced.choices[0].logprobs.tokens).size, 1);
});

for (const thinking of [true, false]) {
  test(`stream equals the whole answer, thinking ${thinking ? "on" : "off"}`, async () => {
    const request = {
      model,
      temperature: 0,
      messages: user("What is 478 + 356?"),
      chat_template_kwargs: { enable_thinking: thinking },
    };
    const whole = (await client.chat.completions.create(request)).choices[0].message;
    const stream = await client.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    const streamed = await fold(stream);
    assert.match(streamed.content, /834/);
    assert.equal(streamed.content, whole.content);
    assert.equal(streamed.reasoning, whole.reasoning_content ?? "");
    assert.equal(streamed.reasoning !== "", thinking);
    assert.equal(streamed.finish, "stop");
    assert.ok(streamed.usage.completion_tokens > 0);
  });
}

test("a tool call round trip over a stream", async () => {
  const messages = user("Evaluate 765 - 497 with the tool.");
  const request = { model, temperature: 0, tools: [calculator], stream: true };
  const first = await fold(await client.chat.completions.create({ ...request, messages }));
  assert.equal(first.finish, "tool_calls");
  assert.equal(first.calls.length, 1);
  assert.equal(first.calls[0].type, "function");
  assert.deepEqual(JSON.parse(first.calls[0].args), { expr: "765 - 497" });
  const call = first.calls[0];
  messages.push(
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: call.id, type: "function", function: { name: call.name, arguments: call.args } }],
    },
    { role: "tool", tool_call_id: call.id, content: '{"result": 268}' },
  );
  const second = await fold(await client.chat.completions.create({ ...request, messages }));
  assert.match(second.content, /268/);
});

test("parallel streams do not mix", async () => {
  const answers = await Promise.all(
    [11, 22, 33, 44, 55, 66].map(async (n) => {
      const stream = await client.chat.completions.create({
        model,
        temperature: 0,
        messages: user(`What is ${n} + 100?`),
        chat_template_kwargs: { enable_thinking: false },
        stream: true,
      });
      return [n, (await fold(stream)).content];
    }),
  );
  for (const [n, content] of answers) assert.match(content, new RegExp(String(n + 100)));
});

test("an aborted stream does not disturb the next request", async () => {
  const stream = await client.chat.completions.create({
    model,
    temperature: 0,
    messages: user("Count from 1 to 40."),
    stream: true,
  });
  for await (const _ of stream) break;
  const reply = await client.chat.completions.create({ model, temperature: 0, messages: user("Hello!") });
  assert.equal(reply.choices[0].finish_reason, "stop");
});

test("errors carry OpenAI's fields", async () => {
  await assert.rejects(client.chat.completions.create({ model: "nope", messages: user("Hello!") }), (e) => {
    assert.equal(e.status, 404);
    assert.equal(e.code, "model_not_found");
    return true;
  });
  await assert.rejects(client.chat.completions.create({ model, messages: user("word ".repeat(5000)) }), (e) => {
    assert.equal(e.status, 400);
    assert.equal(e.code, "context_length_exceeded");
    return true;
  });
});
