/** The health of a channel relation (SERE, arXiv 2206.05184). */
import { float32, tf, type Tensor } from "../../core/plugin.ts";

/**
 * How many directions the features of an image use, from its relation R with eigenvalues l_i:
 *
 *   (sum l_i)^2 / sum l_i^2 = (tr R)^2 / |R|^2
 *
 * the participation ratio: 1 where all tokens are alike, at most the smaller of C and the number of tokens.
 *
 * @param relation [B, C, C]
 * @returns scalar, the mean over the images
 */
export function effectiveRank(relation: Tensor): Tensor {
  return float32(() => {
    const [batch, channels] = relation.shape as [number, number, number];
    const flat = tf.reshape(relation, [batch, channels * channels]);
    const diagonal = tf.stridedSlice(flat, [0, 0], [batch, channels * channels], [1, channels + 1]);
    const trace = tf.sum(diagonal, 1);
    return tf.mean(tf.div(tf.square(trace), tf.maximum(tf.sum(tf.square(flat), 1), 1e-30)));
  });
}
