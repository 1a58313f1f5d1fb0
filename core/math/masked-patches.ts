/** What methods that mask patches have in common. */
import * as tf from "@tensorflow/tfjs-core";
import { float32 } from "./ambient.ts";

/**
 * A token in the place of the masked patches.
 *
 * @param patchTokens [B, N, D]
 * @param cells [B, N] 1 where masked, else 0
 * @param token [1, D]
 * @returns [B, N, D]
 */
export function replaceMasked(patchTokens: tf.Tensor3D, cells: tf.Tensor2D, token: tf.Tensor): tf.Tensor3D {
  const masked = tf.expandDims(cells, 2); // [B, N, 1]
  return tf.add(tf.mul(patchTokens, tf.sub(1, masked)), tf.mul(token, masked));
}

/**
 * Weight of each masked row in a loss: images count alike, however many of their patches are masked, and one without
 * any counts with 0.
 *
 *   1 / (B max(1, number of masked patches of the image))
 *
 * @param masked of a step: cells [B, N], rows [M] and used [M]
 * @returns [M], 0 for unused rows
 */
export function patchWeights({
  cells,
  rows,
  used,
}: {
  readonly cells: tf.Tensor2D;
  readonly rows: tf.Tensor1D;
  readonly used: tf.Tensor1D;
}): tf.Tensor1D {
  return float32(() => {
    const images = cells.shape[0];
    const counts = tf.maximum(tf.sum(cells, 1, true), 1); // [B, 1]
    const ofCells = tf.div(cells, tf.mul(counts, images));
    return tf.mul(tf.gather(tf.reshape(ofCells, [-1]), rows), used);
  });
}
