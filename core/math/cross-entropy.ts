import * as tf from "@tensorflow/tfjs-core";
import { accelerated } from "./accelerate.ts";
import { float32 } from "./ambient.ts";
import { withGradient } from "./with-gradient.ts";

/**
 * Cross-entropy of each row, in float32, without a gradient to the labels:
 *
 *   loss_r = -sum_k labels_rk log softmax(logits_r)_k
 *   dlogits_r = dloss_r (softmax(logits_r) - labels_r)
 *
 * @param labels [R, K] probabilities: rows sum to 1
 * @param logits [R, K], already divided by their temperature
 * @returns [R]
 */
export function softmaxCrossEntropy(labels: tf.Tensor2D, logits: tf.Tensor2D): tf.Tensor1D {
  return float32(() =>
    withGradient(
      [logits],
      () => {
        const [loss, gradient] = accelerated("RelataSoftmaxCrossEntropy", { logits, labels }, {}, () =>
          portableCrossEntropy(labels, logits),
        );
        return { value: loss as tf.Tensor1D, saved: [gradient as tf.Tensor] };
      },
      (dy, [gradient]) => [tf.mul(gradient, tf.expandDims(dy, 1))],
    ),
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
 *   mean over rows of -sum_k softmax(teacher)_k log softmax(student)_k
 *
 * @param teacherLogits [..., K]
 * @param studentLogits [..., K]
 * @returns a scalar
 * @throws Error if the shapes differ
 */
export function crossEntropy(teacherLogits: tf.Tensor, studentLogits: tf.Tensor): tf.Scalar {
  if (teacherLogits.shape.join() !== studentLogits.shape.join()) {
    throw new Error(
      `crossEntropy: teacher logits [${teacherLogits.shape}] and student logits [${studentLogits.shape}] differ in shape`,
    );
  }
  const classes = studentLogits.shape[studentLogits.rank - 1] ?? 1;
  const labels = float32(() => tf.softmax(tf.reshape(teacherLogits, [-1, classes])));
  return tf.mean(softmaxCrossEntropy(labels as tf.Tensor2D, tf.reshape(studentLogits, [-1, classes])));
}
