/**
 * Binary logistic regression with soft targets y in 0..1, on standardised features z = (x - mean) / deviation:
 * the w and b that minimise
 *
 *   sum_i [ log(1 + exp(s_i)) - y_i s_i ]  +  l2 / 2 |w|^2,     s_i = z_i w + b
 *
 * The optimum is found by Newton's method (iteratively reweighted least squares): with p = sigmoid(s),
 *
 *   gradient  g = Z^T (p - y) + l2 w,     Hessian  H = Z^T diag(p (1 - p)) Z + l2,     step  -H^-1 g
 *
 * scikit-learn's LogisticRegression(C=1 / l2) has the same optimum, each row given as a positive one of weight y
 * and a negative one of weight 1 - y.
 */
import { errors } from "../errors.ts";
import { choleskySolve } from "./cholesky.ts";
import type { Features } from "./features.ts";
import { columnMoments, weightedGram } from "./gram.ts";
import { scoreRows, type LinearScore } from "./linear-score.ts";

/** Of the sum over rows: little against thousands of them, and enough to bound the weights of separable ones. */
export const L2 = 1;

/** A step that promises less than this per row is the last. */
const TOLERANCE = 1e-11;
const MOST_STEPS = 100;
/** Curvature per row that the bias has at least; it changes the steps, not the optimum. */
const DAMPING = 1e-9;
/** More rows than this start from the optimum of every eighth, which is near: most steps cost an eighth then. */
const MANY_ROWS = 8192;
const THIN = 8;

/**
 * @param targets [count] 0..1
 * @returns the score of features as they are, standardisation included: foreground where it is above 0
 * @throws EVAL_INVALID for targets of another number or range, or features not finite
 */
export function fitLogistic(
  features: Features,
  targets: Float32Array,
  { l2 = L2 }: { l2?: number } = {},
): LinearScore {
  const { count } = features;
  if (targets.length !== count || !targets.every((y) => y >= 0 && y <= 1)) {
    throw errors.evalInvalid(
      "logistic regression",
      `${targets.length} targets for ${count} rows`,
      "give one target in 0..1 per row",
    );
  }
  const { mean, deviation } = columnMoments(features);
  // A column that changes by no more than float32's rounding says nothing.
  const scale = deviation.map((value, d) => (value > 1e-6 * Math.abs(mean[d]!) ? 1 / value : 0));
  const problem: Problem = { features, targets, mean, scale, l2 };
  return unstandardised(minimise(problem), problem);
}

interface Problem {
  readonly features: Features;
  readonly targets: Float32Array;
  readonly mean: Float64Array;
  readonly scale: Float64Array;
  readonly l2: number;
}

/** [dim + 1] w and, last, b. */
function minimise(problem: Problem): Float64Array {
  const { features, l2 } = problem;
  const { count, dim } = features;
  const few = count > MANY_ROWS ? thinned(problem) : undefined;
  // Rows of one class alone have no optimum: they would start the others from far away.
  const total = few?.targets.reduce((sum, y) => sum + y, 0) ?? 0;
  const starts = few !== undefined && total > 0 && total < few.targets.length;
  let at = starts ? minimise(few) : new Float64Array(dim + 1);
  let { scores, objective } = evaluate(problem, at);
  for (let i = 0; i < MOST_STEPS; i++) {
    const { gradient, curvature } = derivatives(problem, at, scores);
    const hessian = weightedGram(features, { ...problem, weights: curvature });
    for (let d = 0; d < dim; d++) hessian[d * (dim + 1) + d]! += l2;
    // Where every row is certain the bias has no curvature left.
    hessian[(dim + 1) ** 2 - 1]! += DAMPING * count;
    const step = choleskySolve(hessian, gradient);
    const promised = step.reduce((sum, value, d) => sum + value * gradient[d]!, 0);
    // Far from the optimum a whole step may overshoot.
    for (let length = 1; ; length /= 2) {
      const next = at.map((value, d) => value - length * step[d]!);
      const there = evaluate(problem, next);
      if (there.objective > objective - 1e-4 * length * promised && length > 1e-4) continue;
      [at, { scores, objective }] = [next, there];
      break;
    }
    if (promised < TOLERANCE * count) break;
  }
  return at;
}

function thinned(problem: Problem): Problem {
  const { data, count, dim } = problem.features;
  const rows = Math.ceil(count / THIN);
  const few = new Float32Array(rows * dim);
  for (let i = 0; i < rows; i++) few.set(data.subarray(i * THIN * dim, (i * THIN + 1) * dim), i * dim);
  const targets = Float32Array.from({ length: rows }, (_, i) => problem.targets[i * THIN]!);
  return { ...problem, features: { data: few, count: rows, dim }, targets, l2: problem.l2 / THIN };
}

function evaluate(problem: Problem, at: Float64Array) {
  const { features, targets, l2 } = problem;
  const scores = scoreRows(unstandardised(at, problem), features, new Float64Array(features.count));
  let objective = 0;
  for (let i = 0; i < scores.length; i++) {
    const s = scores[i]!;
    // log(1 + exp(s)), without overflow
    objective += Math.max(s, 0) + Math.log1p(Math.exp(-Math.abs(s))) - targets[i]! * s;
  }
  for (let d = 0; d < features.dim; d++) objective += (l2 / 2) * at[d]! ** 2;
  return { scores, objective };
}

/** The gradient [dim + 1], and p (1 - p) of each row. */
function derivatives(
  { features, targets, mean, scale, l2 }: Problem,
  at: Float64Array,
  scores: Float64Array,
) {
  const { data, count, dim } = features;
  const gradient = new Float64Array(dim + 1);
  const curvature = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const p = 1 / (1 + Math.exp(-scores[i]!));
    const residual = p - targets[i]!;
    curvature[i] = p * (1 - p);
    for (let d = 0; d < dim; d++) gradient[d]! += residual * data[i * dim + d]!;
    gradient[dim]! += residual;
  }
  for (let d = 0; d < dim; d++) {
    gradient[d] = (gradient[d]! - mean[d]! * gradient[dim]!) * scale[d]! + l2 * at[d]!;
  }
  return { gradient, curvature };
}

/** From weights of z to weights of x. */
function unstandardised(at: Float64Array, { mean, scale }: Problem): LinearScore {
  const weights = scale.map((value, d) => at[d]! * value);
  const shift = weights.reduce((sum, value, d) => sum + value * mean[d]!, 0);
  return { weights, bias: at[scale.length]! - shift };
}
