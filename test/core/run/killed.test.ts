/** Bit-exact resumption after SIGKILL; test/slow/killed.test.ts has many more kills. */
import assert from "node:assert/strict";
import { pictureFolder } from "../trainer/runs.ts";
import { holdKilledToWhole } from "../../support/killed-runs.ts";

const KILLS =
  /^from 0, .*SIGKILL\nfrom 3, killed before write of .*part, SIGKILL\nfrom 3, killed before rename of .*json, SIGKILL\nfrom 3, .*, 0$/;

describe("a killed run", function () {
  this.timeout(300_000);
  const base = pictureFolder();

  it("ends as one that was not: killed in an epoch, while a checkpoint is written, and before it is in its place", async () => {
    const told = await holdKilledToWhole(
      base(),
      "sere",
      {
        data: { workers: 2, prefetch: 2 },
        train: { epochs: 5, batchSize: 4, microBatch: 2, maxSteps: 9, jit: "off" },
        checkpoint: { everySteps: 3 },
      },
      // Of a checkpoint's two files the JSON, which makes it one, is renamed last.
      [
        { afterSteps: 4, ms: 0 },
        { operation: "write", call: 50 },
        { operation: "rename", call: 1 },
      ],
    );
    assert.match(told.join("\n"), KILLS);
  });
});
