/** The health of a pixel relation (SERE, arXiv 2206.05184). */
import { float32, tf, type Tensor, type Tensor1D } from "../../core/plugin.ts";

/**
 * Mean entropy of a target's rows over its largest possible value ln T: 1 where a point relates to all points alike, 0
 * where to one alone. Pairs of crops without an overlap, whose rows are uniform, are left out.
 *
 * @param target [n, h, T, T]
 * @param overlaps [n] 1 or 0
 * @returns scalar, 0..1; 0 where nothing overlaps
 */
export function rowEntropy(target: Tensor, overlaps: Tensor1D): Tensor {
  return float32(() => {
    const points = target.shape[target.rank - 1]!;
    const terms = tf.mul(target, tf.neg(tf.log(tf.maximum(target, 1e-30))));
    const perPair = tf.mean(tf.reshape(tf.sum(terms, -1), [target.shape[0]!, -1]), 1); // [n]
    const mean = tf.div(tf.sum(tf.mul(perPair, overlaps)), tf.maximum(tf.sum(overlaps), 1));
    return tf.div(mean, Math.log(points));
  });
}
