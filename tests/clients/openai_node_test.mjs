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

test("the stream helper folds a chat", async () => {
  const request = { model, temperature: 0, messages: user("What is 478 + 356?") };
  const whole = await client.chat.completions.create(request);
  const stream = client.chat.completions.stream(request);
  let text = "";
  stream.on("content", (delta) => (text += delta));
  const final = await stream.finalChatCompletion();
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(final.choices[0].message.content, text);
  assert.equal(final.choices[0].finish_reason, "stop");
});

for (const stream of [false, true]) {
  test(`runTools calls the tool and answers, stream ${stream}`, async () => {
    const asked = [];
    const tool = {
      type: "function",
      function: {
        ...calculator.function,
        parse: JSON.parse,
        function: ({ expr }) => {
          asked.push(expr);
          return '{"result": 268}';
        },
      },
    };
    const runner = client.chat.completions.runTools({
      model,
      stream,
      temperature: 0,
      messages: user("Evaluate 765 - 497 with the tool."),
      tools: [tool],
    });
    assert.match(await runner.finalContent(), /268/);
    assert.deepEqual(asked, ["765 - 497"]);
    const roles = runner.messages.map((message) => message.role);
    assert.deepEqual(roles, ["user", "assistant", "tool", "assistant"]);
  });
}

const sum = {
  type: "json_schema",
  name: "sum",
  strict: true,
  schema: {
    type: "object",
    properties: { sum: { type: "integer" }, sure: { type: "boolean" } },
    required: ["sum", "sure"],
    additionalProperties: false,
  },
};

test("a chat is parsed by its schema", async () => {
  const { type, ...json_schema } = sum;
  const reply = await client.chat.completions.parse({
    model,
    temperature: 0,
    messages: user("What is 478 + 356?"),
    response_format: { type, json_schema },
  });
  assert.equal(typeof JSON.parse(reply.choices[0].message.content).sum, "number");
});

test("a response, whole and streamed", async () => {
  const request = { model, temperature: 0, input: "What is 478 + 356?" };
  const whole = await client.responses.create(request);
  assert.match(whole.output_text, /834/);
  assert.deepEqual(whole.output.map((item) => item.type), ["reasoning", "message"]);
  const stream = client.responses.stream(request);
  let text = "";
  const types = new Set();
  stream.on("response.output_text.delta", (event) => (text += event.delta));
  for await (const event of stream) types.add(event.type);
  const final = await stream.finalResponse();
  assert.equal(text, whole.output_text);
  assert.equal(final.output_text ?? text, text);
  assert.ok(types.has("response.reasoning_text.delta") && types.has("response.completed"));
  assert.equal((await client.responses.retrieve(final.id)).output_text, text);
  await client.responses.delete(final.id);
  await assert.rejects(client.responses.retrieve(final.id), { status: 404 });
});

test("a response calls a tool and goes on", async () => {
  const { type, function: definition } = calculator;
  const request = { model, temperature: 0, tools: [{ type, ...definition, strict: false }] };
  const first = await client.responses.create({ ...request, input: "Evaluate 765 - 497 with the tool." });
  const call = first.output.at(-1);
  assert.deepEqual([call.type, JSON.parse(call.arguments)], ["function_call", { expr: "765 - 497" }]);
  const second = await client.responses.create({
    ...request,
    previous_response_id: first.id,
    input: [{ type: "function_call_output", call_id: call.call_id, output: '{"result": 268}' }],
  });
  assert.match(second.output_text, /268/);
  const items = [];
  for await (const item of client.responses.inputItems.list(second.id, { order: "asc" })) items.push(item.type);
  assert.deepEqual(items.slice(-2), ["function_call", "function_call_output"]);
});

test("a response is parsed by its schema", async () => {
  const reply = await client.responses.parse({
    model,
    temperature: 0,
    input: "What is 478 + 356?",
    text: { format: sum },
  });
  assert.equal(typeof JSON.parse(reply.output_text).sum, "number");
});
