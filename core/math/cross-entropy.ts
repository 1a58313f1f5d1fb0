import * as tf from "@tensorflow/tfjs-core";
import { accelerated } from "./accelerate.ts";
import { float32 } from "./ambient.ts";
import { withGradient } from "./with-gradient.ts";

/** softmax(logits / temperature) over the last axis, in float32: what a teacher's relation or logits are compared as. */
export function temperedSoftmax<T extends tf.Tensor>(logits: T, temperature: number | tf.Tensor): T {
  return float32(() => tf.softmax(tf.div(logits, temperature)));
}

/**
 * Cross-entropy of each row, in float32, without a gradient to the labels:
 *
 *     loss_r = -sum_k labels_rk log softmax(logits_r)_k
 *     dlogits_r = dloss_r (softmax(logits_r) - labels_r)
 *
 * @param labels [..., K] probabilities: rows sum to 1
 * @param logits [..., K], already divided by their temperature
 * @returns [R], R the number of rows
 * @throws Error if the shapes differ
 */
export function softmaxCrossEntropy(labels: tf.Tensor, logits: tf.Tensor): tf.Tensor1D {
  if (labels.shape.join() !== logits.shape.join()) {
    throw new Error(
      `softmaxCrossEntropy: labels [${labels.shape}] and logits [${logits.shape}] differ in shape`,
    );
  }
  const classes = logits.shape[logits.rank - 1] ?? 1;
  const asRows = (x: tf.Tensor) => (x.rank === 2 ? x : tf.reshape(x, [-1, classes])) as tf.Tensor2D;
  return float32(() => crossEntropyOfRows(asRows(labels), asRows(logits)));
}

function crossEntropyOfRows(labels: tf.Tensor2D, logits: tf.Tensor2D): tf.Tensor1D {
  return withGradient(
    [logits],
    () => {
      const [loss, gradient] = accelerated("RelataSoftmaxCrossEntropy", { logits, labels }, {}, () =>
        portableCrossEntropy(labels, logits),
      );
      return { value: loss as tf.Tensor1D, saved: [gradient as tf.Tensor] };
    },
    (dy, [gradient]) => [tf.mul(gradient, tf.expandDims(dy, 1))],
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
