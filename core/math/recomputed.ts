import type * as tf from "@tensorflow/tfjs-core";
import { after } from "./after.ts";
import { innerGradients } from "./inner-gradients.ts";
import { withGradient } from "./with-gradient.ts";

/**
 * `compute(x, weights, fixed)`, which keeps nothing of its inside for the gradient but computes it again (arXiv 1604.06174):
 * memory for time.
 *
 * @param weights what else gets a gradient; the result depends on each
 * @param fixed what else `compute` reads, without a gradient: nothing through its closure, which may be gone by then
 */
export function recomputed<X extends tf.Tensor, Y extends tf.Tensor>(
  x: X,
  weights: readonly tf.Tensor[],
  fixed: readonly tf.Tensor[],
  compute: (x: X, weights: readonly tf.Tensor[], fixed: readonly tf.Tensor[]) => Y,
): Y {
  return withGradient<Y, tf.Tensor[]>(
    [x, ...weights],
    () => ({ value: compute(x, weights, fixed), saved: [x, ...weights, ...fixed] }),
    (dy, [x, ...others]) => {
      const count = others.length - fixed.length;
      const [weights, kept] = [others.slice(0, count), others.slice(count)];
      const again = (x: tf.Tensor, ...weights: tf.Tensor[]) => compute(x as X, weights, kept);
      return innerGradients(again, [after(x!, dy), ...weights], dy).gradients;
    },
  );
}
