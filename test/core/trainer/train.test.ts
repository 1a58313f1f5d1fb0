/** Whole runs. What does not depend on the captured graph runs eagerly, which is faster at this size. */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { EpochContext, StepResult } from "../../../core/contexts.ts";
import { listDataset } from "../../../core/data/dataset.ts";
import { definePlugin, z } from "../../../core/plugin.ts";
import { BACKBONE, DATASET, OPTIMIZER } from "../../../core/tokens.ts";
import type { Optimizer } from "../../../core/trainer/optimizer.ts";
import { checkpointOf, IMAGES, pictureFolder, tinyDino, trainTiny, type TinyRun } from "./runs.ts";
import { FolderCheckpoints } from "../../../core/trainer/checkpoint.ts";
import { coded, plugin, tinyBackbone } from "./tiny.ts";

const eager = { engine: "eager", backend: "cpu" } as const;

describe("train", () => {
  const base = pictureFolder();
  let runs = 0;
  /** In a folder of its own unless it is named. */
  const run = (given: Omit<TinyRun, "base"> = {}) =>
    trainTiny({ base: base(), name: `run-${runs++}`, ...given, train: { ...eager, ...given.train } });

  it("runs its epochs, and tells of every step", async () => {
    const { summary, told } = await run({ train: { batchSize: 4 } });
    assert.deepEqual([summary.status, summary.step], ["finished", 4]);
    assert.deepEqual(
      told.steps.map(({ step, epoch, totalSteps }) => [step, epoch, totalSteps]),
      [0, 1, 2, 3].map((step) => [step, step / 2, 4]),
    );
    const [start] = told.starts;
    const { totalSteps, stepsPerEpoch, fromStep, epochs, engine, precision, plugins, images } = start!;
    assert.deepEqual(
      { totalSteps, stepsPerEpoch, fromStep, epochs, engine, precision, plugins, images },
      {
        totalSteps: 4,
        stepsPerEpoch: 2,
        fromStep: 0,
        epochs: 2,
        engine: "eager",
        precision: "fp32",
        plugins: ["multi-crop", "dino"],
        images: IMAGES,
      },
    );
    const { scalars, waitShare, hostShare, imagesPerSecond, memoryBytes } = told.steps[3]!;
    for (const name of [
      "loss",
      "loss/dino",
      "gradNorm",
      "lr",
      "weightDecay",
      "momentum",
      "dino/teacherTemp",
    ]) {
      assert.ok(Number.isFinite(scalars[name]), name);
    }
    assert.ok(waitShare >= 0 && hostShare > 0, `waits ${waitShare}, host ${hostShare}`);
    assert.ok(waitShare + hostShare < 1, "nothing is left for the step");
    assert.ok(imagesPerSecond > 0 && memoryBytes > 1e6, "speed and memory");
    assert.ok(Math.abs(told.steps[0]!.scalars["lr"]! - (0.1 * 4) / 256) < 1e-9, "lr is per 256 samples");
    assert.deepEqual(told.warnings, []);
  });

  it("gives the same losses for the same seed and others for another", async () => {
    const lossesOf = async (seed: number) => {
      const { told } = await run({ seed, train: { maxSteps: 3 } });
      return told.steps.map(({ scalars }) => scalars["loss"]);
    };
    const [first, again, other] = [await lossesOf(5), await lossesOf(5), await lossesOf(6)];
    assert.equal(new Set(first).size, 3);
    assert.deepEqual(again, first);
    assert.notDeepEqual(other, first);
  });

  it("does one step, one evaluation and one checkpoint in a dry run", async () => {
    const { summary, told } = await run({ name: "dry", options: { dryRun: true } });
    assert.deepEqual([summary.status, summary.step], ["finished", 1]);
    assert.deepEqual([told.steps.length, told.evaluations.length, told.checkpoints], [1, 1, [1]]);
    const { step, settings } = await checkpointOf(base(), "dry");
    assert.deepEqual([step, Object.keys(settings.plugins)], [1, ["multi-crop", "dino"]]);
    assert.ok(summary.evaluations.length > 0);
  });

  it("ends after maxSteps with schedules that go by epochs", async () => {
    const { summary, told } = await run({ train: { maxSteps: 3 } });
    assert.deepEqual([summary.status, summary.step, told.checkpoints], ["finished", 3, [3]]);
    const whole = await run();
    assert.deepEqual(
      told.steps.map(({ scalars }) => scalars["lr"]),
      whole.told.steps.slice(0, 3).map(({ scalars }) => scalars["lr"]),
    );
  });

  it("saves at the end of epochs and every few steps, keeping the last", async () => {
    const { told } = await run({ name: "saves", checkpoint: { everySteps: 3, keepLast: 2 } });
    assert.deepEqual(told.checkpoints, [3, 5, 6, 9, 10]);
    const files = await readdir(join(base(), "saves", "checkpoints"));
    assert.deepEqual(
      files.filter((f) => f.endsWith(".json")),
      ["step-00000009.json", "step-00000010.json"],
    );
    const sparse = await run({ train: { epochs: 3, batchSize: 5 }, checkpoint: { everyEpochs: 2 } });
    assert.deepEqual(sparse.told.checkpoints, [4, 6]);
  });

  it("keeps checkpoints every few epochs and the best by a figure", async () => {
    const { told } = await run({
      name: "kept",
      train: { epochs: 5 },
      checkpoint: { keepLast: 1, keepEveryEpochs: 2, best: "knn/top1" },
      evaluation: { everyEpochs: 1, knn: { k: 1 } },
    });
    const figures = told.evaluations.map(({ evaluation }) => evaluation.scalars["knn/top1"]!);
    const best = 5 * (1 + figures.indexOf(Math.max(...figures)));
    assert.equal(figures.length, 5);
    const steps = [...new Set([best, 10, 20, 25])].sort((a, b) => a - b);
    const folder = join(base(), "kept", "checkpoints");
    const files = await readdir(folder);
    assert.deepEqual(
      files.filter((file) => file.startsWith("step-") && file.endsWith(".json")),
      steps.map((step) => `step-${String(step).padStart(8, "0")}.json`),
    );
    const marked = await new FolderCheckpoints(folder, { keepLast: 1 }).best();
    assert.deepEqual(marked, { step: best, figure: "knn/top1", value: Math.max(...figures) });
    await assert.rejects(run({ checkpoint: { best: "knn/top2" } }), coded("BEST_UNKNOWN", "knn/top2"));
  });

  it("calls the host's hooks in order, and logs what they log", async () => {
    const log: string[] = [];
    const results: StepResult[] = [];
    const counts = plugin("counts", (hooks, name) => {
      const told =
        (what: string) =>
        ({ step, epoch, last, log: write }: EpochContext) => {
          log.push(`${what} ${step} ${epoch} ${String(last)}`);
          write(`counts/${what}`, step);
        };
      hooks.afterStep.tap(name, (result) => void results.push(result));
      hooks.afterEpoch.tap(name, told("epoch"));
      hooks.done.tapPromise(name, async (context) => {
        await Promise.resolve();
        told("done")(context);
      });
    });
    const { told } = await run({ method: [tinyDino, counts], train: { batchSize: 5 } });
    assert.deepEqual(log, ["epoch 2 1 false", "epoch 4 2 true", "done 4 2 true"]);
    assert.deepEqual(
      results.map(({ step, scalars }) => [step, scalars]),
      told.steps.map(({ step, scalars }) => [step, scalars]),
    );
    const logged = told.evaluations
      .filter(({ evaluation }) => Object.keys(evaluation.scalars).some((key) => key.startsWith("counts/")))
      .map(({ evaluation, progress }) => [evaluation.scalars, progress.step]);
    assert.deepEqual(logged, [
      [{ "counts/epoch": 2 }, 2],
      [{ "counts/epoch": 4 }, 4],
      [{ "counts/done": 4 }, 4],
    ]);
  });

  it("tells the mean of the micro-batches' losses, and captures their programs once", async () => {
    const numbers = { batchSize: 4, maxSteps: 2 };
    const whole = await run({ train: numbers });
    const parts = await run({ train: { ...numbers, microBatch: 1 } });
    // The center moves by the last micro-batch, so only the first step is the same.
    const [a, b] = [whole, parts].map(({ told }) => told.steps[0]!.scalars);
    for (const name of ["loss", "loss/dino", "gradNorm"]) {
      assert.ok(
        Math.abs(a![name]! - b![name]!) <= 1e-4 * Math.abs(a![name]!),
        `${name} ${a![name]} ${b![name]}`,
      );
    }
    const captures = [whole, parts].map(
      ({ told }) => told.status.filter((message) => message === "capturing the step").length,
    );
    // One program for a whole batch; one that accumulates and one that applies for its parts.
    assert.deepEqual(captures, [1, 2]);
  });

  describe("evaluation", () => {
    it("of labelled images is k-NN, beside raw pixels and the untrained backbone", async () => {
      const { summary, told } = await run({
        name: "labelled",
        evaluation: { everyEpochs: 1, knn: { k: 3 } },
        train: { batchSize: 5 },
      });
      assert.deepEqual(
        told.evaluations.map(({ progress }) => progress.step),
        [2, 4],
      );
      const [result] = summary.evaluations;
      assert.equal(summary.evaluations.length, 1);
      const { task, network, n, k, queries } = result!.card;
      assert.deepEqual(
        [task, network, n, k, queries],
        ["leave-one-out k-NN", "teacher", IMAGES, 3, "images, 10"],
      );
      const { untrained } = (await checkpointOf(base(), "labelled")).notes as {
        untrained: Record<string, number>;
      };
      for (const figure of result!.figures) {
        assert.deepEqual(
          figure.baselines.map(({ name }) => name),
          ["raw pixels", "untrained backbone"],
        );
        assert.ok([figure, ...figure.baselines].every(({ value }) => value >= 0 && value <= 1));
        assert.equal(figure.baselines[1]!.value, untrained["knn/top1"]);
      }
      assert.equal(told.evaluations.at(-1)!.evaluation.scalars["knn/top1"], result!.figures[0]!.value);
    });

    it("of images without labels is view retrieval, on as many as asked for, in colour and in grey", async () => {
      for (const channels of [3, 1] as const) {
        const { summary } = await run({
          data: { path: "images/even", channels },
          evaluation: { limit: 3 },
          train: { maxSteps: 1 },
        });
        const [{ card, figures }] = summary.evaluations as [(typeof summary.evaluations)[number]];
        assert.deepEqual([card.task, card.bank, card.n], ["view retrieval", "even, 3", 3]);
        assert.equal(figures.length, 3);
        assert.ok(figures.every(({ baselines }) => baselines.length === 2));
      }
    });
  });

  describe("services", () => {
    const binds = (
      services: Parameters<typeof definePlugin>[1] extends (...a: never[]) => infer R ? R : never,
    ) =>
      definePlugin(
        { name: "binds", api: "^1", summary: "made by a test", options: z.strictObject({}) },
        () => services,
      )();

    it("of a plugin take the place of the optimizer and of the backbone", async () => {
      const still: Optimizer = { name: "still", declare: () => undefined, apply: () => undefined };
      const method = [
        binds({
          services: (container) => {
            container.bind(OPTIMIZER, () => still);
            container.bind(BACKBONE, () => tinyBackbone());
          },
        }),
        tinyDino,
      ];
      await run({ name: "bound", method, train: { maxSteps: 1 } });
      const { tensors } = await checkpointOf(base(), "bound");
      assert.ok(!tensors.some(({ name }) => name.startsWith("adam.")));
      const { summary } = await run({ name: "bound 0", method, options: { signal: AbortSignal.abort() } });
      assert.equal(summary.step, 0);
      const student = ({ tensors }: Awaited<ReturnType<typeof checkpointOf>>) =>
        tensors.filter(({ name }) => name.startsWith("student/"));
      assert.deepEqual(
        student(await checkpointOf(base(), "bound")),
        student(await checkpointOf(base(), "bound 0")),
      );
      // The config's backbone has no drop path here, its own would; position embeddings tell their sizes.
      const positions = tensors.find(({ name }) => name === "student/backbone.pos_embed")!;
      assert.deepEqual(positions.shape, [1, 5, 32]);
    });

    it("of a plugin give a dataset that the config only names", async () => {
      const own = listDataset({
        name: "own",
        ids: ["0.png", "2.png", "4.png"],
        pathOf: (id) => join(base(), "images", "even", id),
      });
      const method = [binds({ services: (container) => void container.bind(DATASET, () => own) }), tinyDino];
      const named = { data: { dataset: "own", path: undefined }, train: { maxSteps: 1 } };
      const { told } = await run({ ...named, method });
      assert.equal(told.starts[0]!.images, 3);
      await assert.rejects(run(named), coded("DATASET_UNKNOWN", '"own"'));
    });
  });
});
