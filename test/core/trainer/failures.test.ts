import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { End } from "./failing-runs.ts";

const script = fileURLToPath(new URL("./failing-runs.ts", import.meta.url));

describe("a run with a plugin that", () => {
  let ends: Record<string, End> = {};
  let exit: { code: number | null; signal: string | null };

  before(async function () {
    this.timeout(300_000);
    const child = spawn(process.execPath, ["--import", "tsx", "--conditions=relata-source", script], {
      env: { ...process.env, NODE_OPTIONS: "" },
      stdio: ["ignore", "pipe", "inherit"],
      timeout: 280_000, // a process that hangs is killed, which is an exit by a signal
    });
    let output = "";
    child.stdout.on("data", (data) => (output += String(data)));
    exit = await new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
    ends = JSON.parse(output) as Record<string, End>;
  });

  it("fails leaves nothing running: the process ends by itself", () => {
    assert.deepEqual(exit, { code: 0, signal: null });
  });

  const boom = (hook: string) => [`plugin "bad" failed in "${hook}": boom`];
  for (const [name, code, words, steps] of [
    ["throws in apply", "PLUGIN_THREW", boom("apply"), 0],
    ["throws in setup", "PLUGIN_THREW", boom("setup"), 0],
    ["throws in the loss", "PLUGIN_THREW", boom("loss"), 0],
    ["throws after a step", "PLUGIN_THREW", boom("afterStep"), 2],
    ["throws after an epoch", "PLUGIN_THREW", boom("afterEpoch"), 5],
    ["reads a value", "VALUE_READ_WHILE_TRACING", ['plugin "bad"', "bad/loss"], 0],
    ["freezes Math.random", "FROZEN_VALUE", ['plugin "bad"', "bad/loss"], 0],
    ["draws in TensorFlow", "STATEFUL_OP", ['plugin "bad"', "bad/loss"], 0],
    ["freezes the step", "FROZEN_VALUE", ['plugin "bad"', "bad/loss"], 1],
    ["taps asynchronously", "HOOK_ASYNC_TAP", ['plugin "bad"', '"loss"'], 0],
    ["taps with an async function", "HOOK_ASYNC_TAP", ['plugin "bad"', '"loss"'], 0],
    ["returns nothing from a waterfall", "HOOK_RETURNED_NOTHING", ['plugin "bad"', '"forward"'], 0],
  ] as const) {
    it(`${name} ends with ${code}, after ${steps} steps`, () => {
      const end = ends[name]!;
      assert.equal(end.code, code, end.message);
      for (const word of words) assert.ok(end.message.includes(word), end.message);
      assert.equal(end.steps, steps);
    });
  }

  it("fails after a step has the checkpoint of that step", () => {
    assert.deepEqual(ends["throws after a step"]!.checkpoints, [2]);
  });

  it("fails after an epoch has the epoch's checkpoint", () => {
    assert.deepEqual(ends["throws after an epoch"]!.checkpoints, [5]);
  });
});
