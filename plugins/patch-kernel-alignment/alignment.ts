/** Centered kernel alignment of patches (PaKA, arXiv 2509.05606; CKA: Kornblith et al., arXiv 1905.00414). */
import {
  float32,
  l2Normalize,
  stopGradient,
  tf,
  type Tensor,
  type Tensor1D,
  type Tensor3D,
} from "../../core/plugin.ts";

/**
 * The mean square by which features must differ, of their own, for |HKH| to count as length 1. Those of smooth images or
 * tiny overlaps that differ by less, a hundredth of their length, are taken for the more alike the less they do.
 */
const LEAST_DIFFERENCE = 1e-4;

/**
 * Features whose inner products keep what tells them apart: what the alignment takes no notice of is taken out before
 * float32 rounds it into the products.
 *
 *   (x_i - mean x) / sqrt(mean |x|^2), means over the patches, without a gradient
 *
 * @param features [B, N, D]
 * @returns [B, N, D]
 */
export function centeredFeatures(features: Tensor3D): Tensor3D {
  return float32(() => {
    const fixed = stopGradient(features);
    const squares: Tensor = tf.sum(tf.square(fixed), 2, true);
    const inverseLength = tf.rsqrt(tf.maximum(tf.mean(squares, 1, true), 1e-30));
    return tf.mul(tf.sub(features, tf.mean(fixed, 1, true)), inverseLength);
  });
}

/**
 * What two kernels are compared as, the centered kernel of length 1:
 *
 *   HKH / |HKH|_F,   H = I - 1/T 1 1^T
 *
 * It is the same for features that are moved, turned or scaled. Equal features give 0, with a finite gradient.
 *
 * @param kernel [..., T, T], K = X X^T of `centeredFeatures`
 * @returns [..., T, T]
 */
export function centeredKernel(kernel: Tensor): Tensor {
  return float32(() => {
    const points = kernel.shape.at(-1)!;
    const ofRows = tf.mean(kernel, -1, true);
    const ofColumns = tf.mean(kernel, -2, true);
    const ofAll = tf.mean(ofRows, -2, true);
    const centered = tf.add(tf.sub(tf.sub(kernel, ofRows), ofColumns), ofAll); // H K H
    const flat = tf.reshape(centered, [-1, points ** 2]);
    return tf.reshape(l2Normalize(flat, LEAST_DIFFERENCE * points), kernel.shape);
  });
}

/**
 * How far the student's kernel is from the teacher's:
 *
 *   L = 1 - CKA,   CKA = <H K_t H, H K_s H>_F / (|H K_t H|_F |H K_s H|_F)
 *
 * @param target [..., T, T] the teacher's `centeredKernel`; gets no gradient
 * @param kernel [..., T, T] the student's kernel K_s
 * @returns [...] 0..1 each: 0 for equal structure, 1 where one of the two has none
 */
export function alignmentLoss(target: Tensor, kernel: Tensor): Tensor {
  return float32(() => tf.sub(1, tf.sum(tf.mul(stopGradient(target), centeredKernel(kernel)), [-2, -1])));
}

/**
 * How many directions the teacher's features of an image use, from its centered kernel with eigenvalues l_i:
 *
 *   (sum l_i)^2 / sum l_i^2 = (tr HKH)^2 / |HKH|^2
 *
 * @param target [n, ..., T, T] of `centeredKernel`
 * @returns [n], of each pair of crops: 1..T - 1, less where features hardly differ
 */
export function effectiveRank(target: Tensor): Tensor1D {
  return float32(() => {
    const pairs = target.shape[0]!;
    const points = target.shape.at(-1)!;
    const flat = tf.reshape(target, [-1, points ** 2]);
    const diagonal = tf.stridedSlice(flat, [0, 0], flat.shape, [1, points + 1]);
    return tf.mean(tf.reshape(tf.square(tf.sum(diagonal, 1)), [pairs, -1]), 1);
  });
}

/**
 * The mean of what pairs of crops have, over those that overlap in any of several comparisons; 0 where none does.
 *
 * @param values [n] each
 * @param overlaps [n] each, 1 or 0
 */
export function meanOfOverlapping(values: readonly Tensor1D[], overlaps: readonly Tensor1D[]): Tensor {
  const all = tf.concat([...overlaps]);
  return tf.div(tf.sum(tf.mul(tf.concat([...values]), all)), tf.maximum(tf.sum(all), 1));
}
