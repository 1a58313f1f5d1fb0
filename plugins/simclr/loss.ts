/** NT-Xent, the normalised temperature-scaled cross-entropy of SimCLR (arXiv 2002.05709, section 2.1). */
import { float32, softmaxCrossEntropy, tf, type Tensor2D } from "../../core/plugin.ts";

/** Taken off the similarity of a row with itself: its exponential is 0. */
const EXCLUDED = 1e9;

/** Projections, and what they are projections of. */
export interface Projections {
  /** [R, D] of length 1, so that their products are cosines. */
  readonly z: Tensor2D;
  /** [R, 2] int32: the sample and the view of each row. Rows of equal ones are the same. */
  readonly origins: Tensor2D;
}

/** A process's R rows against the M rows of all processes. */
export interface Contrast {
  /** [R, M] sim(z_i, z_k) / tau, and next to nothing where k is i. */
  readonly logits: Tensor2D;
  /** [R, M] probabilities: the same for every other view of row i's sample, else 0. */
  readonly positives: Tensor2D;
}

/**
 * Compares each row with every row of the batch, in float32. Who is who is told by sample and view, not by position: a
 * process need not know which of all rows are its own, and an image that is in the batch twice is no negative of itself.
 *
 * @param own of this process: V at least 2 views of each sample
 * @param all of all processes, gathered with their gradient
 * @param temperature tau
 */
export function contrast(own: Projections, all: Projections, temperature: number): Contrast {
  return float32(() => {
    const [rows, columns] = [own.z.shape[0], all.z.shape[0]];
    const same = (part: number) =>
      tf.equal(
        tf.slice(own.origins, [0, part], [rows, 1]),
        tf.reshape(tf.slice(all.origins, [0, part], [columns, 1]), [1, columns]),
      );
    const [sameSample, sameView] = [same(0), same(1)];
    const self = tf.cast(tf.logicalAnd(sameSample, sameView), "float32");
    const others = tf.cast(tf.logicalAnd(sameSample, tf.logicalNot(sameView)), "float32");
    const similarities = tf.matMul(own.z, all.z, false, true);
    return {
      logits: tf.sub(tf.div(similarities, temperature), tf.mul(self, EXCLUDED)),
      positives: tf.div(others, tf.sum(others, 1, true)),
    };
  });
}

/**
 * Eq. 1 over all ordered pairs (i, j) of different views of a sample, i one of this process's rows:
 *
 *   L = mean over pairs of  -log ( exp(sim(z_i, z_j) / tau) / sum_{k != i} exp(sim(z_i, z_k) / tau) )
 *
 * @returns scalar. Its mean over the processes is the loss of the whole batch, and so is the gradient, as far as it
 *   flows back through `gather` to the processes of the rows z_k.
 */
export function ntXent({ logits, positives }: Contrast): tf.Scalar {
  return float32(() => tf.mean(softmaxCrossEntropy(positives, logits)));
}

/** The part of the rows whose nearest row is a view of their own sample: scalar in 0..1, without a gradient. */
export function nearestIsPositive({ logits, positives }: Contrast): tf.Scalar {
  const nearest = tf.oneHot(tf.argMax(logits, 1), logits.shape[1], 1, 0, "float32");
  return tf.mean(tf.cast(tf.greater(tf.sum(tf.mul(nearest, positives), 1), 0), "float32"));
}
