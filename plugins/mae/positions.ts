/** Fixed positions of patches: sines and cosines of both coordinates (MAE, arXiv 2111.06377, appendix A.1). */
import { constant, tf, type Tensor2D, type Tensor3D, type TokenGrid } from "../../core/plugin.ts";

/**
 * With w_k = 10000^(-4 k / dim), k = 0 … dim / 4 - 1, the patch in column x and row y has
 *
 *   [sin x w | cos x w | sin y w | cos y w]
 *
 * @param dim a multiple of 4
 * @returns [rows * columns, dim], row-major
 */
export function sinCosPositions({ rows, columns }: Omit<TokenGrid, "stride">, dim: number): Float32Array {
  const quarter = dim / 4;
  const waves = (coordinate: number): number[] => {
    const angles = Array.from({ length: quarter }, (_, k) => coordinate * 10000 ** (-k / quarter));
    return [...angles.map(Math.sin), ...angles.map(Math.cos)];
  };
  const positions = new Float32Array(rows * columns * dim);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) positions.set([...waves(x), ...waves(y)], (y * columns + x) * dim);
  }
  return positions;
}

/**
 * The positions of sequences whose patches lie in any order; `front` tokens before them have none.
 *
 * @param table [N * dim] of `sinCosPositions`
 * @param order [R, N] int32, the patch at each place
 * @returns [R, front + N, dim], zero for the front
 */
export function positionsInOrder(table: Float32Array, order: Tensor2D, front: number): Tensor3D {
  const [R, N] = order.shape;
  const dim = table.length / N;
  const ofPatches = tf.gather(constant<tf.Rank.R2>(table, [N, dim]), tf.reshape(order, [-1]));
  return tf.pad(tf.reshape(ofPatches, [R, N, dim]), [[0, 0], [front, 0], [0, 0]]); // prettier-ignore
}
