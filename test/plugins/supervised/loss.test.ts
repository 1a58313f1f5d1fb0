/** The loss of soft labels: against timm and PyTorch, and by its properties. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { distance } from "../../../core/testing/tiny-run.ts";
import { mixedCrossEntropy } from "../../../plugins/supervised/loss.ts";
import { assertGradients, normal, useCpuBackend } from "../../core/math/numeric.ts";

interface LossAndGradient {
  readonly loss: number;
  readonly gradient: readonly number[];
}
/** Made by reference.py. */
const golden = JSON.parse(readFileSync(new URL("golden.json", import.meta.url), "utf8")) as Readonly<
  Record<"mixed" | "smoothed" | "plain", LossAndGradient>
> & { readonly shares: readonly number[] };

const LABELS = [2, 0, 1, 2, 3];
const lossOf = (logits: tf.Tensor, labels: number[], shares: readonly number[], smoothing: number) =>
  mixedCrossEntropy(logits as tf.Tensor2D, tf.tensor1d(labels, "int32"), tf.tensor1d([...shares]), smoothing);
const ones = LABELS.map(() => 1);

describe("mixedCrossEntropy", () => {
  useCpuBackend();

  const cases: readonly ["mixed" | "smoothed" | "plain", readonly number[], number][] = [
    ["mixed", golden.shares, 0.1],
    ["smoothed", ones, 0.1],
    ["plain", ones, 0],
  ];
  for (const [name, shares, smoothing] of cases)
    it(`has the golden loss and gradient, ${name}`, () => {
      const values = Float32Array.from({ length: 20 }, (_, i) => 2 * Math.sin(1.3 * i));
      const logits = tf.tensor2d(values, [5, 4]);
      const { loss } = lossOf(logits, LABELS, shares, smoothing);
      assert.ok(Math.abs(loss.dataSync()[0]! - golden[name].loss) < 1e-6);
      const gradient = tf.grad((x) => lossOf(x, LABELS, shares, smoothing).loss)(logits);
      assert.ok(distance(gradient.dataSync(), golden[name].gradient) < 1e-6);
    });

  it("has its gradient where labels are missing", () => {
    const shares = [0.3, 0.8, 1, 0.5, 0];
    const labels = [2, -1, 1, -1, 0];
    assertGradients((x) => lossOf(x, labels, shares, 0.2).loss, [normal("logits", [5, 4])]);
  });

  it("leaves out the part of a label that is missing", () => {
    const logits = normal<tf.Rank.R2>("logits", [2, 4]);
    const [half] = lossOf(logits, [1, -1], [0.7, 0.6], 0).loss.dataSync();
    const logp = tf.logSoftmax(logits).arraySync() as number[][];
    // 0.7 of the first row is of class 1, and 0.4 of the second, which has that part of the first image.
    const wanted = -(0.7 * logp[0]![1]! + 0.4 * logp[1]![1]!) / 2;
    assert.ok(Math.abs(half! - wanted) < 1e-6, `${half} is not ${wanted}`);
    const nothing = lossOf(logits, [-1, -1], [0.7, 0.6], 0.1);
    assert.deepEqual([nothing.loss.dataSync()[0], nothing.accuracy.dataSync()[0]], [0, 0]);
  });

  it("counts as right what part the predicted class has, of what has labels", () => {
    const sure = tf.tensor2d([[9, 0, 0], [0, 9, 0], [0, 0, 9], [9, 0, 0]]); // prettier-ignore
    const accuracy = (labels: number[], shares: number[]) =>
      lossOf(sure, labels, shares, 0.1).accuracy.dataSync()[0]!;
    assert.equal(accuracy([0, 1, 2, 0], [1, 1, 1, 1]), 1);
    assert.equal(accuracy([1, 1, 2, -1], [1, 1, 1, 1]).toFixed(6), (2 / 3).toFixed(6));
    // The first is mixed with the last, the second with the third: of both rows 0 and 3 the prediction has its part.
    assert.ok(
      Math.abs(accuracy([0, 1, 2, 1], [0.75, 0.5, 0.5, 0.25]) - (0.75 + 0.5 + 0.5 + 0.75) / 4) < 1e-6,
    );
  });
});
