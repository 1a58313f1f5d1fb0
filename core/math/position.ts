import * as tf from "@tensorflow/tfjs-core";
import { constant, float32 } from "./ambient.ts";
import { withGradient } from "./with-gradient.ts";

/** Tokens in rows and columns. */
export interface GridSize {
  readonly rows: number;
  readonly columns: number;
}

/**
 * Position embeddings of the patches, resampled to another grid as DINO does it (arXiv 2104.14294): bicubic
 * with A = -0.75, without antialiasing, at the scale (k + 0.1) / n0 per axis. Separable and linear in the
 * positions, so the gradient is the transposed resampling. In float32. The native grid is returned as it is.
 *
 *     out[a, b] = sum_ij R[a, i] C[b, j] positions[i, j]
 *
 * @param positions [1, n0 rows * n0 columns, D], row-major
 * @param native the grid of `positions`
 * @param grid the grid that is wanted
 * @returns [1, rows * columns, D]
 * @throws Error if `positions` does not hold the native grid
 */
export function interpolatePositions(positions: tf.Tensor3D, native: GridSize, grid: GridSize): tf.Tensor3D {
  const [, count, dim] = positions.shape;
  if (count !== native.rows * native.columns) {
    throw new Error(
      `interpolatePositions: ${count} positions are no ${native.rows} x ${native.columns} grid`,
    );
  }
  if (native.rows === grid.rows && native.columns === grid.columns) return positions;

  // Both matrices, transposed for the way back.
  const resample = (x: tf.Tensor3D, from: GridSize, to: GridSize, transposed: boolean): tf.Tensor3D => {
    const rowMatrix = bicubic(native.rows, grid.rows);
    const columnMatrix = bicubic(native.columns, grid.columns);
    const byRow = tf.matMul(rowMatrix, tf.reshape(x, [from.rows, from.columns * dim]), transposed);
    const columnsFirst = tf.transpose(tf.reshape(byRow, [to.rows, from.columns, dim]), [1, 0, 2]);
    const flat = tf.reshape(columnsFirst, [from.columns, to.rows * dim]);
    const byColumn = tf.reshape(tf.matMul(columnMatrix, flat, transposed), [to.columns, to.rows, dim]);
    return tf.reshape(tf.transpose(byColumn, [1, 0, 2]), [1, to.rows * to.columns, dim]);
  };
  return float32(() =>
    withGradient<tf.Tensor3D, []>(
      [positions],
      () => ({ value: resample(positions, native, grid, false), saved: [] }),
      (dy) => [resample(dy, grid, native, true)],
    ),
  );
}

function bicubic(from: number, to: number): tf.Tensor2D {
  return constant<tf.Rank.R2>(bicubicMatrix(from, to), [to, from]);
}

/**
 * The [to, from] matrix of one axis, row-major. Output i lies at (i + 0.5) / scale - 0.5, and takes the four samples
 * around it; those beyond an end count as the end.
 *
 * @param scale by default DINO's (to + 0.1) / from, or 1 where to = from; `to / from` is what PyTorch's `interpolate`
 *   takes when it is given a size
 */
export function bicubicMatrix(
  from: number,
  to: number,
  scale = to === from ? 1 : (to + 0.1) / from,
): Float32Array {
  const matrix = new Float64Array(to * from);
  for (let i = 0; i < to; i++) {
    const at = (i + 0.5) / scale - 0.5;
    const first = Math.floor(at) - 1;
    for (let tap = first; tap < first + 4; tap++) {
      const sample = Math.min(Math.max(tap, 0), from - 1);
      matrix[i * from + sample]! += cubicWeight(Math.abs(at - tap));
    }
  }
  return Float32Array.from(matrix);
}

/** The cubic convolution kernel (Keys 1981) at a distance of 0 to 2 samples. */
function cubicWeight(distance: number, a = -0.75): number {
  if (distance <= 1) return ((a + 2) * distance - (a + 3)) * distance ** 2 + 1;
  return a * (((distance - 5) * distance + 8) * distance - 4);
}
