/** Every plugin that comes with relata, the example and the templates keep the contract; the first have a page each. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import cosineRelation from "../../examples/cosine-relation.ts";
import { PluginTester } from "../../core/testing/plugin-tester.ts";
import byol from "../../plugins/byol/index.ts";
import channelRelation from "../../plugins/channel-relation/index.ts";
import convnext from "../../plugins/convnext/index.ts";
import data2vec from "../../plugins/data2vec/index.ts";
import dino from "../../plugins/dino/index.ts";
import gram from "../../plugins/gram/index.ts";
import ibot from "../../plugins/ibot/index.ts";
import koleo from "../../plugins/koleo/index.ts";
import lion from "../../plugins/lion/index.ts";
import mae from "../../plugins/mae/index.ts";
import multiCrop from "../../plugins/multi-crop/index.ts";
import patchKernelAlignment from "../../plugins/patch-kernel-alignment/index.ts";
import pixelRelation from "../../plugins/pixel-relation/index.ts";
import simclr from "../../plugins/simclr/index.ts";
import onlineProbe from "../../plugins/online-probe/index.ts";
import sinkhornKnopp from "../../plugins/sinkhorn-knopp/index.ts";
import { builtins } from "../../registry/builtins.ts";
import loss from "../../templates/loss/index.ts";
import relation from "../../templates/relation/index.ts";
import views from "../../templates/views/index.ts";
import { learnsOnes } from "../core/trainer/tiny.ts";

const head = { outDim: 16, hiddenDim: 16, bottleneckDim: 8, freezeLastLayerEpochs: 0 };

PluginTester.run(multiCrop, {
  valid: [
    { globalCrops: { size: 16 }, localCrops: { size: 8, count: 2 } },
    { globalCrops: { size: 16, count: 1 }, localCrops: { count: 0 } },
  ],
  invalid: [{ options: { globalCrops: { count: 0 } }, path: "globalCrops" }],
  beside: [learnsOnes],
  views: [],
});

PluginTester.run(dino, {
  valid: [head, { ...head, normLastLayer: false, weight: 2 }],
  invalid: [{ options: { teacherTemp: 0 }, path: "teacherTemp" }],
});

PluginTester.run(ibot, {
  valid: [
    { ...head, maskRatio: 0.5, maskRatioVariation: 0, maskShape: "random" },
    { ...head, maskRatio: [0.25, 0.5], maskRatioVariation: [0, 0.25], maskShape: "random" },
  ],
  invalid: [{ options: { maskRatio: [0.1, 0.2, 0.3] }, path: "maskRatioVariation" }],
});

PluginTester.run(pixelRelation, {
  valid: [{}, { disjoint: "skip", heads: 4, overlapSide: { global: 4, local: 3 } }],
  invalid: [{ options: { overlapSide: { global: 1 } }, path: "overlapSide.global" }],
  batchStatistics: true,
});

PluginTester.run(channelRelation, {
  valid: [{}, { divisor: { global: 3, local: 1 } }],
  invalid: [{ options: { teacherTemp: -1 }, path: "teacherTemp" }],
  batchStatistics: true,
});

PluginTester.run(patchKernelAlignment, {
  valid: [
    { hiddenDim: 16, bottleneckDim: 8 },
    { headLayers: 0, disjoint: "count", overlapSide: { global: 4, local: 3 }, weight: 2 },
  ],
  invalid: [{ options: { overlapSide: { local: 1 } }, path: "overlapSide.local" }],
  // The mean over the pairs that overlap, of which halves of a batch have different numbers.
  batchStatistics: true,
});

PluginTester.run(simclr, {
  valid: [
    { hiddenDim: 16, outDim: 8 },
    { hiddenDim: 12, outDim: 4, headLayers: 3, temperature: 0.5, weight: 2 },
  ],
  invalid: [{ options: { temperature: 0 }, path: "temperature" }],
  batchSize: 4,
  batchStatistics: true,
});

PluginTester.run(byol, {
  valid: [
    { hiddenDim: 16, outDim: 8 },
    { hiddenDim: 12, outDim: 4, weight: 2 },
  ],
  invalid: [{ options: { outDim: 0 }, path: "outDim" }],
  batchSize: 4,
  batchStatistics: true,
});

PluginTester.run(cosineRelation, {
  valid: [{}, { weight: 2, teacherTemp: 0.1 }],
  invalid: [{ options: { weight: -1 }, path: "weight" }],
});

PluginTester.run(koleo, {
  valid: [{}, { weight: 2 }],
  invalid: [{ options: { weight: -1 }, path: "weight" }],
  batchStatistics: true,
});

PluginTester.run(mae, {
  valid: [
    { decoderDim: 16, decoderDepth: 1, decoderHeads: 2 },
    { decoderDim: 8, decoderDepth: 2, decoderHeads: 1, maskRatio: 0.5, normPixLoss: false, weight: 2 },
  ],
  invalid: [
    { options: { maskRatio: 1 }, path: "maskRatio" },
    { options: { decoderDim: 30, decoderHeads: 2 }, path: "decoderDim" },
    { options: { decoderDim: 32, decoderHeads: 3 }, path: "decoderHeads" },
  ],
});

PluginTester.run(data2vec, {
  valid: [
    { topBlocks: 2, maskShape: "random" },
    { topBlocks: 1, maskRatio: 0.5, beta: 0.1, normalizeTargets: false },
  ],
  invalid: [{ options: { beta: 0 }, path: "beta" }],
});

PluginTester.run(gram, {
  valid: [{ startEpoch: 0 }, { startEpoch: 1, updateEvery: 0.4, scale: 1 }],
  invalid: [{ options: { scale: 0.5 }, path: "scale" }],
  beside: [dino(head)],
});

PluginTester.run(lion, {
  valid: [{}, { beta1: 0, decayBiases: true }],
  invalid: [{ options: { beta2: 1 }, path: "beta2" }],
  beside: [learnsOnes],
});

PluginTester.run(sinkhornKnopp, {
  valid: [{}, { iterations: 1 }],
  invalid: [{ options: { iterations: 0 }, path: "iterations" }],
  beside: [dino(head), ibot({ ...head, maskRatio: 0.5, maskRatioVariation: 0, maskShape: "random" })],
  batchStatistics: true,
});

PluginTester.run(onlineProbe, {
  valid: [{}, { features: "cls+mean", network: "teacher", weightDecay: 0.1 }],
  invalid: [{ options: { lr: 0 }, path: "lr" }],
  beside: [learnsOnes],
  labels: 3,
});

PluginTester.run(convnext, {
  valid: [
    { depths: [1, 1], dims: [8, 12], layerScale: 0.5 },
    { depths: [1, 2], dims: [6, 8], layerScale: 0.5, dropPathRate: 0.2 },
  ],
  invalid: [{ options: { depths: [1, 1] }, path: "depths" }],
  beside: [learnsOnes],
});

for (const [kind, plugin] of Object.entries({ relation, loss })) {
  describe(`the template of a ${kind}`, () => {
    PluginTester.run(plugin, {
      valid: [{}, { weight: 2 }],
      invalid: [{ options: { weight: -1 }, path: "weight" }],
    });
  });
}

describe("the template of views", () => {
  PluginTester.run(views, {
    valid: [{ size: 16 }, { size: 8, count: 1, brightness: 0 }],
    invalid: [{ options: { brightness: 2 }, path: "brightness" }],
    beside: [dino(head)],
  });
});

describe("the page of each built-in plugin", () => {
  for (const name of Object.keys(builtins)) {
    it(`of ${name} has its paper, every option, and what it costs`, async () => {
      const path = fileURLToPath(new URL(`../../plugins/${name}/README.md`, import.meta.url));
      assert.ok(existsSync(path), "there is no README.md");
      const page = readFileSync(path, "utf8");
      assert.match(page, new RegExp(`^# ${name}\n`));
      assert.match(page, /arxiv\.org\/abs\/\d{4}\.\d{5}/);
      assert.match(page, /\*\*Cost\.\*\*/);
      const { default: plugin } = (await builtins[name]!()) as { default: typeof dino };
      const shape = plugin.manifest.options.shape as Record<string, unknown>;
      const missing = Object.keys(shape).filter((option) => !page.includes(`\`${option}\``));
      assert.deepEqual(missing, [], "options that the page does not name");
    });
  }
});
