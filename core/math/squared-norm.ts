import * as tf from "@tensorflow/tfjs-core";
import { accelerated } from "./accelerate.ts";

/** sum of x^2 over all elements, a scalar in float32; for values, not differentiated. */
export function squaredNorm(x: tf.Tensor): tf.Scalar {
  const [norm] = accelerated("RelataSquaredNorm", { x }, {}, () => [tf.sum(tf.square(x))]);
  return norm as tf.Scalar;
}
