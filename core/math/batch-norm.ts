import * as tf from "@tensorflow/tfjs-core";
import { float32 } from "./ambient.ts";
import { stopGradient } from "./stop-gradient.ts";
import { withGradient } from "./with-gradient.ts";

/**
 * Takes the mean of this process's means over all processes, which hold equally many rows. Many machines then
 * normalise as one would with all the rows.
 */
export type ReduceMean = <T extends tf.Tensor>(localMean: T) => T;

/** Of each channel, over the batch at hand. */
export interface BatchMoments {
  /** [C] */
  readonly mean: tf.Tensor1D;
  /** [C], biased: the mean of the squared deviations. */
  readonly variance: tf.Tensor1D;
}

const onOneProcess: ReduceMean = (localMean) => localMean;

/** Mean and biased variance of each column of x [M, C] over all processes, in float32, without a gradient. */
export function batchMoments(x: tf.Tensor2D, reduce: ReduceMean = onOneProcess): BatchMoments {
  return float32(() => {
    const rows = stopGradient(x);
    const mean = reduce(tf.mean(rows, 0) as tf.Tensor1D);
    // Deviations from the common mean: E[x^2] - mean^2 would lose the variance of channels with a large mean.
    const variance = reduce(tf.mean(tf.square(tf.sub(rows, mean)), 0) as tf.Tensor1D);
    return { mean, variance };
  });
}

/**
 * Batch normalisation in training (arXiv 1502.03167, algorithm 1) of rows, in float32. With the batch's mean m
 * and variance v of each column:
 *
 *     n = (x - m) / sqrt(v + epsilon),   y = gamma n + beta
 *     dx = gamma (dy - mean(dy) - n mean(dy n)) / sqrt(v + epsilon)
 *     dgamma = sum over rows of dy n,   dbeta = sum over rows of dy   (of this process)
 *
 * @param x [M, C]
 * @param gamma [C]
 * @param beta [C]
 * @param options `reduce` also takes the means of the gradient; it is called outside the tape.
 * @returns y [M, C], and the moments for running statistics
 */
export function batchNorm(
  x: tf.Tensor2D,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  { epsilon = 1e-5, reduce = onOneProcess }: { epsilon?: number; reduce?: ReduceMean } = {},
): BatchMoments & { readonly y: tf.Tensor2D } {
  return float32(() => {
    const { mean, variance } = batchMoments(x, reduce);
    const y = withGradient(
      [x, gamma, beta],
      () => {
        const inverseStd = tf.rsqrt(tf.add(variance, epsilon));
        const normalised: tf.Tensor = tf.mul(tf.sub(x, mean), inverseStd);
        const value = tf.add(tf.mul(normalised, gamma), beta) as tf.Tensor2D;
        return { value, saved: [normalised, inverseStd, gamma] };
      },
      (dy, [normalised, inverseStd, gamma]) => {
        const along = tf.mul(dy, normalised);
        const means = reduce(tf.stack([tf.mean(dy, 0), tf.mean(along, 0)])); // [2, C]
        const [meanDy, meanAlong] = tf.unstack(means) as [tf.Tensor1D, tf.Tensor1D];
        const inner = tf.sub(tf.sub(dy, meanDy), tf.mul(normalised, meanAlong));
        return [tf.mul(inner, tf.mul(gamma, inverseStd)), tf.sum(along, 0), tf.sum(dy, 0)];
      },
    );
    return { y, mean, variance };
  });
}
