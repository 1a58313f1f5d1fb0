/** Which patches the encoder sees, and taking tokens by place. */
import { constant, gatherRows, tf, type Tensor2D, type Tensor3D } from "../../core/plugin.ts";

/** How many of a view's patches the encoder sees: the whole part of N (1 - maskRatio). */
export function keptPatches(patches: number, maskRatio: number): number {
  // Of 100 patches 0.9 leaves 10, though 100 * (1 - 0.9) is a little less.
  return Math.floor(patches * (1 - maskRatio) + 1e-9);
}

/**
 * Some tokens of each sequence: out[r, m] = x[r, places[r, m]]. The gradient goes back to their places.
 *
 * @param x [R, T, D]
 * @param places [R, M] int32, each in 0 … T - 1
 * @returns [R, M, D]
 */
export function tokensAt(x: Tensor3D, places: Tensor2D): Tensor3D {
  const [R, T, D] = x.shape;
  const first = constant(
    Int32Array.from({ length: R }, (_, r) => r * T),
    [R, 1],
  );
  const rows: tf.Tensor1D = tf.reshape(tf.add(places, first), [-1]);
  return tf.reshape(gatherRows(tf.reshape(x, [R * T, D]), rows), [R, places.shape[1], D]);
}

/**
 * The tokens in front of the patches, and the kept patches.
 *
 * @param tokens [R, front + N, D]
 * @param kept [R, K] int32, each in 0 … N - 1
 * @returns [R, front + K, D]
 */
export function keepPatches(tokens: Tensor3D, kept: Tensor2D, front: number): Tensor3D {
  const length = front + kept.shape[1];
  // The front is 0, 1, …; patch n is front + n.
  const offsets = constant(
    Int32Array.from({ length }, (_, i) => Math.min(i, front)),
    [1, length],
  );
  return tokensAt(tokens, tf.add(tf.pad(kept, [[0, 0], [front, 0]]), offsets)); // prettier-ignore
}
