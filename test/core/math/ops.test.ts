/** Every operation with an analytic gradient: its formula, and its gradient by finite differences. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import {
  gelu,
  l2Normalize,
  layerNorm,
  linear,
  patchProjection,
  repeatBatch,
  stopGradient,
} from "../../../core/math/index.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "./numeric.ts";

describe("core/math operations", () => {
  useCpuBackend();

  it("linear is x W^T + b", () => {
    const [x, w, b] = [normal<tf.Rank.R2>("x", [5, 3]), normal<tf.Rank.R2>("w", [4, 3]), normal("b", [4])];
    assertClose(linear(x, w, b), tf.add(tf.matMul(x, tf.transpose(w)), b), 1e-6);
    assertClose(linear(x, w), tf.matMul(x, tf.transpose(w)), 1e-6);
  });

  it("linear has the gradients of x, W and b", () => {
    const inputs = [normal("x", [5, 3]), normal("w", [4, 3]), normal("b", [4])];
    assertGradients((x, w, b) => linear(x as tf.Tensor2D, w!, b), inputs);
    assertGradients((x, w) => linear(x as tf.Tensor2D, w!), inputs.slice(0, 2));
  });

  it("layerNorm centers and scales each row", () => {
    const x = tf.add(normal<tf.Rank.R2>("x", [4, 6], 3), 7) as tf.Tensor2D;
    const { mean, variance } = tf.moments(x, 1, true);
    const normalised = tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-6)));
    assertClose(layerNorm(x, tf.ones([6]), tf.zeros([6])), normalised, 1e-5);
    const [gamma, beta] = [normal("gamma", [6]), normal("beta", [6])];
    assertClose(layerNorm(x, gamma, beta), tf.add(tf.mul(normalised, gamma), beta), 1e-5);
  });

  it("layerNorm has the gradients of x, gamma and beta", () => {
    const inputs = [normal("x", [4, 6]), normal("gamma", [6]), normal("beta", [6])];
    assertGradients((x, gamma, beta) => layerNorm(x as tf.Tensor2D, gamma!, beta!), inputs);
  });

  it("gelu is x times the normal distribution function", () => {
    // scipy: x * norm.cdf(x)
    const expected = Float32Array.of(-0.0040496940, -0.1586552539, -0.1542687694, 0, 0.3457312306, 0.8413447461, 2.9959503060); // prettier-ignore
    assertClose(gelu(tf.tensor1d([-3, -1, -0.5, 0, 0.5, 1, 3])), { values: expected, shape: [7] }, 1e-6);
  });

  it("gelu has the gradient of x", () => {
    assertGradients((x) => gelu(x!), [normal("x", [3, 7], 1.5)]);
  });

  it("l2Normalize gives vectors of length 1, and zero for zero", () => {
    const y = l2Normalize(tf.concat([normal<tf.Rank.R3>("x", [2, 3, 5]), tf.zeros([1, 3, 5])]));
    const lengths = Float32Array.of(1, 1, 1, 1, 1, 1, 0, 0, 0);
    assertClose(tf.norm(y, "euclidean", 2), { values: lengths, shape: [3, 3] }, 1e-6);
  });

  it("l2Normalize has the gradient of x, and that of x / epsilon for shorter vectors", () => {
    assertGradients((x) => l2Normalize(x!), [normal("x", [2, 3, 5])]);
    assertGradients((x) => l2Normalize(x!, 3), [normal("x", [2, 3, 5], 0.5)]);
  });

  it("repeatBatch copies to every sample and sums the gradient", () => {
    const x = normal<tf.Rank.R3>("x", [1, 2, 3]);
    assertClose(repeatBatch(x, 4), tf.concat([x, x, x, x]), 0);
    assertGradients((x) => repeatBatch(x!, 4), [x]);
  });

  it("patchProjection is the convolution whose stride is its kernel's length, of oblong images too", () => {
    const images = normal<tf.Rank.R4>("images", [2, 4, 6, 3]);
    const [weight, bias] = [normal("weight", [5, 3, 2, 2]), normal("bias", [5])];
    const kernel = tf.transpose(weight, [2, 3, 1, 0]) as tf.Tensor4D;
    const expected = tf.reshape(tf.add(tf.conv2d(images, kernel, 2, "valid"), bias), [2, 6, 5]);
    assertClose(patchProjection(images, weight, bias), expected, 1e-6);
    assertGradients((x, w, b) => patchProjection(x as tf.Tensor4D, w!, b!), [images, weight, bias]);
    for (const shape of [
      [1, 4, 5, 3],
      [1, 4, 6, 2],
    ] as const)
      // prettier-ignore
      assert.throws(() => patchProjection(tf.zeros([...shape]), weight, bias), /no whole patches/);
  });

  it("stopGradient passes the value and no gradient", () => {
    const x = normal("x", [4]);
    assertClose(stopGradient(x), x, 0);
    const dx = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(x, stopGradient(x))))(x);
    assertClose(dx, x, 1e-6); // of x * constant, not of x^2
    assert.throws(() => tf.grad((x: tf.Tensor) => tf.sum(stopGradient(x)))(x), /Cannot compute gradient/);
  });
});
