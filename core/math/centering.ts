/** The teacher's side of a self-distillation over prototypes (DINO, arXiv 2104.14294, section 3.1). */
import * as tf from "@tensorflow/tfjs-core";
import { float32 } from "./ambient.ts";
import { temperedSoftmax } from "./cross-entropy.ts";

/**
 * The centered and sharpened distribution, in float32:  P_t = softmax((g_t - c) / tau_t).
 *
 * @param logits [R, K] g_t
 * @param center [1, K] c
 * @param temperature scalar tau_t
 */
export function teacherProbabilities(
  logits: tf.Tensor2D,
  center: tf.Tensor,
  temperature: tf.Tensor,
): tf.Tensor2D {
  return float32(() => temperedSoftmax(tf.sub(logits, center) as tf.Tensor2D, temperature));
}

/** c <- m c + (1 - m) mean(g_t), eq. 4; `batchMean` is the mean of the teacher's logits, [1, K]. */
export function nextCenter(center: tf.Tensor, batchMean: tf.Tensor, momentum: number): tf.Tensor {
  return tf.add(tf.mul(center, momentum), tf.mul(batchMean, 1 - momentum));
}
