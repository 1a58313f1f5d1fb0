/** data2vec's targets and loss against golden values of reference.py, and by their properties. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { blockTargets, data2vecLoss } from "../../../plugins/data2vec/loss.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "../../core/math/numeric.ts";
import golden from "./golden.json" with { type: "json" };

// As in reference.py.
const [K, M, D] = [3, 6, 5];
const wave = (of: (n: number) => number) =>
  tf.tensor2d(Float32Array.from({ length: M * D }, (_, n) => of(n)), [M, D]); // prettier-ignore
const blocks = () =>
  Array.from({ length: K }, (_, l) => wave((n) => (1 + l) * Math.sin(0.7 * n + 1.3 * l) + 0.2 * l));
const predictions = () => wave((n) => 2 * Math.cos(0.9 * n));
const weights = () => tf.tensor1d([1 / 8, 1 / 8, 1 / 4, 1 / 12, 1 / 12, 0]);
const rows = (values: readonly number[]) => ({ values: Float32Array.from(values), shape: [M, D] });

describe("data2vec's targets", () => {
  useCpuBackend();

  it("are PyTorch's layer norms and their mean, with and without one more", () => {
    assertClose(blockTargets(blocks(), true), rows(golden.targets.true), 1e-5);
    assertClose(blockTargets(blocks(), false), rows(golden.targets.false), 1e-5);
  });

  it("do not depend on the scale or the offset of a block", () => {
    const moved = blocks().map((block, l) => tf.add(tf.mul(block, 10 ** l), l) as tf.Tensor2D);
    assertClose(blockTargets(moved, true), blockTargets(blocks(), true), 1e-4);
  });

  it("carry no gradient", () => {
    const of = (block: tf.Tensor) => tf.sum(blockTargets([block as tf.Tensor2D], true));
    assert.throws(() => tf.grad(of)(blocks()[0]!), /Cannot compute gradient/);
  });
});

describe("data2vec's loss", () => {
  useCpuBackend();

  for (const { normalize, beta, loss, gradient } of golden.losses) {
    it(`is PyTorch's smooth L1 loss with beta ${beta}, normalise again: ${normalize}`, () => {
      const targets = blockTargets(blocks(), normalize);
      const of = (x: tf.Tensor) =>
        data2vecLoss({ targets, predictions: x as tf.Tensor2D, weights: weights(), beta });
      const { value, grad } = tf.valueAndGrad(of)(predictions());
      assert.ok(Math.abs(value.dataSync()[0]! - loss) < 1e-6 * loss, `${value.dataSync()[0]}, ${loss}`);
      assertClose(grad, rows(gradient), 1e-5, "gradient");
      const unused = grad.dataSync().subarray((M - 1) * D);
      assert.ok(unused.every((x) => x === 0), "a row of weight 0 has a gradient"); // prettier-ignore
    });
  }

  it("is d^2 / (2 beta) to the distance beta and d - beta / 2 beyond, whichever is larger", () => {
    const at = (target: number, prediction: number, beta: number) =>
      data2vecLoss({
        targets: tf.tensor2d([[target]]),
        predictions: tf.tensor2d([[prediction]]),
        weights: tf.tensor1d([1]),
        beta,
      }).dataSync()[0];
    assert.deepEqual([at(1, 0, 2), at(0, 1, 2), at(2, 0, 2), at(0, 5, 2)], [0.25, 0.25, 1, 4]);
  });

  it("has the gradient of the predictions, near and far, and 0 where they are right", () => {
    const targets = tf.zeros([4, 3]) as tf.Tensor2D;
    const of = (x: tf.Tensor) =>
      data2vecLoss({ targets, predictions: x as tf.Tensor2D, weights: tf.ones([4]) as tf.Tensor1D, beta: 1 });
    assertGradients((x) => of(x!), [normal("predictions", [4, 3], 1.5)], 1e-3, 0.005);
    assert.ok(
      tf
        .grad(of)(targets)
        .dataSync()
        .every((x) => x === 0),
      "a right prediction has a gradient",
    );
  });
});
