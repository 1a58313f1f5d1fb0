/** Targets and loss of data2vec (arXiv 2202.03555, sections 3.3 and 3.4). */
import { float32, layerNorm, stopGradient, tf, type Tensor1D, type Tensor2D } from "../../core/plugin.ts";

/** PyTorch's of a layer norm. */
const EPSILON = 1e-5;

/**
 * The mean of the top K blocks' outputs, each normalised before, so that none outweighs the others:
 *
 *   y_t = 1/K sum over blocks of LN(a_t),   LN(a) = (a - mean(a)) / sqrt(var(a) + 1e-5) over the features
 *
 * @param blocks K times [M, D]
 * @param normalize whether the mean is normalised once more
 * @returns [M, D], without a gradient
 */
export function blockTargets(blocks: readonly Tensor2D[], normalize: boolean): Tensor2D {
  return float32(() => {
    const mean = tf.div(tf.addN(blocks.map(normalised)), blocks.length) as Tensor2D;
    return stopGradient(normalize ? normalised(mean) : mean);
  });
}

function normalised(rows: Tensor2D): Tensor2D {
  const D = rows.shape[1];
  return layerNorm(rows, tf.ones([D]), tf.zeros([D]), EPSILON);
}

/**
 * Smooth L1: squared where target and prediction are within beta of each other, linear beyond.
 *
 *   l(d) = d^2 / (2 beta) for d <= beta, else d - beta / 2,   d = |y - f|
 *   L = sum over rows of weight * mean over features of l
 *
 * @param targets [M, D]
 * @param predictions [M, D]
 * @param weights [M] of `patchWeights`
 * @returns scalar
 */
export function data2vecLoss({
  targets,
  predictions,
  weights,
  beta,
}: {
  targets: Tensor2D;
  predictions: Tensor2D;
  weights: Tensor1D;
  beta: number;
}): tf.Scalar {
  return float32(() => {
    const distance = tf.abs(tf.sub(targets, predictions));
    const near = tf.clipByValue(distance, 0, beta); // both cases are near (d - near / 2) / beta
    const losses = tf.div(tf.mul(near, tf.sub(distance, tf.div(near, 2))), beta);
    return tf.sum(tf.mul(tf.mean(losses, 1), weights)) as tf.Scalar;
  });
}
