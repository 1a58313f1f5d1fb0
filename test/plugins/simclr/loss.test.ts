/** NT-Xent against golden values, and by its properties. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { l2Normalize } from "../../../core/math/index.ts";
import { contrast, nearestIsPositive, ntXent, type Projections } from "../../../plugins/simclr/loss.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "../../core/math/numeric.ts";
import { readGolden, waveTensor } from "../../support/golden.ts";

interface Golden {
  readonly views: number;
  readonly samples: number;
  readonly temperature: number;
  readonly loss: number;
  readonly top1: number;
  readonly gradient: number[];
}

/** Origins of V views of each sample, view by view. */
const originsOf = (views: number, samples: readonly number[]): tf.Tensor2D =>
  tf.tensor2d(
    Array.from({ length: views }, (_, view) => samples.map((sample) => [sample, view])).flat(),
    undefined,
    "int32",
  );
const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const value = (x: tf.Tensor) => x.dataSync()[0]!;

describe("NT-Xent", () => {
  useCpuBackend();

  /** On one process, of rows of any length. */
  const lossOf = (rows: tf.Tensor, origins: tf.Tensor2D, temperature: number) => {
    const own = { z: l2Normalize(rows as tf.Tensor2D), origins };
    return ntXent(contrast(own, own, temperature));
  };
  const equalRows = (n: number) => tf.tile(tf.tensor2d([[0.6, 0, 0.8]]), [n, 1]);
  /** Each sample along an axis of its own, in all of its views. */
  const apart = (views: number, samples: number) =>
    tf.tile(tf.eye(samples), [views, 1]) as unknown as tf.Tensor2D;

  const { losses } = readGolden<{ losses: Golden[] }>(import.meta.url, "golden.json");
  for (const { views, samples, temperature, loss, top1, gradient } of losses) {
    it(`is PyTorch's for ${views} views of ${samples} samples, temperature ${temperature}`, () => {
      const rows = waveTensor<tf.Rank.R2>([views * samples, 5], 3);
      const origins = originsOf(views, range(samples));
      assert.ok(Math.abs(value(lossOf(rows, origins, temperature)) - loss) < 1e-6 * loss, `not ${loss}`);
      const [got] = tf.grads((x: tf.Tensor) => lossOf(x, origins, temperature))([rows]);
      assertClose(got!, { values: Float32Array.from(gradient), shape: rows.shape }, 1e-5, "gradient");
      const own = { z: l2Normalize(rows), origins };
      const part = value(nearestIsPositive(contrast(own, own, temperature)));
      assert.ok(Math.abs(part - top1) < 1e-6, `${part} of the nearest are positives, not ${top1}`);
    });
  }

  it("is log(V N - 1) where all rows are the same, at any temperature", () => {
    for (const [views, samples, temperature] of [
      [2, 4, 0.1],
      [2, 4, 5],
      [3, 2, 0.01],
    ] as const) {
      const loss = value(lossOf(equalRows(views * samples), originsOf(views, range(samples)), temperature));
      assert.ok(Math.abs(loss - Math.log(views * samples - 1)) < 1e-5, `${loss}`);
    }
  });

  it("is log(1 + 2 (N - 1) exp(-1 / tau)) where the views are the same and the samples orthogonal", () => {
    for (const temperature of [0.1, 0.5, 1]) {
      const loss = value(lossOf(apart(2, 4), originsOf(2, range(4)), temperature));
      const want = Math.log1p(6 * Math.exp(-1 / temperature));
      assert.ok(Math.abs(loss - want) < 1e-6, `${loss}, not ${want}`);
    }
  });

  it("has the gradient of both sides of each similarity", () => {
    const origins = originsOf(2, range(3));
    const rows = () => normal<tf.Rank.R2>("rows", [6, 4]);
    assertGradients((x) => lossOf(x, origins, 0.5), [rows()]);
    assertGradients(
      (own, all) =>
        ntXent(contrast({ z: own as tf.Tensor2D, origins }, { z: all as tf.Tensor2D, origins }, 0.5)),
      [rows(), normal("others", [6, 4])],
    );
  });

  it("does not depend on the order of the samples, nor on how they are called", () => {
    const rows = normal<tf.Rank.R2>("rows", [8, 5]);
    const gradientOf = (x: tf.Tensor, origins: tf.Tensor2D) =>
      tf.grads((y: tf.Tensor) => lossOf(y, origins, 0.2))([x])[0]!;
    const origins = originsOf(2, range(4));
    const order = tf.tensor1d([2, 0, 3, 1, 6, 4, 7, 5], "int32");
    const moved = tf.gather(rows, order);
    const renamed = originsOf(2, [70_000_001, 5, 70_000_002, 9]);
    const [loss, ofMoved] = [lossOf(rows, origins, 0.2), lossOf(moved, renamed, 0.2)].map(value);
    assert.ok(Math.abs(loss! - ofMoved!) < 1e-6, `${loss} and ${ofMoved}`);
    assertClose(gradientOf(moved, renamed), tf.gather(gradientOf(rows, origins), order), 1e-5, "gradient");
  });

  it("of many processes is the mean of their losses, and their gradients add up to that of the whole", () => {
    const rows = normal<tf.Rank.R2>("rows", [12, 5]);
    const whole = originsOf(2, range(6));
    // Each process has both views of three samples, and all rows in the order of the processes.
    const held = [[0, 1, 2, 6, 7, 8], [3, 4, 5, 9, 10, 11]].map((own) => tf.tensor1d(own, "int32")); // prettier-ignore
    const origins = held.map((own) => tf.gather(whole, own));
    const together = (x: tf.Tensor) => {
      const parts = held.map((own) => l2Normalize(tf.gather(x, own) as tf.Tensor2D));
      const all: Projections = { z: tf.concat(parts), origins: tf.concat(origins) };
      const losses = parts.map((z, p) => ntXent(contrast({ z, origins: origins[p]! }, all, 0.3)));
      return tf.div(tf.addN(losses), losses.length);
    };
    const alone = (x: tf.Tensor) => lossOf(x, whole, 0.3);
    assert.ok(Math.abs(value(together(rows)) - value(alone(rows))) < 1e-6, "another loss");
    assertClose(tf.grads(together)([rows])[0]!, tf.grads(alone)([rows])[0]!, 1e-5, "gradient");
  });

  it("takes an image that is in the batch twice for no negative of itself", () => {
    const origins = originsOf(2, [7, 7, 8]);
    const own = { z: l2Normalize(normal<tf.Rank.R2>("rows", [6, 4])), origins };
    const { logits, positives } = contrast(own, own, 0.1);
    const excluded = (logits.arraySync() as number[][]).map((row) => row.map((x) => Number(x < -1e8)));
    assert.deepEqual(excluded[0], [1, 1, 0, 0, 0, 0]);
    assert.deepEqual(excluded[2], [0, 0, 1, 0, 0, 0]);
    const likely = positives.arraySync() as number[][];
    assert.deepEqual(likely[0], [0, 0, 0, 0.5, 0.5, 0]);
    assert.deepEqual(likely[5], [0, 0, 1, 0, 0, 0]);
  });

  it("counts the rows whose nearest is a view of their sample, and few where all are the same", () => {
    const part = (rows: tf.Tensor2D, samples: number) => {
      const own = { z: rows, origins: originsOf(2, range(samples)) };
      return value(nearestIsPositive(contrast(own, own, 0.1)));
    };
    assert.equal(part(apart(2, 4), 4), 1);
    // Each view near the other sample's other view.
    assert.equal(part(tf.tensor2d([[1, 0], [0, 1], [0, 1], [1, 0]]), 2), 0); // prettier-ignore
    assert.ok(part(equalRows(8), 4) <= 0.25, "a collapse is no success");
  });
});
