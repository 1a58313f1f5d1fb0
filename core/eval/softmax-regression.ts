/**
 * Multinomial logistic regression at its optimum: the W [C, D] and b [C] that minimise
 *
 *   sum_i -log softmax(W x_i + b)_{y_i}  +  l2 / 2 |W|^2,
 *
 * which is also that of scikit-learn's LogisticRegression(C = 1 / l2). With P = softmax(X W^T + b) and one-hot Y:
 *
 *   dW = (P - Y)^T X + l2 W,     db = (P - Y)^T 1
 *
 * It is found by L-BFGS on the mean over rows.
 */
import { errors } from "../errors.ts";
import { ranksOf, topK, TOP5_CLASSES } from "./classification.ts";
import type { Features } from "./features.ts";
import { columnMoments } from "./gram.ts";
import { checkLabels, rowsByClass } from "./labels.ts";
import { minimise, type ValueAndGradient } from "./lbfgs.ts";
import { matMul as plainMatMul, type MatMul } from "./mat-mul.ts";

/** One score per class: x W^T + b. */
export interface SoftmaxRegression {
  /** [numClasses, dim]; of a class without a row 0. */
  readonly weights: Float32Array;
  /** [numClasses]; of a class without a row -Infinity: it is never predicted. */
  readonly biases: Float64Array;
  /** The minimum, the sum over rows. */
  readonly objective: number;
  readonly steps: number;
  /** The gradient vanished before the steps ran out. */
  readonly converged: boolean;
}

export interface SoftmaxRegressionOptions {
  /** 1 / C of scikit-learn. */
  readonly l2: number;
  /** Fit (x - mean) / deviation in the place of x; the result takes x all the same. */
  readonly standardise?: boolean;
  readonly mostSteps?: number;
  readonly matMul?: MatMul;
}

/** Of the mean over rows: a tenth of scikit-learn's. */
const TOLERANCE = 1e-5;
const MOST_STEPS = 2000;

/**
 * @param labels [count] classes, 0..numClasses-1, of which two or more occur
 * @throws EVAL_INVALID for labels of another number or range or of one class alone, for an l2 that is not positive, or
 *   features not finite
 */
export async function fitSoftmaxRegression(
  features: Features,
  labels: ArrayLike<number>,
  numClasses: number,
  { l2, standardise = false, mostSteps = MOST_STEPS, matMul = plainMatMul }: SoftmaxRegressionOptions,
): Promise<SoftmaxRegression> {
  const { count, dim } = features;
  checkLabels(PROTOCOL, "labels", labels, count, numClasses);
  if (!(l2 > 0)) throw errors.evalInvalid(PROTOCOL, `l2 is ${l2}`, "choose one above 0");
  const classes = rowsByClass(labels, numClasses).flatMap((rows, c) => (rows.length > 0 ? [c] : []));
  if (classes.length < 2) {
    throw errors.evalInvalid(
      PROTOCOL,
      "all rows are of one class",
      "give images of two classes or more, in a folder each",
    );
  }
  const { mean, deviation } = columnMoments(features);
  const scale = deviation.map((value, d) => {
    if (!standardise) return 1;
    // A column that changes by no more than float32's rounding says nothing.
    return value > 1e-6 * Math.abs(mean[d]!) ? 1 / value : 0;
  });
  const shift = standardise ? mean : new Float64Array(dim);
  const rows = standardise ? standardised(features, shift, scale) : features.data;
  const found = await minimise(
    objective({
      rows,
      columns: transposed(rows, count, dim),
      count,
      dim,
      targets: Int32Array.from(labels, (label) => classes.indexOf(label)),
      numClasses: classes.length,
      // Of two classes scikit-learn fits one w = w_1 - w_0, whose |w|^2 is twice |w_0|^2 + |w_1|^2.
      decay: (classes.length === 2 ? 2 * l2 : l2) / count,
      matMul,
    }),
    new Float64Array(classes.length * (dim + 1)),
    { tolerance: TOLERANCE, mostSteps },
  );
  const weights = new Float32Array(numClasses * dim);
  const biases = new Float64Array(numClasses).fill(-Infinity);
  classes.forEach((c, row) => {
    let bias = found.at[classes.length * dim + row]!;
    for (let d = 0; d < dim; d++) {
      const weight = found.at[row * dim + d]! * scale[d]!;
      weights[c * dim + d] = weight;
      bias -= weight * shift[d]!;
    }
    biases[c] = bias;
  });
  const { steps, converged } = found;
  return { weights, biases, objective: found.value * count, steps, converged };
}

