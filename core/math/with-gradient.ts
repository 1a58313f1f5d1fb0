import * as tf from "@tensorflow/tfjs-core";
import { float32, isFloat32Island } from "./ambient.ts";

/**
 * An operation with an analytic gradient, on the tape as one node.
 *
 * @param inputs the tensors that get a gradient. `forward` may use others through its closure.
 * @param forward the value, and the tensors that `gradient` needs: what it takes from elsewhere may have been
 *   disposed of by then.
 * @param gradient from dL/dvalue and the saved tensors to dL/dinput, one per input and of its shape. It runs in
 *   a float32 island if the operation was made in one.
 */
export function withGradient<T extends tf.Tensor, const S extends readonly tf.Tensor[]>(
  inputs: readonly tf.Tensor[],
  forward: () => { value: T; saved: S },
  gradient: (dy: T, saved: S) => readonly tf.Tensor[],
): T {
  const inIsland = isFloat32Island();
  const operation = tf.customGrad<T>((...args) => {
    const { value, saved } = forward();
    const save = args[args.length - 1] as tf.GradSaveFunc; // comes after however many inputs there are
    save([...saved]);
    return {
      value,
      gradFunc: (dy, kept) => {
        const run = () => gradient(dy, kept as unknown as S);
        const gradients = inIsland ? float32(run) : run();
        // The tape disposes of gradients it has added up: never hand it the caller's dy.
        return gradients.map((g) => (g === dy ? tf.clone(g) : g));
      },
    };
  });
  return operation(...inputs);
}
