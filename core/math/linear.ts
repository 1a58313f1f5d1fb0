import * as tf from "@tensorflow/tfjs-core";
import { withGradient } from "./with-gradient.ts";

/**
 * y = x W^T + b, in PyTorch's layout.
 *
 *   dx = dy W,   dW = dy^T x,   db = sum over rows of dy
 *
 * @param x [R, I]
 * @param weight [O, I]
 * @param bias [O]
 * @returns [R, O]
 */
export function linear(x: tf.Tensor2D, weight: tf.Tensor, bias?: tf.Tensor): tf.Tensor2D {
  if (bias === undefined) return tf.matMul(x, weight as tf.Tensor2D, false, true);
  return withGradient(
    [x, weight, bias],
    () => ({
      value: tf.fused.matMul({ a: x, b: weight, transposeB: true, bias }) as tf.Tensor2D,
      saved: [x, weight],
    }),
    (dy, [x, weight]) => [tf.matMul(dy, weight), tf.matMul(dy, x, true), tf.sum(dy, 0)],
  );
}
