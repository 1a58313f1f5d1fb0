import * as tf from "@tensorflow/tfjs-core";
import { float32 } from "./ambient.ts";
import { fused } from "./fused.ts";
import { withGradient } from "./with-gradient.ts";

/**
 * The exact GELU (arXiv 1606.08415), any shape, in float32. With the normal distribution's cdf P and density p:
 *
 *     y = x P(x),   P(x) = (1 + erf(x / sqrt 2)) / 2
 *     dx = dy (P(x) + x p(x)),   p(x) = exp(-x^2 / 2) / sqrt(2 pi)
 */
export function gelu<T extends tf.Tensor>(x: T): T {
  const cdf = (x: tf.Tensor): tf.Tensor => tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
  return float32(() =>
    withGradient(
      [x],
      () => ({ value: fused("gelu", () => tf.mul(x, cdf(x)) as T), saved: [x] }),
      (dy, [x]) => [
        fused("geluGrad", () => {
          const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
          return tf.mul(dy, tf.add(cdf(x), tf.mul(x, density)));
        }),
      ],
    ),
  );
}
