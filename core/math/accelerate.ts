/**
 * Kernels that a backend may offer for a whole formula. They are optional: without them the portable body
 * runs. They have no gradient of their own, so call `accelerated` inside `withGradient`.
 *
 * | kernel                    | inputs                            | outputs                                     |
 * | ------------------------- | --------------------------------- | ------------------------------------------- |
 * | RelataLinear              | x [R, I], weight [O, I], bias [O] | x weight^T + bias [R, O]                    |
 * | RelataSoftmaxCrossEntropy | logits [R, K], labels [R, K]      | loss [R] = -sum_k labels log softmax,       |
 * |                           | (rows of labels sum to 1)         | its gradient [R, K] = softmax - labels      |
 * | RelataSquaredNorm         | x                                 | sum of x^2, a scalar                        |
 * | RelataAfter               | x, cause                          | x, not before cause is there                |
 *
 * None of them has attributes. RelataAfter is there while a step is traced only: elsewhere ops run in their order
 * anyway. RelataLinear is there because tf.fused.matMul hands its kernel reshaped copies of
 * rank 3, which a mixed-precision engine would cast a second time.
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
