/** What a classifier of labelled samples learns from, and how often it is right. */
import { float32, softmaxCrossEntropy, tf, type Tensor1D, type Tensor2D } from "../../core/plugin.ts";

/**
 * Sums over the labelled samples, those with y_i >= 0, of which n of the B are:
 *
 *   loss = -1/B sum_i log softmax(logits_i)_{y_i},   accuracy = 1/n sum_i [argmax_c logits_ic = y_i]
 *
 * Divided by the constant B, the losses of a batch's parts have the loss of the whole as their mean, however the labels
 * are spread over them. Both are 0 where there are none.
 *
 * @param logits [B, C]
 * @param labels [B] int32 in 0 … C - 1, or -1
 */
export function classify(logits: Tensor2D, labels: Tensor1D): { loss: tf.Scalar; accuracy: tf.Scalar } {
  return float32(() => {
    const labelled = tf.cast(tf.greaterEqual(labels, 0), "float32");
    const total = (ofSamples: tf.Tensor) => tf.sum(tf.mul(ofSamples, labelled));
    const classes = tf.oneHot(tf.maximum(labels, tf.scalar(0, "int32")), logits.shape[1]);
    const right = tf.equal(tf.argMax(logits, 1), labels);
    return {
      loss: tf.div(total(softmaxCrossEntropy(tf.cast(classes, "float32"), logits)), labels.shape[0]),
      accuracy: tf.div(total(tf.cast(right, "float32")), tf.maximum(tf.sum(labelled), 1)),
    };
  });
}
