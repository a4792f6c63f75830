// The Vercel AI SDK against a running vallm (see stack.py): its OpenAI provider, over chats and over
// responses, and its provider for compatible servers.
import assert from "node:assert/strict";
import test from "node:test";

globalThis.AI_SDK_LOG_WARNINGS = false;
let ai, createOpenAI, createOpenAICompatible, z;
try {
  ai = await import("ai");
  ({ createOpenAI } = await import("@ai-sdk/openai"));
  ({ createOpenAICompatible } = await import("@ai-sdk/openai-compatible"));
  ({ z } = await import("zod"));
} catch {
  console.log("skipped: the ai package is missing; tests/clients/install.sh installs it");
  process.exit(77);
}
const { generateText, streamText, stepCountIs, tool, Output } = ai;

const name = process.env.VALLM_TEST_MODEL;
const settings = { baseURL: process.env.VALLM_TEST_BASE_URL, apiKey: process.env.VALLM_TEST_API_KEY };
const openai = createOpenAI(settings);
const models = {
  responses: openai.responses(name),
  chat: openai.chat(name),
  compatible: createOpenAICompatible({ ...settings, name: "vallm", includeUsage: true })(name),
};
const question = "What is 478 + 356?";
const weatherQuestion = "What is the weather in Helsinki in Celsius?";
const weather = tool({
  description: "Get the current weather for a city.",
  inputSchema: z.object({ city: z.string(), unit: z.string().optional() }),
  execute: async ({ city }) => ({ city, temperature: -4, condition: "snowy" }),
});
const common = { temperature: 0, maxRetries: 0 };

for (const [kind, model] of Object.entries(models)) {
  test(`${kind}: generateText`, async () => {
    const { text, finishReason, usage } = await generateText({ ...common, model, prompt: question });
    assert.match(text, /834/);
    assert.equal(finishReason, "stop");
    assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
  });

  test(`${kind}: streamText equals the whole text`, async () => {
    const whole = await generateText({ ...common, model, prompt: question });
    const stream = streamText({ ...common, model, prompt: question, onError: ({ error }) => assert.fail(error) });
    let text = "";
    let pieces = 0;
    for await (const piece of stream.textStream) {
      text += piece;
      pieces += 1;
    }
    assert.equal(text, whole.text);
    assert.ok(pieces > 1);
    assert.equal((await stream.usage).outputTokens, whole.usage.outputTokens);
  });

  test(`${kind}: a tool is called and its result answered`, async () => {
    const request = { ...common, model, prompt: weatherQuestion, tools: { get_weather: weather }, stopWhen: stepCountIs(3) };
    const { steps, text } = await generateText(request);
    assert.equal(steps[0].toolCalls[0].toolName, "get_weather");
    assert.equal(steps[0].toolCalls[0].input.city, "Helsinki");
    assert.match(text, /Helsinki/);
    const stream = streamText({ ...request, onError: ({ error }) => assert.fail(error) });
    assert.equal(await stream.text, text);
    assert.equal((await stream.steps).length, steps.length);
  });

  test(`${kind}: a tool can be required`, async () => {
    const { toolCalls, finishReason } = await generateText({
      ...common, model, prompt: "Good morning", tools: { get_weather: weather }, toolChoice: "required",
    });
    assert.equal(toolCalls[0].toolName, "get_weather");
    assert.equal(finishReason, "tool-calls");
  });

  test(`${kind}: cut by length`, async () => {
    const { finishReason, usage } = await generateText({ ...common, model, prompt: "Count from 1 to 40.", maxOutputTokens: 5 });
    assert.equal(finishReason, "length");
    assert.equal(usage.outputTokens, 5);
  });

  if (kind === "compatible") continue; // asks for no schema unless told that the server knows them
  test(`${kind}: an object of a schema`, async () => {
    const { output } = await generateText({
      ...common, model, prompt: question,
      output: Output.object({ schema: z.object({ sum: z.number().int(), sure: z.boolean() }) }),
    });
    assert.equal(typeof output.sum, "number");
    assert.equal(typeof output.sure, "boolean");
  });
}

test("compatible: reasoning is told apart", async () => {
  const { reasoningText, text } = await generateText({ ...common, model: models.compatible, prompt: question });
  assert.ok(reasoningText.length > 0);
  assert.doesNotMatch(text, /think>/);
  const stream = streamText({ ...common, model: models.compatible, prompt: question });
  assert.equal(await stream.reasoningText, reasoningText);
});

test("responses: a conversation goes on from the last response", async () => {
  const first = await generateText({ ...common, model: models.responses, prompt: "Hello!" });
  const { responseId } = first.providerMetadata.openai;
  const second = await generateText({
    ...common, model: models.responses, prompt: question,
    providerOptions: { openai: { previousResponseId: responseId } },
  });
  assert.match(second.text, /834/);
  assert.ok(second.usage.inputTokens > first.usage.inputTokens + 5);
});

test("responses: history is sent back, by reference or in full", async () => {
  for (const store of [true, false]) {
    const options = { ...common, model: models.responses, providerOptions: { openai: { store } } };
    const messages = [{ role: "user", content: "Hello!" }];
    const first = await generateText({ ...options, messages });
    messages.push(...first.response.messages, { role: "user", content: question });
    assert.match((await generateText({ ...options, messages })).text, /834/);
  }
});

test("errors carry their status", async () => {
  await assert.rejects(generateText({ ...common, model: openai.responses("nope"), prompt: "x" }), { statusCode: 404 });
  await assert.rejects(generateText({ ...common, model: openai.chat("nope"), prompt: "x" }), { statusCode: 404 });
});
