/** ConvNeXt by config: everything that trains and reads a vision transformer trains and reads it. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import sharp from "sharp";
import { runSchema, type RunConfig } from "../../../core/config/schema.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import type { RelationSample } from "../../../core/report/report-data.ts";
import { assemble } from "../../../core/trainer/assemble.ts";
import channelRelation from "../../../plugins/channel-relation/index.ts";
import convnext from "../../../plugins/convnext/index.ts";
import ibot from "../../../plugins/ibot/index.ts";
import koleo from "../../../plugins/koleo/index.ts";
import multiCrop from "../../../plugins/multi-crop/index.ts";
import pixelRelation from "../../../plugins/pixel-relation/index.ts";
import {
  IMAGES,
  checkpointOf,
  digests,
  pictureFolder,
  resolved,
  tinyConfig,
  tinyDino,
  trainTiny,
} from "../../core/trainer/runs.ts";
import {
  at,
  coded,
  globalViews,
  learnsOnes,
  localViews,
  plugin,
  tinyBatch,
  tinyTraining,
} from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";

const network = convnext({ depths: [1, 1, 2, 1], dims: [8, 16, 24, 32], dropPathRate: 0.1, layerScale: 0.1 });
const NO_EFFECT = "a plugin brings the backbone: what the config says under backbone has no effect";
const head = { outDim: 16, hiddenDim: 16, bottleneckDim: 8 };
const crops = multiCrop({ globalCrops: { size: 64, count: 2 }, localCrops: { size: 32, count: 1 } });
const masks = { maskRatio: 0.5, maskRatioVariation: 0, maskShape: "random" } as const;
const method = [tinyDino, ibot({ ...head, ...masks }), pixelRelation(), channelRelation(), koleo(), network];

describe("convnext by config", () => {
  const base = pictureFolder();

  /** The left half of each picture is foreground. */
  async function saveMasks(folder: string): Promise<void> {
    for (let i = 0; i < IMAGES; i++) {
      const [width, height] = [20 + i, 30 - i];
      const left = Uint8Array.from({ length: width * height }, (_, at) => (at % width < 10 ? 255 : 0));
      const mask = await sharp(left, { raw: { width, height, channels: 1 } }).png().toBuffer(); // prettier-ignore
      const path = join(folder, i % 2 === 0 ? "even" : "odd");
      await mkdir(path, { recursive: true });
      await writeFile(join(path, `${i}.png`), mask);
    }
  }

  it("trains all built-in losses, and goes on from a checkpoint", async () => {
    const run = (name: string, maxSteps: number, resume = false) =>
      trainTiny({ base: base(), name, crops, method, train: { maxSteps }, options: { resume } });
    const { told } = await run("whole", 2);
    assert.equal(told.steps.length, 2);
    for (const { scalars } of told.steps) {
      for (const loss of ["dino", "ibot", "pixel-relation", "channel-relation", "koleo"])
        assert.ok(Number.isFinite(scalars[`loss/${loss}`]), `${loss} is ${scalars[`loss/${loss}`]}`);
    }
    assert.deepEqual(told.warnings, [NO_EFFECT]);
    await run("resumed", 1);
    await run("resumed", 2, true);
    const [wanted, got] = [await checkpointOf(base(), "whole"), await checkpointOf(base(), "resumed")];
    assert.deepEqual(digests(got), digests(wanted));
    const shapes = new Map(wanted.tensors.map(({ name, shape }) => [name, shape]));
    assert.deepEqual(shapes.get("teacher/backbone.stages.2.1.dwconv.weight"), [24, 1, 7, 7]);
    assert.ok(!shapes.has("student/backbone.cls_token"), "no weight of the ViT is left");
  });

  it("is evaluated, by patches too, and shown with its masks and relations", async () => {
    await saveMasks(join(base(), "masks"));
    const relations: RelationSample[] = [];
    const { told } = await trainTiny({
      base: base(),
      name: "evaluated",
      crops,
      method,
      evaluation: { dense: { masks: join(base(), "masks") } },
      report: { samples: 2 },
      train: { maxSteps: 1 },
      options: { observer: { relations: (samples) => void relations.push(...samples) } },
    });
    const { results, scalars } = told.evaluations.at(-1)!.evaluation;
    assert.equal(results[0]!.card.features, "mean patch token after the final norm");
    const figures = Object.keys(scalars).filter((name) => !name.startsWith("health/"));
    const dense = ["dense/miou", "dense/foregroundIoU", "dense/pcaIoU"];
    assert.deepEqual(figures, ["knn/top1", ...dense, "rankMe"]);
    const shown = told.views[0]!.views.map(({ name, mask }) => [name, mask?.rows, mask?.columns]);
    assert.deepEqual(shown, [
      ["global 1", 2, 2],
      ["global 2", 2, 2],
      ["local 1", undefined, undefined],
    ]);
    assert.ok(relations.length > 0, "the report has no relation rows");
  });

  it("has as many channels as the images", async () => {
    await trainTiny({ base: base(), name: "grey", crops, method: [tinyDino, network], data: { channels: 1 }, train: { maxSteps: 1 } }); // prettier-ignore
    const { tensors } = await checkpointOf(base(), "grey");
    const stem = tensors.find(({ name }) => name === "student/backbone.downsample_layers.0.0.weight");
    assert.deepEqual(stem?.shape, [8, 1, 4, 4]);
  });

  it("warns of what the config says under backbone, and of no default", async () => {
    const warned = async (backbone?: RunConfig["backbone"]) => {
      const warnings: string[] = [];
      const logger = { info: () => {}, warn: (message: string) => void warnings.push(message) };
      const config = {
        ...tinyConfig({ train: { engine: "eager", backend: "cpu" } }),
        backbone: runSchema.shape.backbone.parse(backbone),
      };
      const plugins = [crops, tinyDino, network].map(resolved);
      const assembly = await assemble(config, plugins, { baseDir: base(), checkpoints: "", logger });
      assembly.engine.close();
      return warnings;
    };
    assert.deepEqual(await warned(), []);
    assert.deepEqual(await warned({ patchSize: 8 }), [NO_EFFECT]);
  });

  it("is refused views that do not end in whole tokens", async () => {
    const odd = multiCrop({ globalCrops: { size: 48, count: 2 }, localCrops: { count: 0 } });
    await assert.rejects(
      trainTiny({ base: base(), name: "odd", crops: odd, method: [tinyDino, network] }),
      coded("VIEW_SIZE", '"global"', "48 pixels", "no multiple of 32"),
    );
  });
});

