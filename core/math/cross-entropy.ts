import * as tf from "@tensorflow/tfjs-core";
import { accelerated } from "./accelerate.ts";
import { float32 } from "./ambient.ts";
import { fused } from "./fused.ts";
import { withGradient } from "./with-gradient.ts";

/** softmax(logits / temperature) over the last axis, in float32: what a teacher's relation or logits are compared as. */
export function temperedSoftmax<T extends tf.Tensor>(logits: T, temperature: number | tf.Tensor): T {
  return float32(() => tf.softmax(tf.div(logits, temperature)));
}

/** `temperedCrossEntropy` at the temperature 1: of logits that were divided by theirs, or have none. */
export function softmaxCrossEntropy(labels: tf.Tensor, logits: tf.Tensor): tf.Tensor1D {
  return temperedCrossEntropy(labels, logits, 1);
}

/**
 * Cross-entropy of each row, in float32, without a gradient to the labels and to the temperature. With that as T:
 *
 *     loss_r = -sum_k labels_rk log softmax(logits_r / T)_k
 *     dlogits_r = dloss_r (softmax(logits_r / T) - labels_r) / T
 *
 * @param labels [..., K] probabilities: rows sum to 1
 * @param logits [..., K]
 * @param temperature above 0, a number or a scalar
 * @returns [R], R the number of rows
 * @throws Error if the shapes differ
 */
export function temperedCrossEntropy(
  labels: tf.Tensor,
  logits: tf.Tensor,
  temperature: number | tf.Tensor,
): tf.Tensor1D {
  if (labels.shape.join() !== logits.shape.join()) {
    throw new Error(
      `temperedCrossEntropy: labels [${labels.shape}] and logits [${logits.shape}] differ in shape`,
    );
  }
  const classes = logits.shape[logits.rank - 1] ?? 1;
  const asRows = (x: tf.Tensor) => (x.rank === 2 ? x : tf.reshape(x, [-1, classes])) as tf.Tensor2D;
  return float32(() => crossEntropyOfRows(asRows(labels), asRows(logits), temperature));
}

function crossEntropyOfRows(
  labels: tf.Tensor2D,
  rows: tf.Tensor2D,
  temperature: number | tf.Tensor,
): tf.Tensor1D {
  const inverse = tf.div(1, temperature);
  return withGradient(
    [rows],
    () => {
      const logits = fused("temper", () => tf.mul(rows, inverse) as tf.Tensor2D);
      const [loss, gradient] = accelerated("RelataSoftmaxCrossEntropy", { logits, labels }, {}, () =>
        portableCrossEntropy(labels, logits),
      );
      return { value: loss as tf.Tensor1D, saved: [gradient as tf.Tensor, inverse] };
    },
    (dy, [gradient, inverse]) => [
      fused("crossEntropyGrad", () => tf.mul(gradient, tf.mul(tf.expandDims(dy, 1), inverse))),
    ],
  );
}

function portableCrossEntropy(labels: tf.Tensor2D, logits: tf.Tensor2D): tf.Tensor[] {
  const logProbabilities = tf.sub(logits, tf.logSumExp(logits, 1, true));
  const loss = tf.neg(tf.sum(tf.mul(labels, logProbabilities), 1));
  return [loss, tf.sub(tf.exp(logProbabilities), labels)];
}

/**
 * Mean cross-entropy between the softmax distributions of two equally shaped tensors over their last axis. The
 * teacher's side gets no gradient. Divide by the temperatures and subtract the center before.
 *
 *     mean over rows of -sum_k softmax(teacher)_k log softmax(student)_k
 *
 * @param teacherLogits [..., K]
 * @param studentLogits [..., K]
 * @returns a scalar
 * @throws Error if the shapes differ
 */
export function crossEntropy(teacherLogits: tf.Tensor, studentLogits: tf.Tensor): tf.Scalar {
  const labels = float32(() => tf.softmax(teacherLogits));
  return tf.mean(softmaxCrossEntropy(labels, studentLogits));
}
