/** What a classifier learns from labels that are smoothed and mixed. */
import { float32, softmaxCrossEntropy, tf, type Tensor1D, type Tensor2D } from "../../core/plugin.ts";

/**
 * With t(y) = (1 - epsilon) [k = y] + epsilon / C (section 7 of arXiv 1512.00567) and y'_i = y_(n-1-i), the label of the
 * image that the i-th is mixed with:
 *
 *   q_i = lambda_i t(y_i) + (1 - lambda_i) t(y'_i),   loss = -1/n sum_i sum_k q_ik log softmax(logits_i)_k
 *
 * and the accuracy counts a prediction as what part the predicted class has: lambda_i [c = y_i] + (1 - lambda_i) [c = y'_i].
 * Where a label is missing (-1), its part of both is left out; the loss stays divided by n, the accuracy is of what has
 * labels.
 *
 * @param logits [n, C]
 * @param labels [n] int32 in 0 … C - 1, or -1
 * @param shares [n] lambda, 1 where nothing is mixed
 */
export function mixedCrossEntropy(
  logits: Tensor2D,
  labels: Tensor1D,
  shares: Tensor1D,
  smoothing: number,
): { loss: tf.Scalar; accuracy: tf.Scalar } {
  return float32(() => {
    const [n, classes] = logits.shape;
    const predicted = tf.argMax(logits, 1);
    const part = (labels: Tensor1D, share: Tensor1D) => {
      const labelled = tf.cast(tf.greaterEqual(labels, tf.scalar(0, "int32")), "float32");
      const weight: Tensor1D = tf.mul(share, labelled);
      const known = tf.oneHot(tf.maximum(labels, tf.scalar(0, "int32")), classes);
      const smooth = tf.add(tf.mul(tf.cast(known, "float32"), 1 - smoothing), smoothing / classes);
      const right = tf.mul(weight, tf.cast(tf.equal(predicted, labels), "float32"));
      return { weight, target: tf.mul(tf.expandDims(weight, 1), smooth), right };
    };
    const own = part(labels, shares);
    const other = part(tf.reverse(labels, 0), tf.sub(1, shares));
    const weight = tf.add(own.weight, other.weight);
    // Rows of targets sum to 1, as the cross-entropy wants them, and weigh what they have of labels.
    const target = tf.div(tf.add(own.target, other.target), tf.expandDims(tf.maximum(weight, 1e-6), 1));
    const loss = tf.div(tf.sum(tf.mul(weight, softmaxCrossEntropy(target, logits))), n);
    const accuracy = tf.div(tf.sum(tf.add(own.right, other.right)), tf.maximum(tf.sum(weight), 1e-6));
    return { loss: loss as tf.Scalar, accuracy: accuracy as tf.Scalar };
  });
}
