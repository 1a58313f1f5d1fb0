import { errors } from "../errors.ts";

/** One feature vector per image, row-major: `data` is [count, dim]. */
export interface Features {
  readonly data: Float32Array;
  readonly count: number;
  readonly dim: number;
}

/**
 * Features with each row scaled to unit L2 norm (a zero row stays zero), so that a dot product is a cosine.
 *
 * @param name what the features are, for errors: "queries", "bank".
 * @throws EVAL_INVALID for a wrong length or a value that is not finite.
 */
export function unitRows({ data, count, dim }: Features, name: string): Features {
  if (data.length !== count * dim) {
    const problem = `${name} hold ${data.length} numbers, not ${count} x ${dim}`;
    throw errors.evalInvalid("features", problem, "give one row of `dim` numbers per image");
  }
  const unit = new Float32Array(data.length);
  for (let row = 0; row < count; row++) {
    const start = row * dim;
    let square = 0;
    for (let i = start; i < start + dim; i++) square += data[i]! * data[i]!;
    if (!Number.isFinite(square)) throw notFinite(row, name);
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let i = start; i < start + dim; i++) unit[i] = data[i]! * scale;
  }
  return { data: unit, count, dim };
}

/**
 * The features as they are.
 *
 * @param name what they are of, for errors
 * @throws EVAL_INVALID for a value that is not finite
 */
export function checkFinite(features: Features, name: string): Features {
  const at = features.data.findIndex((value) => !Number.isFinite(value));
  if (at === -1) return features;
  throw notFinite(Math.floor(at / features.dim), name);
}

function notFinite(row: number, name: string) {
  return errors.evalInvalid(
    "features",
    `row ${row} of the ${name} is not finite`,
    "the network that made it has diverged: evaluate an earlier checkpoint",
  );
}
