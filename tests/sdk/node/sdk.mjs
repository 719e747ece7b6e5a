// The official Node SDK against HAIA: models, chats, tools, usage, errors, disconnects, pictures.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { ask, check, eventually, formats, hello, key, left, main, raises, readKey, sim, tool, url } from "./check.mjs";

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
const final = "Let me look. \n\nFinal answer after 3 results in 2 rounds.";
const chat = (model, more = {}, options = {}) =>
  client.chat.completions.create({ model, messages: ask(), ...more }, options);
const collect = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
};
const text = (chunks) => chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("");

check("models are listed", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  for (const id of ["haia", "haia/default", "openai/text", "anthropic/text", "ollama/text", "builtin/offline"])
    assert.ok(ids.includes(id), `no ${id} in ${ids}`);
  assert.equal((await client.models.retrieve("haia")).id, "haia");
});

check("whole", async () => {
  for (const kind of formats) {
    const answer = await chat(`${kind}/text`);
    assert.equal(answer.choices[0].message.content, hello);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.usage.prompt_tokens, 11);
    assert.equal(answer.usage.completion_tokens, 7);
    assert.ok(answer._request_id);
  }
});

check("streamed", async () => {
  for (const kind of formats) assert.equal(text(await collect(await chat(`${kind}/text`, { stream: true }))), hello);
});

check("streamed with the helper", async () => {
  for (const model of ["openai/text", "anthropic/text", "ollama/text", "haia"]) {
    const answer = await client.chat.completions.stream({ model, messages: ask() }).finalChatCompletion();
    assert.equal(answer.choices[0].message.content, model === "haia" ? final : hello);
    assert.equal(answer.choices[0].finish_reason, "stop");
  }
});

check("usage only when asked for", async () => {
  for (const [model, expected] of [["openai/text", 11], ["anthropic/text", 11], ["ollama/text", 11], ["haia", 33]]) {
    const chunks = await collect(await chat(model, { stream: true, stream_options: { include_usage: true } }));
    const told = chunks.filter((chunk) => chunk.usage);
    assert.equal(told.length, 1);
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.equal(told[0].usage.prompt_tokens, expected);
    const plain = await collect(await chat(model, { stream: true }));
    assert.ok(plain.every((chunk) => !chunk.usage));
  }
});

check("the agent", async () => {
  for (const kind of formats) {
    const answer = await chat(`haia/${kind}-agent`);
    assert.equal(answer.choices[0].message.content, final);
    assert.ok(!answer.choices[0].message.tool_calls?.length);
    const chunks = await collect(await chat(`haia/${kind}-agent`, { stream: true }));
    assert.equal(text(chunks), final);
    assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  }
});

// Returns to the model with a result for each of its calls.
const finishWithResults = async (model, { role, content, tool_calls }) => {
  const results = tool_calls.map((call) => ({
    role: "tool",
    tool_call_id: call.id,
    content: `rain in ${JSON.parse(call.function.arguments).city}`,
  }));
  const messages = [...ask(), { role, content, tool_calls }, ...results];
  return (await chat(model, { messages, tools: [tool] })).choices[0].message.content;
};

check("tools of the caller", async () => {
  for (const kind of formats)
    for (const model of [`${kind}/caller`, `haia/${kind}-caller`]) {
      const { message, finish_reason } = (await chat(model, { tools: [tool] })).choices[0];
      assert.equal(finish_reason, "tool_calls");
      assert.deepEqual(message.tool_calls.map((call) => call.function.name), ["look_outside"]);
      assert.equal(await finishWithResults(model, message), "Final answer after 1 results in 1 rounds.");
    }
});

check("parallel calls streamed", async () => {
  for (const kind of formats) {
    const model = `${kind}/parallel`;
    const answer = await client.chat.completions.stream({ model, messages: ask(), tools: [tool] }).finalChatCompletion();
    const { message } = answer.choices[0];
    assert.deepEqual(message.tool_calls.map((call) => JSON.parse(call.function.arguments).city), ["Zürich", "Genève"]);
    assert.equal(await finishWithResults(model, message), "Final answer after 2 results in 1 rounds.");
  }
});

check("mixed calls", async () => {
  for (const kind of formats) {
    const model = `haia/${kind}-mixed`;
    const { message } = (await chat(model, { tools: [tool] })).choices[0];
    assert.deepEqual(message.tool_calls.map((call) => call.function.name), ["look_outside"]);
    assert.equal(await finishWithResults(model, message), "Final answer after 2 results in 1 rounds.");
  }
});

