import assert from "node:assert/strict";
import dino from "../../../plugins/dino/index.ts";
import type { ViewBatch } from "../../../core/data/pipeline.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import type { Training } from "../../../core/trainer/training.ts";
import { makeEngine } from "../../support/engines.ts";
import {
  at,
  descent,
  distance,
  globalViews,
  localViews,
  partOf,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "./tiny.ts";

const method = dino({
  outDim: 16,
  hiddenDim: 16,
  bottleneckDim: 8,
  centerMomentum: 1,
  freezeLastLayerEpochs: 0,
});
const views = [globalViews, localViews];
const settings = { clipGrad: 0.05 };
const SAMPLES = 4;

const whole = (engine: Engine) =>
  tinyTraining(engine, [method], { views, settings, optimizer: descent, run: { batchSize: SAMPLES } });
const halves = (engine: Engine) =>
  tinyTraining(engine, [method], {
    views,
    settings: { ...settings, accumulation: 2 },
    optimizer: descent,
    run: { batchSize: SAMPLES / 2, globalBatchSize: SAMPLES },
  });

/** Samples `from` to `to` of a batch. */
const part = (batch: ViewBatch, from: number, to: number) => partOf(batch, views, SAMPLES, from, to);

async function accumulators(engine: Engine, { state }: Training): Promise<Float32Array[]> {
  return engine.save(
    state.trainable.map(({ variable, name }) => ({ ...variable, name: `accumulator/${name}` })),
  );
}

for (const kind of ["captured", "eager on cpu"] as const) {
  describe(`accumulation, ${kind}`, () => {
    let engines: Engine[];
    beforeEach(async () => {
      engines = [await makeEngine(kind), await makeEngine(kind)];
    });
    afterEach(() => engines.forEach((engine) => engine.close()));

    it("of two halves of a batch updates as the whole batch does, again and again", async () => {
      const [one, two] = [await whole(engines[0]!), await halves(engines[1]!)];
      for (const step of [0, 1]) {
        const batch = tinyBatch(one, step);
        const together = await one.step("train", batch, at(step));
        const first = await two.step("accumulate", part(batch, 0, SAMPLES / 2), at(step));
        const second = await two.step("apply", part(batch, SAMPLES / 2, SAMPLES), at(step));
        const mean = (first.scalars["loss"]! + second.scalars["loss"]!) / 2;
        assert.ok(Math.abs(mean - together.scalars["loss"]!) < 1e-5);
        const norm = together.scalars["gradNorm"]!;
        assert.ok(Math.abs(second.scalars["gradNorm"]! - norm) < 1e-5 * norm);
        const [wanted, got] = [await valuesOf(one), await valuesOf(two)];
        for (const [name, values] of wanted) assert.ok(distance(got.get(name)!, values) < 1e-6, name);
      }
    });

    it("changes nothing but the sums before the last micro-batch, and ends with sums of zero", async () => {
      const training = await halves(engines[0]!);
      const before = await valuesOf(training);
      const batch = tinyBatch(training);
      const sums: number[] = [];
      for (const micro of [1, 2]) {
        await training.step("accumulate", batch, at(0));
        for (const [name, values] of await valuesOf(training))
          assert.deepEqual(values, before.get(name), name);
        const largest = (await accumulators(engines[0]!, training)).map((v) =>
          distance(v, new Float32Array(v.length)),
        );
        sums.push(Math.max(...largest));
        assert.ok(
          Math.abs(sums.at(-1)! - micro * sums[0]!) < 1e-6 * micro,
          "the same batch twice has twice the sum",
        );
      }
      assert.ok(sums[0]! > 1e-3);
      await training.step("apply", batch, at(0));
      assert.ok((await accumulators(engines[0]!, training)).every((values) => values.every((v) => v === 0)));
      const after = await valuesOf(training);
      const moved = [...after].filter(([name, values]) => distance(values, before.get(name)!) > 0);
      assert.ok(moved.some(([name]) => name.startsWith("student/")));
      assert.ok(moved.some(([name]) => name.startsWith("teacher/")));
    });
  });
}
