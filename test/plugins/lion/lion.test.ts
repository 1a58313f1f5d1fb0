/** Lion against its algorithm in PyTorch, and in the place of AdamW by config. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "../../../core/engine/engine.ts";
import {
  declares,
  at,
  distance,
  learnsOnes,
  plugin,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "../../core/trainer/tiny.ts";
import { checkpointOf, pictureFolder, tinyDino, trainTiny } from "../../core/trainer/runs.ts";
import lion from "../../../plugins/lion/index.ts";
import { makeEngine } from "../../support/engines.ts";
import { readGolden, waves, waveTensor } from "../../support/golden.ts";

/** Made by reference.py: weight and momentum after each of three steps. */
type Steps = readonly { readonly weight: readonly number[]; readonly momentum: readonly number[] }[];
const golden = readGolden<Readonly<Record<"weight" | "bias", Steps>>>(import.meta.url, "golden.json");

/** A matrix and a bias with the gradients of reference.py, whatever their values. */
const SCALES = [1, -0.12, 0.02];
const parameters = [
  { name: "weight", shape: [3, 5], phase: 1 },
  { name: "bias", shape: [5], phase: 4 },
] as const;
const givesGradients = plugin("given", (hooks, name) => {
  hooks.setup.tap(name, (setup) => {
    const scale = setup.schedule("scale", ({ step }) => SCALES[step]!);
    const other = setup.schedule("other", ({ step }) => 0.01 * step);
    const own = parameters.map((p) => ({
      ...p,
      variable: setup.variable(p.name, p.shape, { kind: "zeros" }),
    }));
    hooks.loss.tap(name, (losses, { read, value }) => {
      const products = own.map(({ shape, phase, variable }) => {
        const first = tf.mul(waveTensor(shape, phase + 1), value(scale));
        const gradient = tf.add(first, tf.mul(waveTensor(shape, phase + 2), value(other)));
        return tf.sum(tf.mul(read(variable), gradient));
      });
      losses.add(name, 1, tf.addN(products));
    });
  });
});

for (const kind of ["captured", "eager on cpu"] as const) {
  describe(`lion, ${kind}`, () => {
    let engine: Engine;
    beforeEach(async () => {
      engine = await makeEngine(kind);
    });
    afterEach(() => engine.close());

    it("moves weights and momenta as the reference, decaying matrices and not biases", async () => {
      const settings = { lr: 0.05, minLr: 0.05, weightDecay: 0.4, weightDecayEnd: 0.4 };
      const training = await tinyTraining(engine, [learnsOnes, givesGradients, lion()], { settings });
      const values = new Map(await valuesOf(training));
      for (const { name, shape, phase } of parameters)
        values.set(`student/given.${name}`, waves(shape.reduce((size, side) => size * side, 1), phase)); // prettier-ignore
      await training.initialize(values);
      for (const step of SCALES.keys()) {
        await training.step("train", tinyBatch(training, step), at(step));
        const after = await valuesOf(training);
        for (const { name } of parameters) {
          const want = golden[name][step]!;
          const apart = [
            distance(after.get(`student/given.${name}`)!, want.weight),
            distance(after.get(`lion.m/given.${name}`)!, want.momentum),
          ];
          assert.ok(Math.max(...apart) < 1e-6, `${name} is off by ${apart.join(", ")} after step ${step}`);
        }
        assert.ok(![...after.keys()].some((name) => name.startsWith("adam.")), "AdamW has a state");
      }
    });

    it("leaves weight and momentum of what a gate holds back", async () => {
      const held = declares("held", (setup) => {
        const closed = setup.schedule("closed", () => 0);
        setup.gate([{ name: "backbone.norm.weight", shape: [32] }], closed);
      });
      const training = await tinyTraining(engine, [learnsOnes, held, lion()]);
      const before = (await valuesOf(training)).get("student/backbone.norm.weight")!.slice();
      await training.step("train", tinyBatch(training), at(3));
      const after = await valuesOf(training);
      assert.equal(distance(after.get("student/backbone.norm.weight")!, before), 0);
      assert.ok(after.get("lion.m/backbone.norm.weight")!.every((m) => m === 0));
      assert.ok(after.get("lion.m/backbone.norm.bias")!.some((m) => m !== 0));
    });
  });
}

describe("lion by config", () => {
  const base = pictureFolder();

  it("trains in the place of AdamW, and its state is in the checkpoint", async () => {
    const { told } = await trainTiny({ base: base(), method: [tinyDino, lion()], train: { maxSteps: 2 } });
    assert.ok(told.steps.every(({ scalars }) => Number.isFinite(scalars["loss"])));
    const names = (await checkpointOf(base())).tensors.map(({ name }) => name);
    assert.ok(names.some((name) => name.startsWith("lion.m/")));
    assert.ok(!names.some((name) => name.startsWith("adam.")));
  });
});
