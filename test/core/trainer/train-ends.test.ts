/** Runs that end before their last step, or would have to. */
import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import pixelRelation from "../../../plugins/pixel-relation/index.ts";
import {
  checkpointOf,
  digests,
  nothingTold,
  pictureFolder,
  tinyDino,
  trainTiny,
  type TinyRun,
} from "./runs.ts";
import { coded, plugin } from "./tiny.ts";

const eager = { engine: "eager", backend: "cpu" } as const;

describe("train,", () => {
  const base = pictureFolder();
  let runs = 0;
  /** In a folder of its own unless it is named. */
  const run = (given: Omit<TinyRun, "base"> = {}) =>
    trainTiny({ base: base(), name: `run-${runs++}`, ...given, train: { ...eager, ...given.train } });

  describe("when it is interrupted", () => {
    it("leaves out the rest of the update, saves the state before it and says so", async () => {
      const abort = new AbortController();
      const fed: number[] = [];
      const watches = plugin("watches", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          const sample = ({ step }: { step: number }) => {
            fed.push(step);
            if (step === 1) abort.abort(); // in the middle of the second update
            return new Float32Array(1);
          };
          const input = setup.input("x", { shape: [], sample });
          hooks.loss.tap(name, (losses, { value }) => losses.metric("x", value(input)));
        });
      });
      // Heads with running statistics, which every micro-batch moves.
      const given = { method: [tinyDino, pixelRelation(), watches], train: { batchSize: 4, microBatch: 2 } };
      const { summary, told } = await run({ ...given, name: "cut", options: { signal: abort.signal } });
      assert.deepEqual([summary.status, summary.step], ["interrupted", 1]);
      assert.deepEqual([fed, told.checkpoints, told.evaluations], [[0, 0, 1], [1], []]);
      await run({ ...given, name: "short", train: { ...given.train, maxSteps: 1 } });
      const [cut, short] = [await checkpointOf(base(), "cut"), await checkpointOf(base(), "short")];
      assert.ok(cut.tensors.some(({ name }) => name.includes("running_mean")));
      assert.deepEqual(digests(cut), digests(short));
    });

    it("during an evaluation leaves that to the run that goes on", async () => {
      const given = { name: "evaluating", train: { epochs: 3 }, evaluation: { everyEpochs: 1 } };
      const abort = new AbortController();
      const observer = { status: (message: string) => message === "evaluating" && abort.abort() };
      const options = { signal: abort.signal, observer };
      const { summary, told } = await run({ ...given, options });
      assert.deepEqual([summary.status, summary.step], ["interrupted", 5]);
      assert.deepEqual([told.checkpoints, told.evaluations], [[5], []]);
      const again = await run({ ...given, options: { resume: true } });
      assert.deepEqual(
        again.told.evaluations.map(({ progress }) => progress.step),
        [5, 10, 15],
      );
    });

    it("before the first step saves the start", async () => {
      const { summary, told } = await run({ options: { signal: AbortSignal.abort() } });
      assert.deepEqual([summary.status, summary.step, told.checkpoints], ["interrupted", 0, [0]]);
    });
  });

  describe("when a value is not finite", () => {
    /** Divides its loss by zero from step 3 on. */
    const divides = plugin("divides", (hooks, name) => {
      hooks.setup.tap(name, (setup) => {
        const pass = setup.pass({
          network: setup.network("student"),
          views: "global",
          outputs: { cls: true },
        });
        const divisor = setup.schedule("divisor", ({ step }) => (step < 3 ? 1 : 0));
        hooks.loss.tap(name, (losses, { output, value }) =>
          losses.add(name, 1, tf.div(tf.mean(tf.square(output(pass).clsToken)), value(divisor))),
        );
      });
    });

    for (const kind of ["captured", "eager"] as const) {
      it(`stops with the state before it saved, naming step, term, op and plugin, ${kind}`, async () => {
        const name = `not finite ${kind}`;
        const numbers = kind === "captured" ? { engine: "graph" as const } : {};
        const told = nothingTold();
        const given = { name, method: [tinyDino, divides], train: numbers, told };
        const expected = coded("NOT_FINITE", "step 3 ", "loss/divides", "RealDiv", "divides/loss");
        await assert.rejects(run(given), expected);
        assert.deepEqual([told.steps.length, told.checkpoints], [3, [3]]);
        const saved = await checkpointOf(base(), name);
        assert.equal(saved.step, 3);
        assert.ok(saved.tensors.every(({ values }) => values.every(Number.isFinite)));
        if (kind === "captured") return;
        const short = await run({
          ...given,
          name: `${name} 3`,
          told: nothingTold(),
          train: { maxSteps: 3 },
        });
        assert.equal(short.summary.status, "finished");
        assert.deepEqual(digests(saved), digests(await checkpointOf(base(), `${name} 3`)));
        // It stops there again: the cause has not gone away.
        const again = nothingTold();
        await assert.rejects(run({ ...given, options: { resume: true }, told: again }), expected);
        assert.deepEqual([again.starts[0]!.fromStep, again.checkpoints], [3, []]);
      });
    }

    it("stops at a learning rate that throws the weights out of range", async () => {
      const told = nothingTold();
      await assert.rejects(run({ train: { lr: 1e30 }, told }), coded("NOT_FINITE", "step 1 ", "loss/dino"));
      assert.deepEqual(told.checkpoints, [1]);
    });
  });

  describe("with images that cannot be read", () => {
    const broken = () => join(base(), "images", "even", "broken.png");
    beforeEach(() => writeFile(broken(), "no picture"));
    afterEach(() => rm(broken()));

    it("shows others in their place and warns once of each, and counts them", async () => {
      const { summary, told } = await run({ train: { epochs: 3, batchSize: 11 } });
      assert.equal(summary.status, "finished");
      assert.match(told.warnings[0]!, /^even\/broken\.png cannot be read .*; image \d+ stands in for it$/);
      const epochs = [1, 2, 3].map((epoch) => `epoch ${epoch}: 1 of 11 samples could not be read, and others stood in for them`); // prettier-ignore
      assert.deepEqual(told.warnings.slice(1), epochs);
      assert.match(summary.evaluations[0]!.card.queries, /, 10$/, "the evaluation leaves it out");
    });
  });

  it("ends with a coded error where there are no images, too few, or all are broken", async () => {
    await mkdir(join(base(), "empty"));
    await assert.rejects(run({ data: { path: "nowhere" } }), coded("DATASET_MISSING"));
    await assert.rejects(run({ data: { path: "empty" } }), coded("DATASET_EMPTY"));
    await assert.rejects(run({ train: { batchSize: 50 } }), coded("BATCH_TOO_LARGE", "50"));
    for (const name of ["a.png", "b.png"]) await writeFile(join(base(), "empty", name), "no picture");
    await assert.rejects(run({ data: { path: "empty" } }), coded("IMAGE_UNREADABLE", "a.png"));
  });
});
