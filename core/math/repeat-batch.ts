import * as tf from "@tensorflow/tfjs-core";
import { withGradient } from "./with-gradient.ts";

/**
 * The same rows for every sample, for class and register tokens. `tf.tile` alone would build its gradient from
 * one slice and one addition per sample.
 *
 * @param x [1, ...]
 * @returns [batch, ...];   dx = sum over the batch of dy
 */
export function repeatBatch<T extends tf.Tensor>(x: T, batch: number): T {
  return withGradient<T, []>(
    [x],
    () => ({ value: tf.tile(x, [batch, ...new Array<number>(x.rank - 1).fill(1)]), saved: [] }),
    (dy) => [tf.sum(dy, 0, true)],
  );
}