describe("convnext in a step", () => {
  let engine: Engine;
  afterEach(() => engine.close());

  it("sees the mask token in all stem patches of a masked patch, and in no other", async () => {
    engine = await makeEngine("eager on cpu");
    const stem = new Map<string, tf.Tensor>();
    const watch = plugin("watch", (hooks, name) => {
      // In setup: behind ibot's.
      hooks.setup.tap(name, () => {
        hooks.embed.tap(name, (patchTokens, { pass }) => {
          stem.set(pass.key, patchTokens);
          return patchTokens;
        });
      });
      hooks.loss.tap(name, (losses) => losses.metric("stem", tf.max(tf.abs(stem.get("student/global")!), 2)));
    });
    const use = convnext({ depths: [1, 1, 1], dims: [4, 4, 4] });
    const views = [
      { ...globalViews, size: 32 },
      { ...localViews, size: 16 },
    ];
    const training = await tinyTraining(engine, [ibot({ ...head, ...masks }), watch, use], { views });
    const batch = tinyBatch(training);
    const feeds = training.feeds(batch, at(1));
    const outputs = await (await training.program("train", at(1).epoch, feeds)).run(feeds);
    const largest = outputs["metric/watch.stem"]!; // [images, 8 x 8], of patches of 2 x 2 that are 4 x 4 each
    const cells = Array.from(training.maskCells("global", batch, at(1))!);
    assert.equal(largest.length, 16 * cells.length);
    assert.equal(cells.filter((cell) => cell !== 0).length, 8);
    for (let i = 0; i < largest.length; i++) {
      const [image, row, column] = [i >> 6, (i >> 3) & 7, i & 7];
      const masked = cells[image * 4 + (row >> 2) * 2 + (column >> 2)] !== 0;
      // The mask token is zero at the start.
      assert.equal(largest[i] === 0, masked, `stem patch ${row}, ${column} of image ${image}`);
    }
  });

  it("is refused a plugin's own pass without all tokens, though what is left is a square", async () => {
    engine = await makeEngine("eager on cpu");
    const drops = plugin("drops", (hooks, name) => {
      hooks.setup.tap(name, (setup) => {
        const student = setup.network("student");
        const own = setup.pass({
          network: student,
          views: "global",
          own: "quarter",
          outputs: { patches: true },
        });
        hooks.tokens.tap(name, (tokens, { pass }) =>
          pass === own ? tf.slice(tokens, [0, 0, 0], [-1, tokens.shape[1] / 4, -1]) : tokens,
        );
        hooks.loss.tap(name, (losses, { output }) => losses.add(name, 1, tf.mean(output(own).tokens)));
      });
    });
    const use = convnext({ depths: [1, 1], dims: [4, 4] });
    const training = await tinyTraining(engine, [drops, use]);
    await assert.rejects(
      training.step("train", tinyBatch(training), at(0)),
      coded("TOKENS_DROPPED", "4 of a view's 4 x 4 patches"),
    );
  });

  it("has the gradients of fp32 in bf16, up to its rounding", async () => {
    const gradients = async (precision: "fp32" | "bf16") => {
      engine = await makeEngine("captured", precision);
      const use = convnext({ depths: [1, 1], dims: [16, 32], layerScale: 0.5 });
      const training = await tinyTraining(engine, [learnsOnes, use]);
      const feeds = training.feeds(tinyBatch(training), at(1));
      const outputs = await (await training.program("train", at(1).epoch, feeds)).run(feeds);
      const own = Object.entries(outputs).filter(([name]) => name.startsWith("gradient/backbone."));
      return new Map(own.map(([name, values]) => [name, Float32Array.from(values)]));
    };
    const exact = await gradients("fp32");
    engine.close();
    const rounded = await gradients("bf16");
    let differ = false;
    for (const [name, values] of exact) {
      const size = Math.hypot(...values);
      const apart = Math.hypot(...values.map((value, i) => value - rounded.get(name)![i]!));
      differ ||= apart > 1e-5 * size;
      assert.ok(apart <= 0.03 * size, `${name} is off by ${apart}, of ${size}`);
    }
    assert.ok(differ, "nothing was computed in bf16");
  });
});
