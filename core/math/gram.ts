import * as tf from "@tensorflow/tfjs-core";
import { float32 } from "./ambient.ts";
import { withGradient } from "./with-gradient.ts";

/**
 * Inner products of the rows, in float32:
 *
 *     y = x x^T,   dx = (dy + dy^T) x
 *
 * @param x [..., n, d]
 * @returns [..., n, n]
 */
export function gram(x: tf.Tensor): tf.Tensor {
  return float32(() =>
    withGradient(
      [x],
      () => ({ value: tf.matMul(x, x, false, true), saved: [x] }),
      (dy, [x]) => [tf.matMul(tf.add(dy, transposed(dy)), x)],
    ),
  );
}

/**
 * Inner products of the columns, in float32:
 *
 *     y = x^T x,   dx = x (dy + dy^T)
 *
 * @param x [..., n, d]
 * @returns [..., d, d]
 */
export function columnGram(x: tf.Tensor): tf.Tensor {
  return float32(() =>
    withGradient(
      [x],
      () => ({ value: tf.matMul(x, x, true, false), saved: [x] }),
      (dy, [x]) => [tf.matMul(x, tf.add(dy, transposed(dy)))],
    ),
  );
}

function transposed(x: tf.Tensor): tf.Tensor {
  const axes = Array.from({ length: x.rank }, (_, i) => i);
  return tf.transpose(x, [...axes.slice(0, -2), x.rank - 1, x.rank - 2]);
}
