import * as tf from "@tensorflow/tfjs-core";
import { float32 } from "./ambient.ts";
import { fused } from "./fused.ts";
import { withGradient } from "./with-gradient.ts";

/**
 * A residual connection with a multiplier for each row, such as stochastic depth's (arXiv 1603.09382), in float32:
 *
 *     y = x + keep branch,   dx = dy,   dbranch = keep dy
 *
 * @param x [R, D]
 * @param branch [R, D]
 * @param keep [R, 1], without a gradient; left out, it is 1
 * @returns [R, D]
 */
export function residual(x: tf.Tensor2D, branch: tf.Tensor2D, keep?: tf.Tensor): tf.Tensor2D {
  if (keep === undefined) return tf.add(x, branch);
  return float32(() =>
    withGradient(
      [x, branch],
      () => ({
        value: fused("residual", () => tf.add(x, tf.mul(branch, keep)) as tf.Tensor2D),
        saved: [keep],
      }),
      (dy, [keep]) => [dy, fused("residualGrad", () => tf.mul(dy, keep))],
    ),
  );
}
