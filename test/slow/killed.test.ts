/** Fifty kills at any moment: every run ends with the bytes of one that was not killed. */
import { Random } from "../../core/random.ts";
import { pictureFolder, type TinyConfig } from "../core/trainer/runs.ts";
import { drawKill, holdKilledToWhole } from "../support/killed-runs.ts";

const RUNS: Readonly<Record<string, TinyConfig>> = {
  "with a checkpoint at every step": {
    data: { workers: 0 },
    train: { epochs: 8, maxSteps: 36 },
    checkpoint: { everySteps: 1, keepLast: 1 },
  },
  "with accumulation and two data workers": {
    data: { workers: 2, prefetch: 3 },
    train: { epochs: 20, batchSize: 4, microBatch: 2, maxSteps: 30 },
    checkpoint: { everySteps: 3 },
  },
  "with four micro-batches and a worker": {
    data: { workers: 1 },
    train: { epochs: 30, batchSize: 8, microBatch: 2, maxSteps: 28 },
    checkpoint: { everySteps: 2, keepEveryEpochs: 5 },
  },
  "with evaluations, and the best checkpoint kept": {
    data: { workers: 1 },
    train: { epochs: 8, maxSteps: 34 },
    checkpoint: { everySteps: 2, best: "knn/top1" },
    evaluation: { everyEpochs: 1, knn: { k: 3 } },
  },
  "in bf16, without fused pieces": {
    data: { workers: 0 },
    train: { epochs: 8, maxSteps: 30, precision: "bf16", jit: "off" },
    checkpoint: { everySteps: 2 },
  },
};
const KILLS = 10;

describe("a run that is killed ten times", function () {
  this.timeout(1_800_000);
  const base = pictureFolder();

  for (const [i, [what, config]] of Object.entries(RUNS).entries()) {
    it(`${what} ends as one that was not`, async () => {
      const random = new Random(i, "kills");
      const kills = Array.from({ length: KILLS }, () => drawKill(random));
      const told = await holdKilledToWhole(base(), `run-${i}`, config, kills);
      console.log(told.map((line) => `      ${line}`).join("\n"));
    });
  }
});
