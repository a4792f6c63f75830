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
