/** Learning rates by layer: which weight has which, against timm, and that updates follow them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Backbone } from "../../../core/backbone.ts";
import { BACKBONE, definePlugin, z } from "../../../core/plugin.ts";
import { VisionTransformer } from "../../../core/vit/vit.ts";
import { ConvNext } from "../../../plugins/convnext/convnext.ts";
import layerDecay from "../../../plugins/layer-decay/index.ts";
import {
  at,
  coded,
  declares,
  learnsOnes,
  tinyBackbone,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";

/** Made by reference.py. */
const golden = JSON.parse(readFileSync(new URL("golden.json", import.meta.url), "utf8")) as Readonly<
  Record<"vit" | "convnext", Readonly<Record<string, number>>>
>;
const DECAY = 0.75;

const scalesOf = (backbone: Backbone): Record<string, number> =>
  Object.fromEntries(
    backbone
      .parameters()
      .map(({ name }) => [name, DECAY ** (backbone.depth + 1 - backbone.layerOf!(name))] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

describe("layers of a backbone", () => {
  it("are timm's in a ViT, but for the final norm, which is behind the last block", () => {
    const sizes = { embedDim: 192, depth: 3, numHeads: 3, mlpRatio: 4, qkvBias: true, dropPathRate: 0 };
    const vit = new VisionTransformer({ ...sizes, imageSize: 224, patchSize: 16, channels: 3, registerTokens: 0 }); // prettier-ignore
    assert.deepEqual(scalesOf(vit), { ...golden.vit, "norm.weight": 1, "norm.bias": 1 });
    const withRegisters = new VisionTransformer({ ...vit.config, registerTokens: 2 });
    assert.equal(withRegisters.layerOf("register_tokens"), 0);
  });

  it("are timm's in a ConvNeXt", () => {
    const sizes = { depths: [1, 2, 3, 1], dims: [40, 80, 160, 320] };
    const convNext = new ConvNext({ ...sizes, channels: 3, dropPathRate: 0, layerScale: 1e-6 });
    assert.deepEqual(scalesOf(convNext), golden.convnext);
  });
});

for (const kind of ["captured", "eager on cpu"] as const) {
  it(`layer-decay scales the update of every weight by its layer, ${kind}`, async () => {
    /** What the first step adds to each weight. */
    const updates = async (plugins: Parameters<typeof tinyTraining>[1]) => {
      const engine = await makeEngine(kind);
      const head = declares("head", (setup) => {
        const group = setup.optimizerGroup("own", { lr: 0.1 });
        setup.variable("weight", [4], { kind: "ones" }, { group });
      });
      const training = await tinyTraining(engine, [learnsOnes, head, ...plugins]);
      const copied = async () =>
        new Map([...(await valuesOf(training))].map(([name, values]) => [name, values.slice()]));
      const before = await copied();
      await training.step("train", tinyBatch(training), at(0));
      const after = await copied();
      engine.close();
      const names = [...before.keys()].filter((name) => name.startsWith("student/backbone."));
      return new Map(names.map((name) => [name, after.get(name)!.map((v, i) => v - before.get(name)![i]!)]));
    };
    const [whole, scaled] = [await updates([]), await updates([layerDecay({ decay: 0.5 })])];
    for (const [name, update] of whole) {
      const scale = 0.5 ** (3 - tinyBackbone().layerOf(name.replace("student/backbone.", "")));
      const size = Math.max(...update.map(Math.abs));
      assert.ok(size > 1e-4, `${name} does not move`);
      const apart = Math.max(...update.map((v, i) => Math.abs(scaled.get(name)![i]! - scale * v)));
      assert.ok(apart < 1e-3 * scale * size + 1.2e-7, `${name}: ${apart} of ${size} at ${scale}`);
    }
  });
}

describe("the scale of learning rates", () => {
  const training = async (plugins: Parameters<typeof tinyTraining>[1]) => {
    const engine = await makeEngine("eager on cpu");
    return tinyTraining(engine, plugins).finally(() => engine.close());
  };

  it("is the product of all plugins', by name and layer, of heads too", async () => {
    const asked = new Map<string, number>();
    const half = declares("half", (setup) => {
      setup.lrScale(({ name, layer }) => (asked.set(name, layer), 0.5));
      setup.variable("own", [1], { kind: "ones" });
      setup.variable("fixed", [1], { kind: "ones" }, { trainable: false });
    });
    const { state } = await training([learnsOnes, half, layerDecay({ decay: 0.1 })]);
    const scales = Object.fromEntries(state.trainable.map(({ name, lrScale }) => [name, lrScale]));
    assert.deepEqual([...asked.keys()].sort(), Object.keys(scales).sort());
    const near = (name: string, wanted: number) => assert.ok(Math.abs(scales[name]! / wanted - 1) < 1e-9, name); // prettier-ignore
    near("half.own", 0.5);
    near("backbone.norm.bias", 0.5);
    near("backbone.blocks.1.norm1.bias", 0.05);
    near("backbone.cls_token", 0.0005);
  });

  for (const [value, said] of [
    [NaN, "NaN"],
    [Infinity, "Infinity"],
    [-1, "-1"],
    ["0.5", "a string"],
    [undefined, "undefined"],
  ] as const)
    // prettier-ignore
    it(`is not ${said}`, () => {
      const wrong = declares("wrong", (setup) => setup.lrScale(() => value as number));
      return assert.rejects(training([learnsOnes, wrong]), coded("LR_SCALE", '"wrong"', said));
    });

  it("is a function", () => {
    const wrong = declares("wrong", (setup) => setup.lrScale(0.5 as never));
    return assert.rejects(training([learnsOnes, wrong]), coded("NOT_FUNCTION", '"wrong"'));
  });

  it("needs a backbone that says the layers, where they are asked for", async () => {
    const layerless = definePlugin(
      { name: "layerless", api: "^1", summary: "made by a test", options: z.strictObject({}) },
      () => ({
        services: (container) =>
          container.bind(
            BACKBONE,
            () =>
            Object.create(tinyBackbone(), { layerOf: { value: undefined } }) as Backbone, // prettier-ignore
          ),
      }),
    )();
    await training([learnsOnes, layerless, declares("same", (setup) => setup.lrScale(() => 1))]);
    await assert.rejects(
      training([learnsOnes, layerless, layerDecay()]),
      coded("LAYERS_UNKNOWN", "which layer"),
    );
  });
});
