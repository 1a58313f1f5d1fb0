import * as tf from "@tensorflow/tfjs-core";
import { constant } from "./ambient.ts";
import { withGradient } from "./with-gradient.ts";

/**
 * Rows in another order: out[i] = x[order[i]]. The gradient is the inverse order, so each row is taken once.
 *
 * @param x [R, ...]
 * @param order a permutation of 0 … R - 1
 * @throws Error if it is none
 */
export function permuteRows<T extends tf.Tensor>(x: T, order: Int32Array): T {
  const inverse = new Int32Array(order.length).fill(-1);
  order.forEach((row, i) => (inverse[row] = i));
  if (order.length !== x.shape[0] || inverse.includes(-1)) {
    throw new Error(`permuteRows: ${order.length} indices are no permutation of the rows of [${x.shape}]`);
  }
  const take = (rows: tf.Tensor, by: Int32Array) => tf.gather(rows, constant(by, [by.length]));
  return withGradient<T, []>(
    [x],
    () => ({ value: take(x, order) as T, saved: [] }),
    (dy) => [take(dy, inverse)],
  );
}

/**
 * Chosen rows: out[i] = x[rows[i]].   dx[r] = sum over the i with rows[i] = r of dy[i]
 *
 * @param x [R, ...]
 * @param rows [M] int32, each in 0 … R - 1; rows may occur several times
 * @returns [M, ...]
 */
export function gatherRows<T extends tf.Tensor>(x: T, rows: tf.Tensor1D): T {
  return withGradient(
    [x],
    () => ({ value: tf.gather(x, rows) as T, saved: [rows] }),
    (dy, [rows]) => [tf.unsortedSegmentSum(dy, rows, x.shape[0]!)],
  );
}

/**
 * Tokens of any of the sequences, by their row among all: out[i] is the row rows[i] of x as [B * T, D].
 *
 * @param x [B, T, D]
 * @param rows [M] int32, each in 0 … B * T - 1
 * @returns [M, D]
 */
export function gatherTokens(x: tf.Tensor3D, rows: tf.Tensor1D): tf.Tensor2D {
  const [B, T, D] = x.shape;
  return gatherRows<tf.Tensor2D>(tf.reshape(x, [B * T, D]), rows);
}