const PROTOCOL = "logistic regression";

interface Problem {
  /** [count, dim] */
  readonly rows: Float32Array;
  /** [dim, count] */
  readonly columns: Float32Array;
  readonly count: number;
  readonly dim: number;
  readonly targets: Int32Array;
  readonly numClasses: number;
  /** l2 / count */
  readonly decay: number;
  readonly matMul: MatMul;
}

/** Of the mean over rows, at W [C, dim] followed by b [C]. */
function objective(problem: Problem): (at: Float64Array) => Promise<ValueAndGradient> {
  const { rows, columns, count, dim, targets, numClasses, decay, matMul } = problem;
  const C = numClasses;
  const residuals = new Float32Array(C * count); // (P - Y)^T
  return async (at) => {
    const weights = Float32Array.from(at.subarray(0, C * dim));
    const biases = at.subarray(C * dim);
    const scores = await matMul(rows, weights, count, C, dim);
    const gradient = new Float64Array(at.length);
    let value = 0;
    for (let i = 0; i < count; i++) {
      const row = scores.subarray(i * C, (i + 1) * C);
      let most = -Infinity;
      for (let c = 0; c < C; c++) most = Math.max(most, (row[c]! += biases[c]!));
      let sum = 0;
      for (let c = 0; c < C; c++) sum += Math.exp(row[c]! - most);
      value += (Math.log(sum) + most - row[targets[i]!]!) / count;
      for (let c = 0; c < C; c++) {
        const residual = (Math.exp(row[c]! - most) / sum - (c === targets[i] ? 1 : 0)) / count;
        residuals[c * count + i] = residual;
        gradient[C * dim + c]! += residual;
      }
    }
    const products = await matMul(residuals, columns, C, dim, count);
    for (let i = 0; i < C * dim; i++) {
      value += (decay / 2) * at[i]! ** 2;
      gradient[i] = products[i]! + decay * at[i]!;
    }
    return { value, gradient };
  };
}

function standardised({ data, dim }: Features, shift: Float64Array, scale: Float64Array): Float32Array {
  return data.map((x, i) => (x - shift[i % dim]!) * scale[i % dim]!);
}

function transposed(rows: Float32Array, count: number, dim: number): Float32Array {
  const columns = new Float32Array(rows.length);
  for (let i = 0; i < count; i++) for (let d = 0; d < dim; d++) columns[d * count + i] = rows[i * dim + d]!;
  return columns;
}

export interface Accuracy {
  /** Share of rows whose class has the highest score, 0..1. */
  readonly top1: number;
  /** Share whose class is among the five highest; undefined up to five classes. */
  readonly top5: number | undefined;
  /** [count] the class predicted for each. */
  readonly predictions: Int32Array;
}

/**
 * How often the regression is right. Of equal scores the own one is the last; the lower class is predicted.
 *
 * @throws EVAL_INVALID for labels of another number or range, or features of another width
 */
export async function classify(
  { weights, biases }: Pick<SoftmaxRegression, "weights" | "biases">,
  { data, count, dim }: Features,
  labels: ArrayLike<number>,
  matMul: MatMul = plainMatMul,
): Promise<Accuracy> {
  const C = biases.length;
  checkLabels(PROTOCOL, "labels", labels, count, C);
  if (weights.length !== C * dim) {
    const problem = `features have ${dim} columns, the classifier has ${weights.length / C}`;
    throw errors.evalInvalid(PROTOCOL, problem, "make both with the same network and layer");
  }
  const scores = await matMul(data, weights, count, C, dim);
  const predictions = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const row = scores.subarray(i * C, (i + 1) * C);
    biases.forEach((bias, c) => (row[c]! += bias));
    predictions[i] = row.indexOf(Math.max(...row));
  }
  const ranks = ranksOf(scores, labels, C);
  return { top1: topK(ranks, 1), top5: C >= TOP5_CLASSES ? topK(ranks, 5) : undefined, predictions };
}
