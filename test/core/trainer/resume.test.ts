/** A run that was stopped and resumed is the run that was not, bit for bit; killed.test.ts has killed ones, with accumulation. */
import assert from "node:assert/strict";
import { readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import type { StepReport } from "../../../core/trainer/train.ts";
import dino from "../../../plugins/dino/index.ts";
import channelRelation from "../../../plugins/channel-relation/index.ts";
import ibot from "../../../plugins/ibot/index.ts";
import pixelRelation from "../../../plugins/pixel-relation/index.ts";
import koleo from "../../../plugins/koleo/index.ts";
import { checkpointOf, digests, nothingTold, pictureFolder, tinyDino, trainTiny, type Told } from "./runs.ts";
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

  it("goes on in the middle of an epoch as if it had not been stopped, with other data workers too", async () => {
    const numbers = { epochs: 3, maxSteps: 6 };
    const given = { base: base(), method: sere, train: numbers };
    const whole = await trainTiny({ ...given, name: "whole" });
    // Stopped by a signal during the third step.
    const abort = new AbortController();
    const observer = { step: ({ step }: StepReport) => step === 2 && abort.abort() };
    const first = await trainTiny({
      ...given,
      name: "resumed",
      data: { workers: 1 },
      options: { signal: abort.signal, observer },
    });
    assert.deepEqual(
      { ...first.summary, folder: "" },
      { folder: "", status: "interrupted", step: 3, evaluations: [] },
    );
    assert.deepEqual(first.told.checkpoints.at(-1), 3);
    const second = await trainTiny({ ...given, name: "resumed", options: { resume: true } });
    assert.equal(second.told.starts[0]!.fromStep, 3);
    assert.deepEqual([...losses(first.told), ...losses(second.told)], losses(whole.told));
    assert.equal(whole.told.steps.length, 6);
    const [wanted, got] = [await checkpointOf(base(), "whole"), await checkpointOf(base(), "resumed")];
    assert.ok(Object.keys(digests(wanted)).length > 100);
    assert.deepEqual(digests(got), digests(wanted));
    assert.deepEqual({ ...got, tensors: [] }, { ...wanted, tensors: [] });
    assert.deepEqual(second.summary.evaluations, whole.summary.evaluations);
  });

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
    await assert.rejects(trainTiny({ ...resumed, seed: 2 }), coded("RESUME_DIFFERS", "seed was 1, now 2"));
    await assert.rejects(
      trainTiny({ ...resumed, data: { limit: 8 } }),
      coded("RESUME_DIFFERS", "data.limit was nothing, now 8; the images was "),
    );
    await assert.rejects(trainTiny({ ...resumed, method: [] }), coded("NO_PASSES"));
    const other = [dino({ outDim: 8, hiddenDim: 16, bottleneckDim: 8 })];
    await assert.rejects(
      trainTiny({ ...resumed, method: other }),
      coded("RESUME_DIFFERS", "plugins.dino.outDim was 16, now 8"),
    );
    await assert.rejects(
      trainTiny({ ...resumed, method: [tinyDino, koleo()] }),
      coded("RESUME_DIFFERS", "plugins.koleo was nothing, now {"),
    );
    await assert.rejects(trainTiny({ ...resumed, name: "empty" }), coded("CHECKPOINT_MISSING", "empty"));
  });

  it("may change where and how fast it runs, and what is watched and kept", async () => {
    const eager = { engine: "eager", backend: "cpu" } as const;
    const run = { base: base(), name: "free", train: { ...eager, maxSteps: 2 } } as const;
    await trainTiny(run);
    const { told } = await trainTiny({
      ...run,
      data: { workers: 1, prefetch: 2, path: join(base(), "images") },
      train: { maxSteps: 3, jit: "off", threads: { intra: 2, inter: 1 } },
      checkpoint: { keepLast: 5 },
      evaluation: { knn: { k: 3 } },
      options: { resume: true },
    });
    assert.deepEqual([told.starts[0]!.fromStep, told.checkpoints, told.warnings], [2, [3], []]);
  });

  it("that is forced keeps what fits, and lists what changes, is new and is gone", async () => {
    const run = {
      base: base(),
      name: "forced",
      train: { engine: "eager", backend: "cpu", maxSteps: 2 },
    } as const;
    await trainTiny(run);
    const before = await checkpointOf(base(), "forced");
    const other = dino({ outDim: 8, hiddenDim: 16, bottleneckDim: 8 });
    const { told } = await trainTiny({
      ...run,
      method: [other, pixelRelation()],
      train: { ...run.train, lr: 1e-9, maxSteps: 3 },
      options: { resume: true, force: true },
    });
    assert.equal(told.starts[0]!.fromStep, 2);
    const warnings = told.warnings.join("\n");
    for (const words of [
      "train.lr changes from 0.1 to 1e-9",
      "plugins.dino.outDim changes from 16 to 8",
      "kept: backbone, projection.mlp",
      "new, from the seed: pixel-relation.head",
      "of another shape, from the seed: student/projection.cls.last_layer",
    ])
      assert.ok(warnings.includes(words), `${words} is not in:\n${warnings}`);
    // At such a rate the backbone stays where it was.
    const after = await checkpointOf(base(), "forced");
    const backbone = before.tensors.filter(({ name }) => name.startsWith("student/backbone."));
    assert.ok(backbone.length > 20);
    for (const { name, values } of backbone) {
      const now = after.tensors.find((tensor) => tensor.name === name)!.values;
      assert.ok(
        now.every((value, i) => Math.abs(value - values[i]!) < 1e-6),
        name,
      );
    }
  });

  it("starts over where no checkpoint was saved yet, if that is asked for", async () => {
    const run = {
      base: base(),
      name: "auto",
      train: { engine: "eager", backend: "cpu", maxSteps: 1 },
      options: { resume: "auto" },
    } as const;
    const first = await trainTiny(run);
    assert.deepEqual([first.told.starts[0]!.fromStep, first.told.checkpoints], [0, [1]]);
    const second = await trainTiny({ ...run, train: { ...run.train, maxSteps: 2 } });
    assert.deepEqual([second.told.starts[0]!.fromStep, second.told.checkpoints], [1, [2]]);
    const folder = join(base(), "auto", "checkpoints");
    for (const file of await readdir(folder)) await truncate(join(folder, file), 10);
    await assert.rejects(trainTiny(run), coded("CHECKPOINT_DAMAGED"), "what is damaged is not trained over");
  });

  it("makes up for the end of an epoch that was cut off after its checkpoint", async () => {
    const run = {
      base: base(),
      name: "cut",
      evaluation: { everyEpochs: 1 },
      train: { engine: "eager", backend: "cpu", epochs: 3 },
    } as const;
    const told = nothingTold();
    const cut = { checkpoint: () => { throw new Error("killed"); } }; // prettier-ignore
    await assert.rejects(trainTiny({ ...run, told, options: { observer: cut } }), /killed/);
    assert.deepEqual(told.evaluations, []);
    const again = await trainTiny({ ...run, options: { resume: true } });
    assert.deepEqual(
      again.told.evaluations.map(({ progress }) => progress.epoch),
      [1, 2, 3],
    );
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
    const longer = await trainTiny({
      ...run,
      train: { ...run.train, maxSteps: 2 },
      options: { resume: true },
    });
    assert.equal(longer.summary.step, 2);
    const past = await trainTiny({ ...run, options: { resume: true } });
    assert.deepEqual([past.summary.status, past.summary.step, past.told.steps], ["finished", 2, []]);
    assert.deepEqual(past.summary.evaluations, longer.summary.evaluations);
  });
});
