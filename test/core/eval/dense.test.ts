import assert from "node:assert/strict";
import { denseTask } from "../../../core/eval/dense.ts";
import { Evaluator } from "../../../core/eval/evaluator.ts";
import type { Extractor, ImageSet, PatchBatch } from "../../../core/eval/extractor.ts";
import { SAMPLED_PATCHES, PatchSample } from "../../../core/eval/patch-sample.ts";
import { RawPixels } from "../../../core/eval/raw-pixels.ts";
import { patchFractions, type MaskedSet } from "../../../core/eval/segmentation.ts";
import { Random } from "../../../core/random.ts";

const SIZE = 16;
const SIDE = 4;

/** Grey noise around 160 on a black ground, in a rectangle of whole patches. */
function rectangles(name: string, count: number): MaskedSet {
  const masks = new Uint8Array(count * SIZE * SIZE);
  const pixels = new Uint8Array(masks.length);
  for (let i = 0; i < count; i++) {
    const random = new Random(i, "rectangle", name);
    const [left, top] = [random.integer(0, 2), random.integer(0, 2)];
    const [right, bottom] = [random.integer(left + 1, SIDE), random.integer(top + 1, SIDE)];
    for (let y = 0; y < SIZE; y++) {
      for (let x = 0; x < SIZE; x++) {
        const inside = x >= 4 * left && x < 4 * right && y >= 4 * top && y < 4 * bottom;
        const at = (i * SIZE + y) * SIZE + x;
        masks[at] = inside ? 1 : 0;
        pixels[at] = inside ? random.integer(120, 200) : random.integer(0, 40);
      }
    }
  }
  const captions = Array.from({ length: count }, (_, i) => `${name} ${i}`);
  return { images: { name, pixels, count, size: SIZE, channels: 1, captions }, masks };
}

/** Patches whose one feature is their foreground, upside down; head 1 of 2 attends to the foreground alone. */
class Oracle implements Extractor {
  readonly pooling = "nothing";
  private readonly masks: ReadonlyMap<unknown, Uint8Array>;

  constructor(...sets: readonly MaskedSet[]) {
    this.masks = new Map(sets.map(({ images, masks }) => [images, masks]));
  }

  async pooled({ count }: ImageSet) {
    return { data: new Float32Array(count).fill(1), count, dim: 1 };
  }

  async readouts(images: ImageSet) {
    const pooled = await this.pooled(images);
    return { pooled, probe: pooled };
  }

  probing(): string {
    return this.pooling;
  }

  *patches(images: ImageSet): Generator<PatchBatch> {
    for (let first = 0; first < images.count; first++) {
      const mask = this.masks.get(images)!.subarray(first * SIZE * SIZE, (first + 1) * SIZE * SIZE);
      const fractions = patchFractions(mask, SIZE, SIDE);
      const weights = Float32Array.from([...fractions.map((f) => 1 - f), ...fractions]);
      const patches = fractions.map((f) => 1 - f);
      yield { first, count: 1, side: SIDE, dim: 1, patches, attention: { heads: 2, weights } };
    }
  }
}

