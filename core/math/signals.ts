/** What tells a run that learns from one that collapses: figures of features, targets and relations. */
import * as tf from "@tensorflow/tfjs-core";
import { float32 } from "./ambient.ts";
import { l2Normalize } from "./normalize.ts";

/** Below any probability that counts, above the smallest float32. */
const LEAST = 1e-30;

/**
 * How far the features of different images lie apart: the standard deviation of L2-normalised features z over the
 * images, per channel, as the root of the mean variance (the collapse figure of SimSiam, arXiv 2011.10566, section 4.1):
 *
 *   sqrt(1/D sum_d var_b z_bd),   the variance with B - 1
 *
 * @param features [views * B, D], view-major; views are measured apart, so that two views of an image are no two images
 * @returns scalar: 0 where all images have the same feature, about 1/sqrt(D) where they point everywhere
 * @throws Error for fewer than two images
 */
export function featureStd(features: tf.Tensor2D, views: number): tf.Scalar {
  const [rows, width] = features.shape;
  const images = rows / views;
  if (images < 2)
    throw new Error(`featureStd: [${features.shape}] in ${views} views are fewer than two images`);
  return float32(() => {
    const z = tf.reshape(l2Normalize(features), [views, images, width]);
    const apart = tf.sub(z, tf.mean(z, 1, true));
    return tf.sqrt(tf.mul(tf.mean(tf.square(apart)), images / (images - 1)));
  });
}

/**
 * Entropy of each distribution, in nats:  -sum_k p_k ln p_k
 *
 * @param probabilities [..., K], rows sum to 1
 * @returns [...], 0 … ln K
 */
export function entropy(probabilities: tf.Tensor): tf.Tensor {
  return float32(() => tf.neg(tf.sum(tf.mul(probabilities, tf.log(tf.maximum(probabilities, LEAST))), -1)));
}

/**
 * How much a sample's relation differs from the mean of all, over the size of that mean:
 *
 *   sqrt(sum_ij var_n R_nij / sum_ij (mean_n R_nij)^2)
 *
 * @param relation [n, ...]
 * @param counted [n] 1 for samples that count, else 0; without it all do
 * @returns scalar: 0 where all samples have the same relation, or none counts
 */
export function relationVariation(relation: tf.Tensor, counted?: tf.Tensor1D): tf.Scalar {
  return float32(() => {
    const samples = relation.shape[0]!;
    const flat = tf.reshape(relation, [samples, -1]) as tf.Tensor2D;
    const weights = tf.reshape(counted ?? tf.ones([samples]), [1, samples]);
    const number = tf.maximum(tf.sum(weights), 1);
    const mean = tf.div(tf.matMul(weights as tf.Tensor2D, flat), number); // [1, ...]
    const apart = tf.sum(tf.square(tf.sub(flat, mean)), 1); // [n]
    const variance = tf.div(tf.sum(tf.mul(apart, tf.reshape(weights, [samples]))), number);
    return tf.sqrt(tf.div(variance, tf.maximum(tf.sum(tf.square(mean)), LEAST)));
  });
}

/** Figures of distributions over K prototypes. */
export interface TargetSignals {
  /** Mean entropy of the targets over ln K: 0 where each names one prototype, 1 where each is uniform. */
  readonly targetEntropy: tf.Tensor;
  /** KL(teacher || student) in nats, the mean over the targets; 0 where the student has nothing left to learn. */
  readonly klDivergence: tf.Tensor;
  /** Prototypes that are the largest of some target, over as many as could be: min(K, targets). */
  readonly prototypesUsed: tf.Tensor;
  /** The effective number of prototypes, exp of the entropy of the mean target: 1 … K. */
  readonly prototypePerplexity: tf.Tensor;
}

/** What the figures are of. */
export interface TargetSignalsOf {
  /** [R, K] the teacher's distributions. */
  readonly targets: tf.Tensor2D;
  /** Scalar, the mean of H(teacher, student) over the same targets. */
  readonly crossEntropy: tf.Tensor;
  /** [R] 0 for rows that are none, else 1; without it all rows are targets. */
  readonly used?: tf.Tensor1D;
}

/** Figures of a teacher's targets. */
export function targetSignals({ targets, crossEntropy, used }: TargetSignalsOf): TargetSignals {
  return float32(() => {
    const [rows, prototypes] = targets.shape;
    const weights = used ?? tf.ones<tf.Rank.R1>([rows]);
    const number = tf.maximum(tf.sum(weights), 1);
    const meanEntropy = tf.div(tf.sum(tf.mul(entropy(targets), weights)), number);
    const mean = tf.div(tf.matMul(tf.reshape(weights, [1, rows]), targets), number);
    const largest = tf.cast(tf.argMax(targets, 1), "int32") as tf.Tensor1D;
    const votes = tf.unsortedSegmentSum(weights, largest, prototypes);
    const voted = tf.sum(tf.cast(tf.greater(votes, 0), "float32"));
    return {
      targetEntropy: tf.div(meanEntropy, Math.log(Math.max(2, prototypes))),
      klDivergence: tf.sub(crossEntropy, meanEntropy),
      prototypesUsed: tf.div(voted, tf.minimum(number, prototypes)),
      prototypePerplexity: tf.exp(tf.reshape(entropy(mean), [])),
    };
  });
}
