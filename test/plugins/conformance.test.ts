/** Every plugin that comes with relata, the example and the templates keep the contract; the first have a page each. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";
import cosineRelation from "../../examples/cosine-relation.ts";
import { pluginKinds } from "../../core/scaffold.ts";
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
import layerDecay from "../../plugins/layer-decay/index.ts";
import mae from "../../plugins/mae/index.ts";
import multiCrop from "../../plugins/multi-crop/index.ts";
import patchKernelAlignment from "../../plugins/patch-kernel-alignment/index.ts";
import pixelRelation from "../../plugins/pixel-relation/index.ts";
import simclr from "../../plugins/simclr/index.ts";
import onlineProbe from "../../plugins/online-probe/index.ts";
import supervised from "../../plugins/supervised/index.ts";
import sinkhornKnopp from "../../plugins/sinkhorn-knopp/index.ts";
import { builtins } from "../../registry/builtins.ts";
import loss from "../../templates/loss/index.ts";
import relation from "../../templates/relation/index.ts";
import views from "../../templates/views/index.ts";
import { learnsOnes } from "../core/trainer/tiny.ts";

const tested: string[] = [];
const testPlugin: typeof PluginTester.run = (plugin, cases) => {
  tested.push(plugin.manifest.name);
  PluginTester.run(plugin, cases);
};

const head = { outDim: 16, hiddenDim: 16, bottleneckDim: 8, freezeLastLayerEpochs: 0 };

testPlugin(multiCrop, {
  valid: [
    { globalCrops: { size: 16 }, localCrops: { size: 8, count: 2 } },
    { globalCrops: { size: 16, count: 1 }, localCrops: { count: 0 } },
  ],
  invalid: [{ options: { globalCrops: { count: 0 } }, path: "globalCrops" }],
  beside: [learnsOnes],
  views: [],
});

testPlugin(dino, {
  valid: [head, { ...head, normLastLayer: false, weight: 2 }],
  invalid: [{ options: { teacherTemp: 0 }, path: "teacherTemp" }],
});

testPlugin(ibot, {
  valid: [
    { ...head, maskRatio: 0.5, maskRatioVariation: 0, maskShape: "random" },
    { ...head, maskRatio: [0.25, 0.5], maskRatioVariation: [0, 0.25], maskShape: "random" },
  ],
  invalid: [{ options: { maskRatio: [0.1, 0.2, 0.3] }, path: "maskRatioVariation" }],
});

testPlugin(pixelRelation, {
  valid: [{}, { disjoint: "skip", heads: 4, overlapSide: { global: 4, local: 3 } }],
  invalid: [{ options: { overlapSide: { global: 1 } }, path: "overlapSide.global" }],
  batchStatistics: true,
});

testPlugin(channelRelation, {
  valid: [{}, { divisor: { global: 3, local: 1 } }],
  invalid: [{ options: { teacherTemp: -1 }, path: "teacherTemp" }],
  batchStatistics: true,
});

testPlugin(patchKernelAlignment, {
  valid: [
    { hiddenDim: 16, bottleneckDim: 8 },
    { headLayers: 0, disjoint: "count", overlapSide: { global: 4, local: 3 }, weight: 2 },
  ],
  invalid: [{ options: { overlapSide: { local: 1 } }, path: "overlapSide.local" }],
  // The mean over the pairs that overlap, of which halves of a batch have different numbers.
  batchStatistics: true,
});

testPlugin(simclr, {
  valid: [
    { hiddenDim: 16, outDim: 8 },
    { hiddenDim: 12, outDim: 4, headLayers: 3, temperature: 0.5, weight: 2 },
  ],
  invalid: [{ options: { temperature: 0 }, path: "temperature" }],
  batchSize: 4,
  batchStatistics: true,
});

testPlugin(byol, {
  valid: [
    { hiddenDim: 16, outDim: 8 },
    { hiddenDim: 12, outDim: 4, weight: 2 },
  ],
  invalid: [{ options: { outDim: 0 }, path: "outDim" }],
  batchSize: 4,
  batchStatistics: true,
});

testPlugin(cosineRelation, {
  valid: [{}, { weight: 2, teacherTemp: 0.1 }],
  invalid: [{ options: { weight: -1 }, path: "weight" }],
});

testPlugin(koleo, {
  valid: [{}, { weight: 2 }],
  invalid: [{ options: { weight: -1 }, path: "weight" }],
  batchStatistics: true,
});

testPlugin(mae, {
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

testPlugin(data2vec, {
  valid: [
    { topBlocks: 2, maskShape: "random" },
    { topBlocks: 1, maskRatio: 0.5, beta: 0.1, normalizeTargets: false },
  ],
  invalid: [{ options: { beta: 0 }, path: "beta" }],
});

testPlugin(gram, {
  valid: [{ startEpoch: 0 }, { startEpoch: 1, updateEvery: 0.4, scale: 1 }],
  invalid: [{ options: { scale: 0.5 }, path: "scale" }],
  beside: [dino(head)],
});

testPlugin(supervised, {
  valid: [{}, { mixup: 0.8, cutmix: 1, mixProbability: 0.9, labelSmoothing: 0, weight: 2 }],
  invalid: [{ options: { labelSmoothing: 1 }, path: "labelSmoothing" }],
  labels: 4,
  batchSize: 4,
  // Samples are mixed with others of their batch.
  batchStatistics: true,
});

testPlugin(layerDecay, {
  valid: [{}, { decay: 0.5 }],
  invalid: [{ options: { decay: 0 }, path: "decay" }],
  beside: [learnsOnes],
});

testPlugin(lion, {
  valid: [{}, { beta1: 0, decayBiases: true }],
  invalid: [{ options: { beta2: 1 }, path: "beta2" }],
  beside: [learnsOnes],
});

testPlugin(sinkhornKnopp, {
  valid: [{}, { iterations: 1 }],
  invalid: [{ options: { iterations: 0 }, path: "iterations" }],
  beside: [dino(head), ibot({ ...head, maskRatio: 0.5, maskRatioVariation: 0, maskShape: "random" })],
  batchStatistics: true,
});

testPlugin(onlineProbe, {
  valid: [{}, { features: "cls+mean", network: "teacher", weightDecay: 0.1 }],
  invalid: [{ options: { lr: 0 }, path: "lr" }],
  beside: [learnsOnes],
  labels: 3,
});

testPlugin(convnext, {
  valid: [
    { depths: [1, 1], dims: [8, 12], layerScale: 0.5 },
    { depths: [1, 2], dims: [6, 8], layerScale: 0.5, dropPathRate: 0.2 },
  ],
  invalid: [{ options: { depths: [1, 1] }, path: "depths" }],
  beside: [learnsOnes],
});

for (const [kind, plugin] of Object.entries({ relation, loss })) {
  describe(`the template of a ${kind}`, () => {
    testPlugin(plugin, {
      valid: [{}, { weight: 2 }],
      invalid: [{ options: { weight: -1 }, path: "weight" }],
    });
  });
}

describe("the template of views", () => {
  testPlugin(views, {
    valid: [{ size: 16 }, { size: 8, count: 1, brightness: 0 }],
    invalid: [{ options: { brightness: 2 }, path: "brightness" }],
    beside: [dino(head)],
  });
});

it("tests every built-in plugin, the example and the templates", () => {
  const templates = pluginKinds.map(() => loss.manifest.name);
  const all = [...Object.keys(builtins), cosineRelation.manifest.name, ...templates];
  assert.deepEqual(tested.toSorted(), all.toSorted());
});

const page = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), "utf8");

/** What a page's table of options says of each option that it names. */
function statedDefaults(text: string): Map<string, unknown> {
  const [, table = ""] = /^\| option \| default \|.*\n\| ---.*\n((?:\|.*\n)+)/m.exec(text) ?? [];
  const rows = table.trimEnd().split("\n");
  return new Map(
    rows.flatMap((row) => {
      const [names = "", values = ""] = row.slice(2).split(" | ");
      const options = Array.from(names.matchAll(/`([^`]+)`/g), ([, name = ""]) => name);
      const defaults = parse(`[${values.replaceAll("`", "")}]`) as unknown[];
      return options.map((option, i): [string, unknown] => [option, defaults[i]]);
    }),
  );
}

/** Whether the value is as stated, in the keys that are stated. */
function isAsStated(value: unknown, stated: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return isDeepStrictEqual(value, stated);
  const told = Object.entries((stated ?? {}) as object);
  return (
    told.length > 0 && told.every(([key, part]) => isAsStated((value as Record<string, unknown>)[key], part))
  );
}

describe("the page of each built-in plugin", () => {
  for (const name of Object.keys(builtins)) {
    it(`of ${name} has its paper, its equations, what it costs, and every option with its default`, async () => {
      const text = page(`plugins/${name}/README.md`);
      assert.match(text, new RegExp(`^# ${name}\n`));
      assert.match(text, /arxiv\.org\/abs\/\d{4}\.\d{5}/);
      assert.match(text, /^\| equation \|/m);
      assert.match(text, /\*\*Cost\.\*\*/);
      const { default: plugin } = (await builtins[name]!()) as { default: typeof dino };
      const options = Object.keys(plugin.manifest.options.shape);
      const missing = options.filter((option) => !text.includes(`\`${option}\``));
      assert.deepEqual(missing, [], "options that the page does not name");
      const stated = statedDefaults(text);
      const defaults = plugin.manifest.options.parse({}) as Record<string, unknown>;
      for (const [option, value] of Object.entries(defaults)) {
        if (typeof value === "object" && !stated.has(option)) continue; // told part by part
        const told = `${option} is ${JSON.stringify(value)}, the page says ${JSON.stringify(stated.get(option))}`;
        assert.ok(isAsStated(value, stated.get(option)), told);
      }
    });

    it(`of ${name} is in README's table`, () => {
      assert.match(page("README.md"), new RegExp(`^\\|.*\\[${name}\\]\\(plugins/${name}\\)`, "m"));
    });
  }
});
