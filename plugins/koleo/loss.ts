/** The KoLeo regulariser (Sablayrolles et al., arXiv 1806.03198, eq. 2), as DINOv2 (arXiv 2304.07193) uses it. */
import {
  constant,
  float32,
  gatherRows,
  l2Normalize,
  stopGradient,
  tf,
  type Tensor2D,
} from "../../core/plugin.ts";

/** Added to differences and distances: equal rows have a distance, and a gradient. */
const EPSILON = 1e-8;

/**
 * Features spread evenly over the sphere have the largest differential entropy (Kozachenko and Leonenko):
 *
 *   L = -1/n sum_i log d_i,   d_i = min_{j != i} |x_i - x_j|,   x of length 1
 *
 * @param features [n, D], n at least 2; made of length 1 here
 * @returns scalar; the gradient reaches both sides of each distance
 * @throws Error for a single row
 */
export function koleoLoss(features: Tensor2D): tf.Scalar {
  const [n] = features.shape;
  if (n < 2) throw new Error("koleoLoss: one row has no neighbour");
  return float32(() => {
    const x = l2Normalize(features);
    const fixed = stopGradient(x);
    const self = constant(
      Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 4 : 0)),
      [n, n],
    );
    const nearest = tf.argMax(tf.sub(tf.matMul(fixed, fixed, false, true), self), 1); // [n]
    const apart = tf.add(tf.sub(x, gatherRows(x, tf.cast(nearest, "int32") as tf.Tensor1D)), EPSILON);
    const distance = tf.sqrt(tf.sum(tf.square(apart), 1));
    return tf.neg(tf.mean(tf.log(tf.add(distance, EPSILON)))) as tf.Scalar;
  });
}
