/** A run that was stopped and resumed is the run that was not, bit for bit. */
import assert from "node:assert/strict";
import { readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import dino from "../../../plugins/dino/index.ts";
import channelRelation from "../../../plugins/channel-relation/index.ts";
import ibot from "../../../plugins/ibot/index.ts";
import pixelRelation from "../../../plugins/pixel-relation/index.ts";
import { checkpointOf, digests, pictureFolder, tinyDino, trainTiny, type Told } from "./runs.ts";
import { coded } from "./tiny.ts";

const losses = ({ steps }: Told) =>
  steps.map(({ step, scalars }) => [step, scalars["loss"], scalars["gradNorm"]]);

/** SERE: masks, and heads with running statistics. */
const sere = [
  tinyDino,
  ibot({ outDim: 16, hiddenDim: 16, bottleneckDim: 8, maskRatio: 0.5, maskRatioVariation: 0 }),
  pixelRelation(),
  channelRelation(),
];

describe("a resumed run", () => {
  const base = pictureFolder();

  for (const [what, batch, stopAt] of [
    ["in the middle of an epoch", {}, 3],
    ["with accumulation", { batchSize: 4, microBatch: 2 }, 1],
  ] as const) {
    it(`goes on ${what} as if it had not been stopped, with other data workers too`, async () => {
      const name = (part: string) => `${what} ${part}`;
      const numbers = { ...batch, epochs: 3 };
      const whole = await trainTiny({
        base: base(),
        name: name("whole"),
        method: sere,
        train: { ...numbers, maxSteps: 6 },
      });
      // Stopped by a signal during the step before.
      const abort = new AbortController();
      const first = await trainTiny({
        base: base(),
        name: name("resumed"),
        method: sere,
        data: { workers: 1 },
        train: { ...numbers, maxSteps: 6 },
        options: {
          signal: abort.signal,
          observer: { step: ({ step }) => step + 1 === stopAt && abort.abort() },
        },
      });
      assert.deepEqual(
        { ...first.summary, folder: "" },
        { folder: "", status: "interrupted", step: stopAt, evaluations: [] },
      );
      assert.deepEqual(first.told.checkpoints.at(-1), stopAt);
      const second = await trainTiny({
        base: base(),
        name: name("resumed"),
        method: sere,
        train: { ...numbers, maxSteps: 6 },
        options: { resume: true },
      });
      assert.equal(second.told.starts[0]!.fromStep, stopAt);
      assert.deepEqual([...losses(first.told), ...losses(second.told)], losses(whole.told));
      assert.equal(whole.told.steps.length, 6);
      const [wanted, got] = [
        await checkpointOf(base(), name("whole")),
        await checkpointOf(base(), name("resumed")),
      ];
      assert.ok(Object.keys(digests(wanted)).length > 100);
      assert.deepEqual(digests(got), digests(wanted));
      assert.deepEqual({ ...got, tensors: [] }, { ...wanted, tensors: [] });
      assert.deepEqual(second.summary.evaluations, whole.summary.evaluations);
    });
  }

  it("takes the checkpoint before a damaged one, and says so", async () => {
    const name = "damaged";
    const run = { base: base(), name, checkpoint: { everySteps: 1, keepLast: 3 } };
    await trainTiny({ ...run, train: { maxSteps: 3 } });
    const before = digests(await checkpointOf(base(), name));
    const folder = join(base(), name, "checkpoints");
    await truncate(join(folder, "step-00000003.safetensors"), 1000);
    const { told } = await trainTiny({ ...run, train: { maxSteps: 3 }, options: { resume: true } });
    assert.equal(told.starts[0]!.fromStep, 2);
    assert.equal(told.warnings.length, 1);
    assert.match(told.warnings[0]!, /CHECKPOINT_DAMAGED.*step-00000003/);
    assert.deepEqual(digests(await checkpointOf(base(), name)), before);
    assert.equal((await readdir(folder)).filter((file) => file.endsWith(".json")).length, 3);
  });

  it("is refused with another seed, other images or another model, or without a checkpoint", async () => {
    const run = {
      base: base(),
      name: "refused",
      train: { engine: "eager", backend: "cpu", maxSteps: 1 },
    } as const;
    await trainTiny(run);
    const resumed = { ...run, options: { resume: true } };
    await assert.rejects(trainTiny({ ...resumed, seed: 2 }), coded("RESUME_DIFFERS", "the seed"));
    await assert.rejects(
      trainTiny({ ...resumed, data: { limit: 8 } }),
      coded("RESUME_DIFFERS", "the images"),
    );
    await assert.rejects(trainTiny({ ...resumed, method: [] }), coded("NO_PASSES"));
    const other = [dino({ outDim: 8, hiddenDim: 16, bottleneckDim: 8 })];
    await assert.rejects(
      trainTiny({ ...resumed, method: other }),
      coded("CHECKPOINT_MISMATCH", "projection.cls.last_layer.weight_g [16, 1] here [8, 1]"),
    );
    await assert.rejects(trainTiny({ ...resumed, name: "empty" }), coded("CHECKPOINT_MISSING", "empty"));
  });

  it("that was finished only evaluates", async () => {
    const run = {
      base: base(),
      name: "finished",
      train: { engine: "eager", backend: "cpu", maxSteps: 1 },
    } as const;
    const first = await trainTiny(run);
    const again = await trainTiny({ ...run, options: { resume: true } });
    assert.equal(again.summary.status, "finished");
    assert.deepEqual([again.told.steps, again.told.checkpoints], [[], []]);
    assert.deepEqual(again.summary.evaluations, first.summary.evaluations);
  });
});
