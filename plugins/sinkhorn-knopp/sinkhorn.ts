/** Balanced assignment of samples to prototypes (SwAV, arXiv 2006.09882, section 3.1). */
import {
  float32,
  stopGradient,
  tf,
  type BatchStatistics,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
} from "../../core/plugin.ts";

/** Log of the weight of a row that is none: nothing beside any logit, and finite when all rows are. */
const NOTHING = 1e30;

/**
 * What the teacher assigns each sample, such that over the batch all prototypes get as much (eq. 4 and 5):
 *
 *   Q_rk = u_r exp(g_rk / tau) v_k,   sum_r Q_rk = 1/K,   sum_k Q_rk = 1/R
 *
 * with u = 1 at first, and in turns v made such that the first sum holds and u such that the second does. The factors
 * 1/K and 1/R cancel in the last turn, which makes the rows sum to 1 instead of 1/R. So log v is a center of the
 * logits, like DINO's, but of the batch at hand: what is added to a prototype's logits of all rows has no effect.
 *
 * Everything is in logarithms, and each sum over rows is a log-sum-exp of one per process: no logit is too large.
 *
 * @param logits [R, K] of this process
 * @param temperature scalar
 * @param used [R] 0 for rows that are none, else 1
 * @param batch puts the rows of all processes together
 * @returns [R, K], rows sum to 1, also those that are not used; no gradient
 */
export function sinkhornKnopp({
  logits,
  temperature,
  used,
  iterations,
  batch,
}: {
  logits: Tensor2D;
  temperature: Tensor;
  used?: Tensor1D;
  iterations: number;
  batch: Pick<BatchStatistics, "gather">;
}): Tensor2D {
  return float32(() => {
    const g = tf.div(stopGradient(logits), temperature) as Tensor2D;
    const weightOf = used ? tf.mul(tf.expandDims(tf.sub(used, 1), 1), NOTHING) : tf.zeros([g.shape[0], 1]);
    let u: Tensor = weightOf; // [R, 1], log u_r
    let assigned = g; // [R, K], log of exp(g_rk / tau) v_k
    for (let i = 0; i < iterations; i++) {
      const ofRows = tf.logSumExp(tf.add(g, u), 0, true); // [1, K]
      assigned = tf.sub(g, tf.logSumExp(batch.gather(ofRows), 0, true));
      u = tf.sub(weightOf, tf.logSumExp(assigned, 1, true));
    }
    return tf.softmax(assigned);
  });
}
