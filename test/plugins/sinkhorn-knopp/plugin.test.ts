/** The plugin beside those whose targets it makes. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "../../../core/engine/engine.ts";
import { CENTERING, type PluginUse } from "../../../core/plugin.ts";
import dino from "../../../plugins/dino/index.ts";
import ibot from "../../../plugins/ibot/index.ts";
import sinkhorn from "../../../plugins/sinkhorn-knopp/index.ts";
import { sinkhornKnopp } from "../../../plugins/sinkhorn-knopp/sinkhorn.ts";
import { pictureFolder, tinyDino, trainTiny } from "../../core/trainer/runs.ts";
import {
  at,
  distance,
  learnsOnes,
  outputsOf,
  plugin,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";

const head = { outDim: 8, hiddenDim: 16, bottleneckDim: 8, freezeLastLayerEpochs: 0 };
const methods = [dino(head), ibot({ ...head, maskRatio: 0.5, maskRatioVariation: 0, maskShape: "random" })];

for (const kind of ["captured", "eager on cpu"] as const) {
  describe(`the sinkhorn-knopp plugin, ${kind}`, () => {
    let engine: Engine;
    beforeEach(async () => {
      engine = await makeEngine(kind);
    });
    afterEach(() => engine.close());

    it("makes the targets of dino and ibot, which then have no center", async () => {
      const training = await tinyTraining(engine, [...methods, sinkhorn()]);
      const names = [...training.declarations.variables.keys()];
      assert.ok(!names.some((name) => name.endsWith(".center")), names.join(" "));
      const before = new Map([...(await valuesOf(training))].map(([name, v]) => [name, v.slice()]));
      for (const step of [0, 1, 2]) {
        const { finite, scalars } = await training.step("train", tinyBatch(training, step), at(step));
        assert.ok(finite && scalars["loss/dino"]! > 0 && scalars["loss/ibot"]! > 0, JSON.stringify(scalars));
      }
      const prototypes = "student/projection.cls.last_layer.weight_v";
      const moved = distance((await valuesOf(training)).get(prototypes)!, before.get(prototypes)!);
      assert.ok(moved > 1e-4, `the prototypes move by ${moved}`);
    });

    it("is finite where nothing is masked", async () => {
      const training = await tinyTraining(engine, [...methods, sinkhorn()]);
      const feeds = training.plainFeeds(tinyBatch(training), at(0));
      const outputs = await (await training.program("train", 0, feeds)).run(feeds);
      assert.deepEqual([outputs["finite"]![0], outputs["loss/ibot"]![0]], [1, 0]);
    });
  });
}

describe("the service that sinkhorn-knopp binds", () => {
  it("gives the targets of as many iterations as the option says", async () => {
    const engine = await makeEngine("eager on cpu");
    const reader = plugin("reader", (hooks, name) => {
      hooks.setup.tap(name, (setup) => {
        const targets = setup.service(CENTERING).declare(setup, { prototypes: 3, momentum: 0.9 });
        hooks.loss.tap(name, (losses, step) => {
          const logits = tf.tensor2d([[2, 0, 1], [3, 1, 0]]); // prettier-ignore
          const temperature = tf.scalar(0.5);
          losses.metric("given", targets.probabilities(step, logits, temperature));
          for (const iterations of [1, 3]) {
            const { batch } = step;
            losses.metric(`after${iterations}`, sinkhornKnopp({ logits, temperature, iterations, batch }));
          }
        });
      });
    });
    const outputs = await outputsOf(
      await tinyTraining(engine, [learnsOnes, sinkhorn({ iterations: 1 }), reader]),
    );
    const [given, one, three] = ["given", "after1", "after3"].map(
      (name) => outputs[`metric/reader.${name}`]!,
    );
    assert.equal(distance(given!, one!), 0);
    assert.ok(distance(given!, three!) > 1e-3, "one iteration gives what three do");
    engine.close();
  });
});

describe("sinkhorn-knopp by config", () => {
  const base = pictureFolder();

  it("warns where no plugin has targets over prototypes, and only there", async () => {
    const warned = async (name: string, method: readonly PluginUse[]) =>
      (await trainTiny({ base: base(), name, method, train: { maxSteps: 1 } })).told.warnings;
    const nobodys = "a plugin brings the centering of targets, and none has targets: enable dino or ibot";
    assert.deepEqual(await warned("without", [learnsOnes, sinkhorn()]), [nobodys]);
    assert.deepEqual(await warned("with", [tinyDino, sinkhorn()]), []);
  });
});