check("the helper runs the caller's tools", async () => {
  for (const model of ["openai/caller", "haia/anthropic-mixed"]) {
    const definition = { ...tool.function, parse: JSON.parse, function: ({ city }) => `rain in ${city}` };
    const runner = client.chat.completions.runTools({
      model,
      messages: ask(),
      tools: [{ type: "function", function: definition }],
    });
    assert.match(await runner.finalContent(), /^Final answer after [12] results in 1 rounds\.$/);
  }
});

check("a picture of eight megabytes", async () => {
  const data = "A".repeat(8 * 1024 * 1024);
  const content = [
    { type: "text", text: "What is this?" },
    { type: "image_url", image_url: { url: `data:image/png;base64,${data}` } },
  ];
  for (const kind of formats) {
    const answer = await chat(`${kind}/echo`, { messages: [{ role: "user", content }] });
    assert.equal(JSON.parse(answer.choices[0].message.content).image_bytes, data.length);
  }
});

check("errors of the request", async () => {
  const wrong = await raises(OpenAI.BadRequestError, () => chat("haia", { temperature: "hot" }));
  assert.equal(wrong.param, "temperature");
  const unknown = await raises(OpenAI.NotFoundError, () => chat("nobody/nothing"));
  assert.equal(unknown.code, "model_not_found");
  const nowhere = await raises(OpenAI.NotFoundError, () => client.post("/no/such/path", { body: {} }));
  assert.equal(nowhere.code, "not_found");
  const huge = await raises(OpenAI.APIError, () => chat("openai/text", { messages: ask("x".repeat(33 * 1024 * 1024)) }));
  assert.equal(huge.status, 413);
});

check("errors of the key", async () => {
  const nobody = new OpenAI({ baseURL: `${url}/v1`, apiKey: "wrong", maxRetries: 0 });
  assert.equal((await raises(OpenAI.AuthenticationError, () => nobody.models.list())).code, "invalid_api_key");
  const reader = new OpenAI({ baseURL: `${url}/v1`, apiKey: readKey, maxRetries: 0 });
  const refused = await raises(OpenAI.PermissionDeniedError, () =>
    reader.chat.completions.create({ model: "haia", messages: ask() }),
  );
  assert.equal(refused.type, "permission_error");
});

check("errors of providers", async () => {
  for (const kind of formats)
    for (const stream of [false, true]) {
      const long = await raises(OpenAI.BadRequestError, () => chat(`${kind}/context-length`, { stream }));
      assert.equal(long.code, "context_length_exceeded");
      const limited = await raises(OpenAI.RateLimitError, () => chat(`${kind}/status-429`, { stream }));
      assert.equal(limited.headers.get("retry-after"), "7");
      for (const [model, status, code] of [
        [`${kind}/status-401`, 502, "provider_authentication"],
        [`${kind}/status-503`, 503, "provider_unavailable"],
        ["down/text", 503, "provider_unavailable"],
        ["slow/hang", 504, "provider_timeout"],
      ]) {
        const error = await raises(OpenAI.InternalServerError, () => chat(model, { stream }));
        assert.deepEqual([error.status, error.code, error.type], [status, code, "provider_error"], model);
        assert.ok(!error.message.includes("sk-leaked"));
      }
    }
});

check("a cut stream raises", async () => {
  for (const kind of formats)
    for (const model of [`${kind}/cut-mid`, `${kind}/error-mid`]) {
      let words = "";
      await raises(OpenAI.APIError, async () => {
        for await (const chunk of await chat(model, { stream: true })) {
          assert.equal(chunk.choices[0].finish_reason ?? null, null);
          words += chunk.choices[0].delta.content ?? "";
        }
      });
      assert.ok(words.startsWith("Hello "), words);
    }
});

check("a client that leaves frees the provider", async () => {
  for (const kind of formats) {
    let before = await left("hang-mid");
    for await (const chunk of await chat(`${kind}/hang-mid`, { stream: true }))
      if (chunk.choices[0].delta.content) break;
    await eventually("the provider to be left in mid-stream", async () => (await left("hang-mid")) === before + 1);
    for (const stream of [false, true]) {
      before = await left("hang");
      const timeout = { timeout: 500 };
      await raises(OpenAI.APIConnectionTimeoutError, () => chat(`${kind}/hang`, { stream }, timeout));
      await eventually("the provider to be left before a token", async () => (await left("hang")) === before + 1);
    }
  }
});

check("many at once", async () => {
  const models = [...Array(5).fill(formats.map((kind) => `${kind}/long`)).flat(), ...Array(15).fill("haia")];
  const texts = await Promise.all(models.map(async (model) => text(await collect(await chat(model, { stream: true })))));
  const long = Array.from({ length: 200 }, (_, at) => `word-${at} `).join("");
  assert.ok(texts.slice(0, 15).every((one) => one === long));
  assert.ok(texts.slice(15).every((one) => one === final));
});

check("the provider had no complaint", async () => assert.deepEqual(await sim("violations"), []));

await main();
