import * as tf from "@tensorflow/tfjs-core";
import { float32 } from "./ambient.ts";
import { fused } from "./fused.ts";
import { withGradient } from "./with-gradient.ts";

/**
 * Divides each vector of the last axis by its length, in float32:
 *
 *     y = x / max(|x|, epsilon)
 *     dx = (dy - y (dy . y)) / |x|,   or dy / epsilon where |x| <= epsilon
 *
 * @param x [..., D]
 * @returns [..., D]
 */
export function l2Normalize<T extends tf.Tensor>(x: T, epsilon = 1e-12): T {
  return float32(() =>
    withGradient(
      [x],
      () =>
        fused("l2Normalize", () => {
          const squared: tf.Tensor = tf.sum(tf.square(x), -1, true); // [..., 1]
          const inverse = tf.rsqrt(tf.maximum(squared, epsilon ** 2));
          const value = tf.mul(x, inverse) as T;
          const free = tf.cast(tf.greater(squared, epsilon ** 2), "float32"); // 0 where the length was clamped
          return { value, saved: [value, inverse, free] as const };
        }),
      (dy, [y, inverse, free]) => [
        fused("l2NormalizeGrad", () => {
          const along = tf.mul(free, tf.sum(tf.mul(dy, y), -1, true));
          return tf.mul(tf.sub(dy, tf.mul(y, along)), inverse);
        }),
      ],
    ),
  );
}
