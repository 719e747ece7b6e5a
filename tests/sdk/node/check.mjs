// Collects checks, runs them in order, and counts. A check is a function that asserts.

import assert from "node:assert/strict";

export const url = process.env.HAIA_URL;
export const key = process.env.HAIA_KEY;
export const readKey = process.env.HAIA_READ_KEY;
export const formats = ["openai", "anthropic", "ollama"];
export const hello = "Hello from the simulated model.";
export const tool = {
  type: "function",
  function: {
    name: "look_outside",
    description: "The weather of a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

const checks = [];

// Registers a check.
export const check = (name, run) => checks.push({ name, run });

// A conversation of one message.
export const ask = (content = "What is going on?") => [{ role: "user", content }];

// What the simulated provider tells of itself.
export const sim = async (path) => (await fetch(`${process.env.SIM_URL}/sim/${path}`)).json();

// How many requests to this model the daemon has left.
export const left = async (model) =>
  (await sim("exchanges")).filter((one) => one.model === model && one.outcome === "left").length;

// Waits for a condition; only a failure reaches the deadline.
export const eventually = async (what, condition) => {
  const deadline = performance.now() + 30_000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `waited in vain for ${what}`);
    await new Promise((go) => setTimeout(go, 10));
  }
};

// The error of that very class that `call` raises.
export const raises = async (kind, call) => {
  try {
    await call();
  } catch (error) {
    assert.equal(error.constructor.name, kind.name, `${error}`);
    return error;
  }
  assert.fail(`no ${kind.name}`);
};

// Runs every check.
export const main = async () => {
  let failed = 0;
  for (const { name, run } of checks) {
    try {
      await run();
      console.log(`ok node ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED node ${name}\n${error.stack}`);
    }
  }
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
};
