/**
 * Two declarations about the code that runs inside them. They change no value by themselves: an engine that
 * captures the step reads them, every other tfjs backend runs the code as it is.
 */
import * as tf from "@tensorflow/tfjs-core";

let islandDepth = 0;

/**
 * Runs `fn` in a float32 island: an engine in mixed precision places no bf16 cast on what it computes. The
 * gradients of operations made by `withGradient` inside `fn` run in an island too.
 */
export function float32<T>(fn: () => T): T {
  islandDepth++;
  try {
    return fn();
  } finally {
    islandDepth--;
  }
}

/** Whether the code that asks runs inside `float32`. */
export function isFloat32Island(): boolean {
  return islandDepth > 0;
}

const declaredConstants = new WeakSet<ArrayBufferView>();

/**
 * A tensor of values that are the same in every step, such as an interpolation matrix. A captured step freezes
 * every JavaScript number into the graph; an engine refuses large ones that were not declared here, because
 * they are usually a value of one step by mistake.
 *
 * @param values its own array, not changed afterwards; `shape` must hold as many elements.
 */
export function constant<R extends tf.Rank = tf.Rank>(
  values: Float32Array | Int32Array,
  shape: readonly number[],
): tf.Tensor<R> {
  declaredConstants.add(values);
  const dtype = values instanceof Int32Array ? "int32" : "float32";
  return tf.tensor<R>(values, [...shape] as tf.ShapeMap[R], dtype);
}

/** Whether a typed array was handed to `constant`. */
export function isDeclaredConstant(values: unknown): boolean {
  return ArrayBuffer.isView(values) && declaredConstants.has(values);
}
