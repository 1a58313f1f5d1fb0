/** What is mixed of images: against timm, and how it is drawn. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { Random } from "../../../core/random.ts";
import { distance } from "../../../core/testing/tiny-run.ts";
import {
  drawMix,
  mixes,
  mixImages,
  MixLayout,
  sharesOf,
  type Mixing,
} from "../../../plugins/supervised/mixing.ts";
import { useCpuBackend } from "../../core/math/numeric.ts";

/** Made by reference.py. */
const golden = JSON.parse(readFileSync(new URL("golden.json", import.meta.url), "utf8")) as {
  readonly images: readonly number[];
  readonly shares: readonly number[];
};

const SIZE = 32;
const both: Mixing = { mixup: 0.8, cutmix: 1, mixProbability: 1, cutmixProbability: 0.5 };
const drawn = (mixing: Partial<Mixing>, count = 2000) =>
  Array.from({ length: count }, (_, i) => drawMix(new Random(3, "mix", i), SIZE, { ...both, ...mixing }));
const shareOf = (rows: readonly Float32Array[], is: (row: Float32Array) => boolean) =>
  rows.filter(is).length / rows.length;
const isCut = (row: Float32Array) => row[MixLayout.kept] === 0;
const isWhole = (row: Float32Array) => row[MixLayout.kept] === 1 && row[MixLayout.bottom] === 0;

describe("mixing", () => {
  useCpuBackend();

  it("gives timm's images and shares of the same lambdas and boxes", () => {
    // What reference.py mixes: nothing, mixup of 0.3, a box, mixup of 0.9, a box.
    const rows = tf.tensor2d([
      [0, 0, 0, 0, 1, 1],
      [0, 6, 0, 6, 0.3, 0.3],
      [1, 4, 2, 6, 0, 1 - 12 / 36],
      [0, 6, 0, 6, 0.9, 0.9],
      [0, 6, 0, 3, 0, 0.5],
    ]);
    const values = Float32Array.from({ length: 5 * 6 * 6 * 3 }, (_, i) => 0.5 + 0.5 * Math.sin(0.61 * i));
    const mixed = mixImages(tf.tensor4d(values, [5, 6, 6, 3]), rows);
    assert.ok(distance(mixed.dataSync(), golden.images) < 1e-6);
    assert.ok(distance(sharesOf(rows).dataSync(), golden.shares) < 1e-6);
  });

  it("is not at all without an alpha or a probability", () => {
    assert.deepEqual(
      [both, { ...both, mixup: 0, cutmix: 0 }, { ...both, mixProbability: 0 }, { ...both, cutmix: 0 }].map(
        mixes,
      ),
      [true, false, false, true],
    );
  });

  it("has each kind as often as it is told", () => {
    const near = (got: number, wanted: number) =>
      assert.ok(Math.abs(got - wanted) < 0.05, `${got}, not ${wanted}`);
    const rows = drawn({ mixProbability: 0.8, cutmixProbability: 0.25 });
    near(shareOf(rows, isWhole), 0.2);
    near(shareOf(rows, isCut), 0.8 * 0.25);
    assert.equal(shareOf(drawn({ mixup: 0, cutmixProbability: 0 }), isCut), 1);
    assert.equal(shareOf(drawn({ cutmix: 0, cutmixProbability: 1 }), isCut), 0);
  });

  it("keeps of a cut image what the box leaves, in whole pixels", () => {
    for (const [top, bottom, left, right, kept, share] of drawn({
      cutmixProbability: 1,
    }) as Iterable<number>[] as number[][]) {
      // prettier-ignore
      assert.ok([top!, bottom!, left!, right!].every((at) => Number.isInteger(at) && at >= 0 && at <= SIZE));
      assert.ok(top! <= bottom! && left! <= right! && kept === 0);
      assert.ok(Math.abs(share! - (1 - ((bottom! - top!) * (right! - left!)) / SIZE ** 2)) < 1e-6);
    }
  });

  it("keeps of an image that is mixed as a whole a part as Beta(alpha, alpha) has it", () => {
    const spread = (alpha: number) => {
      const kept = drawn({ mixup: alpha, cutmix: 0 }).map((row) => row[MixLayout.kept]!);
      return kept.reduce((sum, value) => sum + (value - 0.5) ** 2, 0) / kept.length;
    };
    // Variance 1 / (4 (2 alpha + 1)).
    for (const alpha of [0.2, 0.8, 5]) {
      const wanted = 1 / (4 * (2 * alpha + 1));
      assert.ok(Math.abs(spread(alpha) / wanted - 1) < 0.1, `${spread(alpha)} for ${alpha}, not ${wanted}`);
    }
  });
});
