/** The pixel relation's target and the entropy that is logged of it. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { temperedSoftmax } from "../../../core/plugin.ts";
import { rowEntropy } from "../../../plugins/pixel-relation/relation.ts";
import { assertClose, normal, useCpuBackend } from "../../core/math/numeric.ts";

describe("the pixel relation's target", () => {
  useCpuBackend();

  it("is softmax(R / tau_p) of each row", () => {
    const relation = tf.tensor([0, Math.log(2), Math.log(4), 0, 0, 0, 1, 1, 1], [1, 1, 3, 3]);
    // With tau_p = 0.5 the ratios 1 : 2 : 4 become 1 : 4 : 16.
    const want = [1 / 21, 4 / 21, 16 / 21, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3];
    assertClose(temperedSoftmax(relation, 0.5), tf.tensor(want, [1, 1, 3, 3]), 1e-6);
  });

  it("has rows that sum to 1, sharper for a lower temperature", () => {
    const relation = normal("relation", [2, 3, 5, 5], 30);
    for (const temperature of [0.05, 0.5, 5]) {
      const sums = tf.sum(temperedSoftmax(relation, temperature), 3);
      assertClose(sums, tf.ones([2, 3, 5]), 1e-6);
    }
    const peak = (temperature: number) => tf.mean(tf.max(temperedSoftmax(normal("r", [1, 1, 5, 5]), temperature), 3)).dataSync()[0]!; // prettier-ignore
    assert.ok(peak(0.1) > peak(0.5) && peak(0.5) > peak(2));
  });
});

describe("row entropy", () => {
  useCpuBackend();

  /** [n, heads, 4, 4] of equal rows per matrix. */
  const targets = (...rows: number[][]) =>
    tf.tensor(rows.flatMap((row) => Array.from({ length: 4 }, () => row).flat()), [rows.length, 1, 4, 4]); // prettier-ignore
  const uniform = [0.25, 0.25, 0.25, 0.25];
  const oneHot = [0, 0, 1, 0];
  const half = [0.5, 0, 0.5, 0];
  const of = (target: tf.Tensor, ...overlaps: number[]) =>
    rowEntropy(target, tf.tensor1d(overlaps)).dataSync()[0]!;
  const near = (got: number, want: number) => assert.ok(Math.abs(got - want) < 1e-6, `${got}, ${want}`);

  it("is 1 for uniform rows, 0 for one-hot rows, and log of the points related to in between", () => {
    near(of(targets(uniform), 1), 1);
    near(of(targets(oneHot), 1), 0);
    near(of(targets(half), 1), Math.log(2) / Math.log(4));
  });

  it("is the mean over matrices, heads and rows", () => {
    near(of(targets(uniform, oneHot), 1, 1), 0.5);
    const heads = tf.reshape(targets(uniform, oneHot, half, half), [2, 2, 4, 4]);
    near(of(heads, 1, 1), (1 + 0 + 0.5 + 0.5) / 4);
    const rows = tf.tensor([...uniform, ...oneHot, ...oneHot, ...half], [1, 1, 4, 4]);
    near(of(rows, 1), (1 + 0.5) / 4);
  });

  it("leaves out pairs of crops without an overlap, and is 0 where none overlap", () => {
    near(of(targets(uniform, oneHot), 1, 0), 1);
    near(of(targets(uniform, oneHot, half), 0, 1, 1), 0.25);
    near(of(targets(uniform, uniform), 0, 0), 0);
  });
});
