import * as tf from "@tensorflow/tfjs-core";

/**
 * The value of `compute(...inputs)` and its gradients to them, inside an operation's own forward or backward pass: there
 * tfjs records nothing, or clears what the gradient around it still needs.
 */
export function innerGradients<Y extends tf.Tensor>(
  compute: (...inputs: tf.Tensor[]) => Y,
  inputs: readonly tf.Tensor[],
  dy?: Y,
): { value: Y; gradients: tf.Tensor[] } {
  const { state } = tf.engine();
  const { activeTape, gradientDepth, kernelDepth } = state;
  Object.assign(state, { gradientDepth: 0, kernelDepth: 0 });
  try {
    const { value, grads } = tf.valueAndGrads(compute)([...inputs], dy);
    return { value: value as Y, gradients: grads };
  } finally {
    Object.assign(state, { activeTape, gradientDepth, kernelDepth });
  }
}
