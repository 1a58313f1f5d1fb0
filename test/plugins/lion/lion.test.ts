/** Lion against its algorithm in float64, and in the place of AdamW by config. */
import assert from "node:assert/strict";
import type { Engine } from "../../../core/engine/engine.ts";
import {
  declares,
  at,
  distance,
  learnsOnes,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "../../core/trainer/tiny.ts";
import { checkpointOf, pictureFolder, tinyDino, trainTiny } from "../../core/trainer/runs.ts";
import lion from "../../../plugins/lion/index.ts";
import { makeEngine } from "../../support/engines.ts";

/** Algorithm 2 of arXiv 2302.06675, value by value. */
function reference(
  p: Float32Array,
  gradients: readonly Float32Array[],
  rates: readonly { lr: number; decay: number }[],
) {
  const [beta1, beta2] = [0.9, 0.99];
  const weights = Float64Array.from(p);
  const momentum = new Float64Array(p.length);
  gradients.forEach((gradient, step) => {
    const { lr, decay } = rates[step]!;
    for (let i = 0; i < p.length; i++) {
      const g = gradient[i]!;
      const c = beta1 * momentum[i]! + (1 - beta1) * g;
      weights[i]! -= lr * (Math.sign(c) + decay * weights[i]!);
      momentum[i] = beta2 * momentum[i]! + (1 - beta2) * g;
    }
  });
  return { weights, momentum };
}

for (const kind of ["captured", "eager on cpu"] as const) {
  describe(`lion, ${kind}`, () => {
    let engine: Engine;
    beforeEach(async () => {
      engine = await makeEngine(kind);
    });
    afterEach(() => engine.close());

    it("moves weights and momenta as its algorithm does, decaying matrices and not biases", async () => {
      const training = await tinyTraining(engine, [learnsOnes, lion()], { settings: { clipGrad: 0 } });
      const before = new Map([...(await valuesOf(training))].map(([name, v]) => [name, v.slice()]));
      const names = ["backbone.blocks.0.mlp.fc1.weight", "backbone.blocks.0.mlp.fc1.bias"];
      const gradients = new Map(names.map((name) => [name, [] as Float32Array[]]));
      const rates = [];
      for (const step of [1, 2, 3]) {
        const feeds = training.feeds(tinyBatch(training, step), at(step));
        const outputs = await (await training.program("train", at(step).epoch, feeds)).run(feeds);
        for (const name of names)
          gradients.get(name)!.push((outputs[`gradient/${name}`] as Float32Array).slice());
        const schedules = training.schedulesAt(at(step));
        rates.push({ lr: schedules["core.lr"]!, decay: schedules["core.weightDecay"]! });
      }
      const after = await valuesOf(training);
      for (const name of names) {
        const own = name.endsWith(".bias") ? rates.map(({ lr }) => ({ lr, decay: 0 })) : rates;
        const want = reference(before.get(`student/${name}`)!, gradients.get(name)!, own);
        assert.ok(distance(after.get(`student/${name}`)!, want.weights) < 1e-6, name);
        assert.ok(distance(after.get(`lion.m/${name}`)!, want.momentum) < 1e-7, name);
        assert.ok(distance(after.get(`student/${name}`)!, before.get(`student/${name}`)!) > 1e-4, name);
      }
      assert.ok(![...after.keys()].some((name) => name.startsWith("adam.")));
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
