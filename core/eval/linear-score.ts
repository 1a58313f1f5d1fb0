import type { Features } from "./features.ts";

/** One number per feature vector: x w + b. */
export interface LinearScore {
  /** [dim] */
  readonly weights: Float64Array;
  readonly bias: number;
}

/** Writes the score of each row to `out` [count]. */
export function scoreRows(
  { weights, bias }: LinearScore,
  { data, count, dim }: Features,
  out: Float64Array,
): Float64Array {
  for (let i = 0; i < count; i++) {
    let sum = bias;
    for (let d = 0; d < dim; d++) sum += data[i * dim + d]! * weights[d]!;
    out[i] = sum;
  }
  return out;
}
