/** Every combination of the methods trains, and no method's loss depends on which others are enabled beside it. */
import assert from "node:assert/strict";
import type { Engine } from "../../../core/engine/engine.ts";
import type { PluginUse } from "../../../core/plugin.ts";
import channelRelation from "../../../plugins/channel-relation/index.ts";
import dino from "../../../plugins/dino/index.ts";
import ibot from "../../../plugins/ibot/index.ts";
import pixelRelation from "../../../plugins/pixel-relation/index.ts";
import { makeEngine } from "../../support/engines.ts";
import { at, distance, globalViews, localViews, tinyBatch, tinyTraining, valuesOf } from "./tiny.ts";

const head = { outDim: 16, hiddenDim: 16, bottleneckDim: 8, freezeLastLayerEpochs: 0 };
const methods: Readonly<Record<string, PluginUse>> = {
  dino: dino(head),
  // Two patches of every view, so that one program does for all steps.
  ibot: ibot({ ...head, maskShape: "random", maskRatio: 0.5, maskRatioVariation: 0 }),
  "pixel-relation": pixelRelation({ overlapSide: { global: 3, local: 2 } }),
  "channel-relation": channelRelation(),
};
const names = Object.keys(methods);
const combinations = Array.from({ length: 2 ** names.length - 1 }, (_, i) =>
  names.filter((_, bit) => (i + 1) & (1 << bit)),
);
const views = [globalViews, localViews];
const STEPS = 2;

describe("combinations of methods", () => {
  /** Loss terms of the first step by combination. */
  const first = new Map<readonly string[], Readonly<Record<string, number>>>();
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("captured");
  });
  afterEach(() => engine.close());

  for (const combination of combinations) {
    it(`${combination.join(" + ")} trains`, async () => {
      const uses = combination.map((name) => methods[name]!);
      const training = await tinyTraining(engine, uses, { views });
      const before = await valuesOf(training);
      for (let step = 0; step < STEPS; step++) {
        const { finite, scalars } = await training.step("train", tinyBatch(training, step), at(step));
        assert.ok(finite && Object.values(scalars).every(Number.isFinite));
        const terms = Object.keys(scalars).filter((name) => name.startsWith("loss/"));
        assert.deepEqual(terms.sort(), combination.map((name) => `loss/${name}`).sort());
        if (step === 0) first.set(combination, scalars);
      }
      const after = await valuesOf(training);
      for (const name of ["student/backbone.blocks.0.attn.qkv.weight", "student/backbone.pos_embed"])
        assert.ok(distance(after.get(name)!, before.get(name)!) > 1e-5, name);
    });
  }

  it("give each method the loss that it has without the others, as far as the same patches are masked", () => {
    assert.equal(first.size, 15);
    for (const masks of [false, true]) {
      const alike = [...first].filter(([combination]) => combination.includes("ibot") === masks);
      for (const name of names) {
        const values = alike.flatMap(([, scalars]) => scalars[`loss/${name}`] ?? []);
        assert.equal(values.length, name === "ibot" ? (masks ? 8 : 0) : 4, name);
        for (const value of values) assert.ok(Math.abs(value - values[0]!) <= 1e-5 * values[0]!, name);
      }
    }
    // Masks change what all of the student's losses see.
    for (const name of names.filter((name) => name !== "ibot")) {
      const of = (masks: boolean) =>
        [...first].find(([own]) => own.includes(name) && own.includes("ibot") === masks)![1][`loss/${name}`]!;
      assert.ok(Math.abs(of(true) - of(false)) > 1e-5 * of(false), name);
    }
  });
});
