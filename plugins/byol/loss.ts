/** The loss of BYOL (arXiv 2006.07733, section 3.1). */
import { float32, l2Normalize, stopGradient, tf, type Tensor2D } from "../../core/plugin.ts";

/**
 * Each view's prediction regresses the teacher's projection of every other view, both made of length 1, eq. 2:
 *
 *   L = mean over v != w and samples of  |q_v / |q_v| - z_w / |z_w||^2  =  2 - 2 cos(q_v, z_w)
 *
 * @param predictions q of each of V at least 2 views, [B, D]: the student's
 * @param targets z of the same views, [B, D]: the teacher's
 * @returns scalar in 0..4; no gradient to the targets
 */
export function byolLoss(predictions: readonly Tensor2D[], targets: readonly Tensor2D[]): tf.Scalar {
  return float32(() => {
    const q = predictions.map((rows) => l2Normalize(rows));
    const z = targets.map((rows) => l2Normalize(stopGradient(rows)));
    const cosines = q.flatMap((own, v) =>
      z.filter((_, w) => w !== v).map((other) => tf.mean(tf.sum(tf.mul(own, other), 1))),
    );
    return tf.sub(2, tf.mul(2 / cosines.length, tf.addN(cosines))) as tf.Scalar;
  });
}
