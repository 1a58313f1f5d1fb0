import * as tf from "@tensorflow/tfjs-core";
import { accelerated } from "./accelerate.ts";

/**
 * x, for use when `cause` is there: what is computed of it is not computed, nor merged with its like, before. Without a
 * gradient.
 */
export function after<T extends tf.Tensor>(x: T, cause: tf.Tensor): T {
  return accelerated("RelataAfter", { x, cause }, {}, () => [tf.clone(x)])[0] as T;
}
