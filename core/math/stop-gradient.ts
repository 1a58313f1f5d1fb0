import * as tf from "@tensorflow/tfjs-core";
import { withGradient } from "./with-gradient.ts";

/**
 * y = x, with no gradient to x. The tape sees an operation without inputs, so nothing in front of it is
 * differentiated (multiplying by a gradient of zeros would cost the whole backward pass).
 */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  return withGradient<T, []>(
    [],
    () => ({ value: tf.clone(x), saved: [] }),
    () => [],
  );
}
