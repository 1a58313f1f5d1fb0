/**
 * Kernels that a backend may offer for a whole formula. They are optional: without them the portable body
 * runs. They have no gradient of their own, so call `accelerated` inside `withGradient`.
 *
 * | kernel                     | inputs                        | attributes | outputs                                |
 * | -------------------------- | ----------------------------- | ---------- | -------------------------------------- |
 * | RelataSoftmaxCrossEntropy  | logits [R, K], labels [R, K]  | none       | loss [R] = -sum_k labels log softmax,  |
 * |                            | (rows of labels sum to 1)     |            | gradient [R, K] = softmax - labels     |
 */
import * as tf from "@tensorflow/tfjs-core";

/**
 * Runs the active backend's kernel of that name, or else `portable`.
 *
 * @returns the kernel's outputs, in the order of the table above.
 */
export function accelerated(
  kernelName: string,
  inputs: Readonly<Record<string, tf.Tensor>>,
  attributes: Readonly<Record<string, number | boolean | string>>,
  portable: () => tf.Tensor[],
): tf.Tensor[] {
  if (tf.getKernel(kernelName, tf.getBackend()) === undefined) return portable();
  const outputs: tf.Tensor | tf.Tensor[] = tf
    .engine()
    .runKernel(kernelName, { ...inputs }, { ...attributes });
  return Array.isArray(outputs) ? outputs : [outputs];
}
