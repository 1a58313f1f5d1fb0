/** The channel relation's target and the effective rank that is logged of it. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { columnGram, temperedSoftmax } from "../../../core/plugin.ts";
import { effectiveRank } from "../../../plugins/channel-relation/relation.ts";
import { assertClose, normal, useCpuBackend } from "../../core/math/numeric.ts";

describe("the channel relation's target", () => {
  useCpuBackend();

  it("is softmax(R / tau_c) of each row, whose sum is 1", () => {
    const relation = tf.tensor([0, 0.1 * Math.log(3), 0, 0], [1, 2, 2]);
    assertClose(temperedSoftmax(relation, 0.1), tf.tensor([0.25, 0.75, 0.5, 0.5], [1, 2, 2]), 1e-6);
    assertClose(tf.sum(temperedSoftmax(normal("r", [2, 6, 6], 20), 0.1), 2), tf.ones([2, 6]), 1e-6);
  });
});

describe("effective rank", () => {
  useCpuBackend();

  const of = (relation: tf.Tensor) => effectiveRank(relation).dataSync()[0]!;
  const near = (got: number, want: number) =>
    assert.ok(Math.abs(got - want) < 1e-5 * want, `${got}, ${want}`);
  /** The relation of features [B, N, C]. */
  const ofFeatures = (features: tf.Tensor) => of(columnGram(features));

  it("is 1 where all tokens are alike, and where they differ in length only", () => {
    const token = normal("token", [1, 1, 6]);
    near(ofFeatures(tf.tile(token, [1, 5, 1])), 1);
    near(ofFeatures(tf.mul(token, tf.tensor([1, 2, -3, 0.5], [1, 4, 1]))), 1);
  });

  it("is k for k orthogonal tokens of one length, whatever the scale", () => {
    for (const k of [1, 2, 5]) {
      const tokens = tf.slice(tf.eye(6), [0, 0], [k, 6]);
      near(ofFeatures(tf.expandDims(tokens, 0)), k);
      near(ofFeatures(tf.expandDims(tf.mul(tokens, 7), 0)), k);
    }
  });

  it("is (sum of eigenvalues)^2 / sum of squares", () => {
    near(of(tf.expandDims(tf.diag(tf.tensor1d([4, 2, 1, 1])), 0)), 64 / 22);
    const features = normal("features", [1, 9, 4]);
    const rank = ofFeatures(features);
    assert.ok(rank > 1 && rank < 4);
    // The same of the tokens' own relation: both have the same eigenvalues besides zeros.
    near(rank, of(tf.matMul(features, features, false, true)));
  });

  it("is the mean over the images, and 0 where there are no features", () => {
    const one = tf.diag(tf.tensor1d([1, 0, 0]));
    near(of(tf.stack([one, tf.eye(3)])), 2);
    assert.equal(of(tf.zeros([1, 3, 3])), 0);
  });
});
