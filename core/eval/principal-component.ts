import { Random } from "../random.ts";
import type { Features } from "./features.ts";
import { columnMoments, weightedGram } from "./gram.ts";
import type { LinearScore } from "./linear-score.ts";

const MOST_ITERATIONS = 2000;
/** Change of a unit vector in one iteration, squared. */
const TOLERANCE = 1e-20;

/**
 * The projection on the first principal component of the centred rows: the unit vector v of largest variance
 * v^T C v, by power iteration v <- C v / |C v|. Its sign is such that its largest entry is positive.
 *
 * @returns (x - mean) v: its mean over the rows is 0
 * @throws EVAL_INVALID for features that are not finite
 */
export function principalComponent(features: Features): LinearScore {
  const { dim } = features;
  const { mean } = columnMoments(features);
  const gram = weightedGram(features, { mean, scale: new Float64Array(dim).fill(1) });
  // Any start but one orthogonal to the component will do: a random direction is none.
  const random = new Random(0, "principal component");
  let v = unit(Float64Array.from({ length: dim }, () => random.normal()));
  for (let iteration = 0; iteration < MOST_ITERATIONS; iteration++) {
    const next = unit(v.map((_, r) => dot(gram.subarray(r * (dim + 1), r * (dim + 1) + dim), v)));
    const change = next.reduce((sum, value, d) => sum + (value - v[d]!) ** 2, 0);
    v = next;
    if (change < TOLERANCE) break;
  }
  const largest = v.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
  const weights = largest < 0 ? v.map((value) => -value) : v;
  return { weights, bias: -dot(mean, weights) };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < b.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Features that are all the same have no direction: zeros stay zeros. */
function unit(v: Float64Array): Float64Array {
  const length = Math.sqrt(dot(v, v));
  return length > 0 ? v.map((value) => value / length) : v;
}
