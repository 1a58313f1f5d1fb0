import * as tf from "@tensorflow/tfjs-core";
import { float32 } from "./ambient.ts";
import { fused } from "./fused.ts";
import { withGradient } from "./with-gradient.ts";

/**
 * Layer normalisation (arXiv 1607.06450) of each row, in float32. With the row's mean m and variance v:
 *
 *     n = (x - m) / sqrt(v + epsilon),   y = gamma n + beta
 *     dx = (g - mean(g) - n mean(g n)) / sqrt(v + epsilon)   where g = gamma dy
 *     dgamma = sum over rows of dy n,   dbeta = sum over rows of dy
 *
 * @param x [R, D]
 * @param gamma [D]
 * @param beta [D]
 * @returns [R, D]
 */
export function layerNorm(x: tf.Tensor2D, gamma: tf.Tensor, beta: tf.Tensor, epsilon = 1e-6): tf.Tensor2D {
  return float32(() =>
    withGradient(
      [x, gamma, beta],
      () => {
        const { value, saved } = fused("layerNorm", () => {
          const centered = tf.sub(x, tf.mean(x, 1, true));
          const inverseStd = tf.rsqrt(tf.add(tf.mean(tf.square(centered), 1, true), epsilon)); // [R, 1]
          const normalised = tf.mul(centered, inverseStd);
          return {
            value: tf.add(tf.mul(normalised, gamma), beta) as tf.Tensor2D,
            saved: [normalised, inverseStd] as const,
          };
        });
        return { value, saved: [...saved, gamma] };
      },
      (dy, [normalised, inverseStd, gamma]) => [
        fused("layerNormGrad", () => {
          const g = tf.mul(dy, gamma);
          const along = tf.mul(normalised, tf.mean(tf.mul(g, normalised), 1, true));
          return tf.mul(tf.sub(tf.sub(g, tf.mean(g, 1, true)), along), inverseStd);
        }),
        // Sums of rows and of columns are faster apart.
        ...fused("layerNormSums", () => [tf.sum(tf.mul(dy, normalised), 0), tf.sum(dy, 0)]),
      ],
    ),
  );
}
