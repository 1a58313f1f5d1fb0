/** The Gram loss of DINOv3 (arXiv 2508.10104, section 4.2) and the resampling of its targets (section 4.3). */
import {
  bicubicMatrix,
  constant,
  float32,
  gram as gramMatrix,
  l2Normalize,
  sampleFeatures,
  stopGradient,
  tf,
  type GridSize,
  type Tensor3D,
} from "../../core/plugin.ts";

/**
 * Features on another square grid: bicubic with A = -0.75, edge to edge, without antialiasing, as PyTorch's
 * `interpolate` with `align_corners=False`. On the same grid they are returned as they are.
 *
 *   out[a, b] = sum_ij R[a, i] C[b, j] features[i, j]
 *
 * @param features [n, rows * columns of `from`, D], row-major
 * @returns [n, rows * columns of `to`, D]
 */
export function resampleFeatures(features: Tensor3D, from: GridSize, to: GridSize): Tensor3D {
  if (from.rows === to.rows && from.columns === to.columns) return features;
  const [n] = features.shape;
  const weights = (own: number, other: number): Tensor3D => {
    const matrix = constant<tf.Rank.R3>(bicubicMatrix(own, other, other / own), [1, other, own]);
    return tf.tile(matrix, [n, 1, 1]);
  };
  return sampleFeatures(features, { y: weights(from.rows, to.rows), x: weights(from.columns, to.columns) });
}

/**
 * How alike the patches of an image are to each other agrees with how alike the Gram network finds them, eq. 2:
 *
 *   L = 1/n sum over images of |X_S X_S^T - X_G X_G^T|_F^2 / N^2,   rows of X of length 1
 *
 * @param student X_S, patches [n, N, D]; made of length 1 here, as the others
 * @param targets X_G, [n, N, D]
 * @returns scalar; no gradient to the targets
 */
export function gramLoss(student: Tensor3D, targets: Tensor3D): tf.Scalar {
  return float32(() => {
    const similarities = (x: Tensor3D) => gramMatrix(l2Normalize(x)); // [n, N, N]
    const difference = tf.sub(similarities(student), similarities(stopGradient(targets)));
    return tf.mean(tf.square(difference)) as tf.Scalar;
  });
}
