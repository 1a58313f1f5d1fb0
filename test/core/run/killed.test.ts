/** Bit-exact resumption after SIGKILL; test/slow/killed.test.ts has many more kills. */
import { pictureFolder } from "../trainer/runs.ts";
import { holdKilledToWhole } from "../../support/killed-runs.ts";

describe("a killed run", function () {
  this.timeout(300_000);
  const base = pictureFolder();

  it("ends as one that was not: killed in an epoch, while a checkpoint is written, and before it is in its place", async () => {
    await holdKilledToWhole(
      base(),
      "sere",
      {
        data: { workers: 2, prefetch: 2 },
        train: { epochs: 5, batchSize: 4, microBatch: 2, maxSteps: 9, jit: "off" },
        checkpoint: { everySteps: 3 },
      },
      [{ afterSteps: 4, ms: 0 }, { call: 50 }, { call: 3 }],
    );
  });
});
