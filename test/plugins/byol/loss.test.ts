/** BYOL's loss against golden values, and by its properties. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { byolLoss } from "../../../plugins/byol/loss.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "../../core/math/numeric.ts";
import { readGolden, waveTensor } from "../../support/golden.ts";

interface Golden {
  readonly views: number;
  readonly samples: number;
  readonly loss: number;
  /** Of each view's predictions. */
  readonly gradients: number[][];
}

describe("byolLoss", () => {
  useCpuBackend();

  const value = (predictions: tf.Tensor2D[], targets: tf.Tensor2D[]) =>
    byolLoss(predictions, targets).dataSync()[0]!;
  const rows = (name: string) => normal<tf.Rank.R2>(name, [3, 4]);

  const { losses } = readGolden<{ losses: Golden[] }>(import.meta.url, "golden.json");
  for (const { views, samples, loss, gradients } of losses) {
    it(`is PyTorch's for ${views} views of ${samples} samples`, () => {
      const each = (phase: number) =>
        Array.from({ length: views }, (_, v) => waveTensor<tf.Rank.R2>([samples, 5], phase + v));
      const [predictions, targets] = [each(3), each(13)];
      assert.ok(Math.abs(value(predictions, targets) - loss) < 1e-6 * loss, `not ${loss}`);
      const got = tf.grads((...q: tf.Tensor[]) => byolLoss(q as tf.Tensor2D[], targets))(predictions);
      got.forEach((gradient, v) => {
        const want = { values: Float32Array.from(gradients[v]!), shape: [samples, 5] };
        assertClose(gradient, want, 1e-5, `gradient of view ${v}`);
      });
    });
  }

  it("is 0, 2 and 4 for predictions along, across and against the targets, whatever their lengths", () => {
    const [along, across] = [tf.tensor2d([[3, 0], [0, 0.1]]), tf.tensor2d([[0, 5], [7, 0]])]; // prettier-ignore
    const against = tf.mul(along, -20) as tf.Tensor2D;
    const found = [along, across, against].map((q) => value([q, q], [along, along]));
    found.forEach((loss, i) => assert.ok(Math.abs(loss - [0, 2, 4][i]!) < 1e-6, `${loss}`));
  });

  it("compares no view with the teacher's same view", () => {
    const [a, b] = [rows("a"), rows("b")];
    assert.ok(Math.abs(value([a, b], [b, a])) < 1e-6, "each predicts the other");
    assert.ok(value([a, b], [a, b]) > 0.5, "each predicts itself");
  });

  it("is the mean over ordered pairs and samples, in any order", () => {
    const [q, z] = [["a", "b", "c"], ["d", "e", "f"]].map((names) => names.map(rows)) as [tf.Tensor2D[], tf.Tensor2D[]]; // prettier-ignore
    const pairs = [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]] as const; // prettier-ignore
    const ofPairs = pairs.map(([v, w]) => value([q[v]!, z[v]!], [z[v]!, z[w]!]));
    // The second view of such a pair predicts the first one's target with that target itself: it adds 0.
    const mean = ofPairs.reduce((sum, loss) => sum + 2 * loss, 0) / pairs.length;
    assert.ok(Math.abs(value(q, z) - mean) < 1e-6, `${value(q, z)}, not ${mean}`);
    const order = tf.tensor1d([2, 0, 1], "int32");
    const moved = (views: tf.Tensor2D[]) => views.map((view) => tf.gather(view, order)).reverse();
    assert.ok(Math.abs(value(moved(q), moved(z)) - value(q, z)) < 1e-6, "depends on the order");
  });

  it("has the gradient of the predictions, and none of the targets", () => {
    const [a, b] = [rows("a"), rows("b")];
    assertGradients((...q) => byolLoss(q as tf.Tensor2D[], [rows("c"), rows("d")]), [a, b]);
    const toTargets = tf.grads((...z: tf.Tensor[]) => byolLoss([a, b], z as tf.Tensor2D[]));
    assert.throws(() => toTargets([rows("c"), rows("d")]), /gradient/);
  });
});
