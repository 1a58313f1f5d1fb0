/** Means, deviations and second moments of columns, as fits need them: sums in double precision. */
import { errors } from "../errors.ts";
import type { Features } from "./features.ts";
import { matMul } from "./mat-mul.ts";

export interface ColumnMoments {
  /** [dim] */
  readonly mean: Float64Array;
  /** [dim] standard deviation, over the count. */
  readonly deviation: Float64Array;
}

/** @throws EVAL_INVALID for values that are not finite. */
export function columnMoments({ data, count, dim }: Features): ColumnMoments {
  const mean = new Float64Array(dim);
  const deviation = new Float64Array(dim);
  for (let i = 0; i < count; i++) for (let d = 0; d < dim; d++) mean[d]! += data[i * dim + d]! / count;
  for (let i = 0; i < count; i++) {
    for (let d = 0; d < dim; d++) deviation[d]! += (data[i * dim + d]! - mean[d]!) ** 2 / count;
  }
  for (let d = 0; d < dim; d++) deviation[d] = Math.sqrt(deviation[d]!);
  if (!mean.every(Number.isFinite)) {
    throw errors.evalInvalid(
      "features",
      "some are not finite",
      "the network that made them has diverged: evaluate an earlier checkpoint",
    );
  }
  return { mean, deviation };
}

/** Rows whose products are summed at a time: 48 columns of them fit the cache. */
const CHUNK = 512;
/** Rows of the result at a time; what lies left of its block on the diagonal follows by symmetry. */
const BLOCK = 48;

/**
 * G = sum_i w_i z_i z_i^T over the rows z_i = ((x_i - mean) * scale, 1): with a last column of ones.
 *
 * @param options.weights [count], not negative; 1 unless given
 * @returns [dim + 1, dim + 1], row-major, symmetric
 */
export function weightedGram(
  { data, count, dim }: Features,
  { mean, scale, weights }: { mean: Float64Array; scale: Float64Array; weights?: Float64Array },
): Float64Array {
  const size = dim + 1;
  const gram = new Float64Array(size * size);
  const columns = new Float32Array(size * CHUNK); // sqrt(w) z of a chunk, column by column
  for (let first = 0; first < count; first += CHUNK) {
    const rows = Math.min(CHUNK, count - first);
    if (rows < CHUNK) columns.fill(0);
    for (let i = 0; i < rows; i++) {
      const root = weights ? Math.sqrt(weights[first + i]!) : 1;
      const from = (first + i) * dim;
      for (let d = 0; d < dim; d++) columns[d * CHUNK + i] = root * (data[from + d]! - mean[d]!) * scale[d]!;
      columns[dim * CHUNK + i] = root;
    }
    for (let top = 0; top < size; top += BLOCK) {
      const height = Math.min(BLOCK, size - top);
      const width = size - top;
      const upper = columns.subarray(top * CHUNK);
      const product = matMul(upper, upper, height, width, CHUNK);
      for (let r = 0; r < height; r++) {
        for (let c = r; c < width; c++) gram[(top + r) * size + top + c]! += product[r * width + c]!;
      }
    }
  }
  for (let r = 0; r < size; r++) for (let c = 0; c < r; c++) gram[r * size + c] = gram[c * size + r]!;
  return gram;
}
