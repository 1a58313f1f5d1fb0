import * as tf from "@tensorflow/tfjs-core";
import { float32 } from "./ambient.ts";
import { withGradient } from "./with-gradient.ts";

/**
 * The exact GELU (arXiv 1606.08415), any shape, in float32. With the normal distribution's cdf P and density p:
 *
 *     y = x P(x),   P(x) = (1 + erf(x / sqrt 2)) / 2
 *     dx = dy (P(x) + x p(x)),   p(x) = exp(-x^2 / 2) / sqrt(2 pi)
 */
export function gelu<T extends tf.Tensor>(x: T): T {
  return float32(() =>
    withGradient(
      [x],
      () => {
        const cdf: tf.Tensor = tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
        return { value: tf.mul(x, cdf) as T, saved: [x, cdf] };
      },
      (dy, [x, cdf]) => {
        const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
        return [tf.mul(dy, tf.add(cdf, tf.mul(x, density)))];
      },
    ),
  );
}