describe("dense evaluation", () => {
  const fit = rectangles("fit", 30);
  const test = rectangles("test", 20);
  const task = denseTask({ fit, test, masks: "rectangles", crop: "whole", seed: 3 });

  it("compares a network with raw pixels and with itself untrained, but for attention that pixels have not", async () => {
    const evaluator = new Evaluator([task], new RawPixels(4));
    const oracle = new Oracle(fit, test);
    const untrained = await evaluator.measure(oracle);
    const { results, scalars, segmentation } = await evaluator.evaluate(oracle, "teacher", untrained);
    assert.deepEqual(untrained, scalars);
    assert.deepEqual(Object.keys(scalars), [
      "dense/miou",
      "dense/foregroundIoU",
      "dense/pcaIoU",
      "dense/attentionIoU",
    ]);
    assert.deepEqual(
      results.map(({ card, figures }) => [
        card.task,
        figures.map(({ name, baselines }) => [name, baselines.length]),
      ]),
      [
        ["linear patch probe", [["mIoU", 2], ["foreground IoU", 2]]],
        ["PCA foreground", [["IoU", 2]]],
        ["attention foreground", [["Jaccard index", 1]]],
      ], // prettier-ignore
    );
    for (const { card } of results) {
      const { network, bank, queries, n, masks, seed, crop } = card;
      assert.deepEqual(
        [network, bank, queries, n, masks, seed, crop],
        ["teacher", "fit, 30", "test, 20", 20, "rectangles", 3, "whole"],
      );
    }
    assert.equal(segmentation!.found.length, 6);
    assert.ok(segmentation!.found.every(({ maps }) => maps.length === 2));
  });

  it("finds what the features say: foreground to half a patch, whatever the component's sign", async () => {
    const found = await new Evaluator([task], new RawPixels(4)).measure(new Oracle(fit, test));
    // Upsampling rounds the corners of a rectangle that is right patch by patch; the component's threshold is
    // the mean of all patches, which is not half way.
    for (const [key, least] of [
      ["dense/miou", 0.9],
      ["dense/foregroundIoU", 0.85],
      ["dense/pcaIoU", 0.7],
    ] as const) {
      assert.ok(found[key]! > least && found[key]! <= 1, `${key} ${found[key]}`);
    }
  });

  it("keeps 60 % of the best head's attention", async () => {
    const found = await new Evaluator([task], new RawPixels(4)).measure(new Oracle(fit, test));
    // Attention is even over a rectangle of whole patches: 60 % of them, rounded up.
    const expected = Array.from({ length: 20 }, (_, i) => {
      const mask = test.masks.subarray(i * SIZE * SIZE, (i + 1) * SIZE * SIZE);
      const patches = mask.reduce((sum, value) => sum + value, 0) / 16;
      return Math.ceil(0.6 * patches - 1e-6) / patches;
    });
    const mean = expected.reduce((a, b) => a + b, 0) / 20;
    assert.ok(Math.abs(found["dense/attentionIoU"]! - mean) < 1e-6, `${found["dense/attentionIoU"]} ${mean}`);
  });

  it("cuts patches of raw pixels, row by row", () => {
    const pixels = Uint8Array.from({ length: 2 * 16 }, (_, i) => i);
    const [batch] = [...new RawPixels(2).patches({ pixels, count: 2, size: 4, channels: 1 })];
    const { patches, ...shape } = batch!;
    assert.deepEqual(shape, { first: 0, count: 2, side: 2, dim: 4 });
    const bytes = [...patches].map((value) => Math.round(value * 255));
    assert.deepEqual(bytes.slice(0, 8), [0, 1, 4, 5, 2, 3, 6, 7]);
    assert.deepEqual(bytes.slice(24), [24, 25, 28, 29, 26, 27, 30, 31]);
    const colour = new RawPixels(1).patches({
      pixels: pixels.subarray(0, 12),
      count: 1,
      size: 2,
      channels: 3,
    });
    assert.equal([...colour][0]!.dim, 3);
  });

  it("shrinks patches of raw pixels to 16 x 16 by the mean over areas", () => {
    const pixels = Uint8Array.from({ length: 64 * 32 * 2 }, (_, i) => (i % 2) * 100 + ((i >> 1) % 64)); // [64, 32, 2]
    const square = new Uint8Array([...pixels, ...pixels]); // [64, 64, 2]
    const [batch] = [...new RawPixels(32).patches({ pixels: square, count: 1, size: 64, channels: 2 })];
    const { patches, side, dim } = batch!;
    assert.deepEqual([side, dim], [2, 512]);
    const bytes = [...patches].map((value) => Math.round(value * 255 * 100) / 100);
    // Columns 0 and 1, then 2 and 3, of two equal lines, in either channel; the second patch from column 32 on.
    assert.deepEqual(bytes.slice(0, 4), [0.5, 100.5, 2.5, 102.5]);
    assert.deepEqual(bytes.slice(512, 514), [32.5, 132.5]);
  });

  it("fits to as many patches of each image, at most so many in all, the same each time", () => {
    const images = SAMPLED_PATCHES / 2;
    const sampled = () => {
      const sample = new PatchSample(images, 1);
      const patches = Float32Array.from({ length: 16 }, (_, i) => i);
      for (let first = 0; first < 100; first++) {
        sample.add({ first, count: 1, side: 4, dim: 1, patches }, 0, patches.map((p) => p / 16)); // prettier-ignore
      }
      return sample;
    };
    const { features, targets } = sampled();
    assert.equal(features.count, 200);
    const rows = [...features.data.subarray(0, 200)];
    assert.ok(rows.every((value, i) => targets[i] === value / 16));
    assert.equal(new Set(rows).size, 16);
    assert.ok(rows.every((value, i) => i % 2 === 0 || value !== rows[i - 1]));
    assert.deepEqual(sampled().features, features);
  });
});
