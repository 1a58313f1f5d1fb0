/**
 * Linear classifiers on fixed features, one for each of several learning rates, trained side by side in one captured
 * program: the L classifiers are one matrix [D, L * C], and a step is two matrix products whatever L is.
 *
 * Each is trained as DINO's linear probe (arXiv 2104.14294): softmax cross entropy, SGD with momentum 0.9, no weight
 * decay, weights from normal(0, 0.01), the learning rate times batch / 256, on a cosine to 0 by epochs. With
 * P = softmax(x W + b) of a batch of B rows and one-hot Y:
 *
 *   g = x^T (P - Y) / B,     v <- 0.9 v + g,     W <- W - lr v
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Engine, Program, Trace, Variable } from "../engine/engine.ts";
import { float32 } from "../math/index.ts";
import { Random } from "../random.ts";
import { TOP5_CLASSES } from "./classification.ts";
import type { Features } from "./features.ts";

export const MOMENTUM = 0.9;
const INITIAL_DEVIATION = 0.01;
/** Learning rates are given for batches of this size (arXiv 1706.02677). */
const LR_BATCH = 256;

/** Features with a class each. */
export interface LabelledRows {
  readonly features: Features;
  /** [count] 0..numClasses-1 */
  readonly labels: ArrayLike<number>;
}

export interface SweepOptions {
  readonly train: LabelledRows;
  /** Of the mirror images of `train`, row by row: each epoch takes an image's one or the other. */
  readonly mirrored?: Features;
  /** What every classifier is measured on. */
  readonly tested: readonly LabelledRows[];
  readonly numClasses: number;
  /** L learning rates at the start, per 256 rows. */
  readonly lrs: readonly number[];
  readonly epochs: number;
  readonly batchSize: number;
  readonly seed: number;
  /** Told after each epoch how many are done. */
  readonly progress?: (epoch: number) => void;
}

/** Shares of the rows of one set, by learning rate: [L] each. */
export interface SweepAccuracy {
  readonly top1: readonly number[];
  /** Undefined up to five classes. */
  readonly top5: readonly number[] | undefined;
}

interface Sizes {
  readonly dim: number;
  readonly numClasses: number;
  readonly lrs: number;
  readonly batch: number;
}

interface Compiled {
  readonly variables: Variables;
  readonly train: Program;
  readonly test: Program;
}

interface Variables {
  /** [D, L * C] */
  readonly weights: Variable;
  readonly weightsVelocity: Variable;
  /** [1, L * C] */
  readonly biases: Variable;
  readonly biasesVelocity: Variable;
}

const ROWS = "rows";
const LABELS = "labels";
/** [B, 1, 1] 1 / rows of the batch; 0 for padding. */
const SHARES = "shares";
const LR = "lr";
const PLACES = "places";

export class LinearSweep {
  private readonly engine: Engine;
  /** The engine's variables are for good: sweeps of the same sizes share theirs. */
  private readonly compiled = new Map<string, Promise<Compiled>>();

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /**
   * One accuracy per set of `tested`. A learning rate that diverges is right about nothing. Depends on the seed alone.
   */
  async run(options: SweepOptions): Promise<readonly SweepAccuracy[]> {
    const { train, mirrored, tested, numClasses, lrs, epochs, seed, progress } = options;
    const { dim, count } = train.features;
    const batch = Math.min(options.batchSize, count);
    const sizes = { dim, numClasses, lrs: lrs.length, batch };
    const { variables, train: program, test } = await this.programs(sizes);
    await this.engine.load(initialValues(variables, sizes, seed));
    for (let epoch = 0; epoch < epochs; epoch++) {
      const decay = (1 + Math.cos((Math.PI * epoch) / epochs)) / 2;
      const lr = Float32Array.from(lrs, (peak) => (peak * batch * decay) / LR_BATCH);
      const order = new Random(seed, "linear order", epoch).permutation(count);
      const coin = new Random(seed, "linear mirror", epoch);
      const isMirrored = Uint8Array.from({ length: count }, () => Number(coin.bernoulli(0.5)));
      const sourceOf = (row: number) => (isMirrored[row] ? (mirrored ?? train.features) : train.features);
      for (let first = 0; first < count; first += batch) {
        const rows = order.subarray(first, first + batch);
        await program.run({ ...feeds(rows, sourceOf, train.labels, batch), [LR]: lr });
      }
      progress?.(epoch + 1);
    }
    const accuracies: SweepAccuracy[] = [];
    for (const set of tested) accuracies.push(await measure(test, set, sizes));
    return accuracies;
  }

  private programs(sizes: Sizes): Promise<Compiled> {
    const key = Object.values(sizes).join("x");
    const known = this.compiled.get(key) ?? this.compile(sizes, `linear/${key}`);
    this.compiled.set(key, known);
    return known;
  }

  private async compile(sizes: Sizes, name: string): Promise<Compiled> {
    const { engine } = this;
    const { dim, numClasses, lrs } = sizes;
    const variables: Variables = {
      weights: engine.variable(`${name}/weights`, [dim, lrs * numClasses]),
      weightsVelocity: engine.variable(`${name}/weightsVelocity`, [dim, lrs * numClasses]),
      biases: engine.variable(`${name}/biases`, [1, lrs * numClasses]),
      biasesVelocity: engine.variable(`${name}/biasesVelocity`, [1, lrs * numClasses]),
    };
    const train = await engine.program(`${name}/train`, traceStep(variables, sizes));
    const test = await engine.program(`${name}/test`, tracePlaces(variables, sizes));
    return { variables, train, test };
  }
}

function* initialValues(
  variables: Variables,
  { dim, numClasses, lrs }: Sizes,
  seed: number,
): Generator<readonly [Variable, Float32Array]> {
  const random = new Random(seed, "linear init");
  const drawn = Float32Array.from({ length: dim * numClasses }, () => INITIAL_DEVIATION * random.normal());
  // All classifiers start from the same.
  const weights = new Float32Array(dim * lrs * numClasses);
  for (let at = 0; at < weights.length; at++) {
    const row = Math.floor(at / (lrs * numClasses));
    weights[at] = drawn[row * numClasses + (at % numClasses)]!;
  }
  yield [variables.weights, weights];
  for (const zero of [variables.weightsVelocity, variables.biases, variables.biasesVelocity])
    yield [zero, new Float32Array(zero.size)];
}

/** [B, L, C] scores of the rows fed, with their classes one-hot, [B, 1, C]. */
function traceScores(
  tracer: Parameters<Trace>[0],
  { weights, biases }: Variables,
  { dim, numClasses, lrs, batch }: Sizes,
) {
  const rows = tracer.input(ROWS, [batch, dim], "float32") as tf.Tensor2D;
  const labels = tracer.input(LABELS, [batch], "int32") as tf.Tensor1D;
  const flat = tf.add(tf.matMul(rows, tracer.read(weights) as tf.Tensor2D), tracer.read(biases));
  return {
    rows,
    scores: tf.reshape(flat, [batch, lrs, numClasses]),
    targets: tf.reshape(tf.oneHot(labels, numClasses), [batch, 1, numClasses]),
  };
}

function traceStep(variables: Variables, sizes: Sizes): Trace {
  const { numClasses, lrs, batch } = sizes;
  return (tracer) =>
    float32(() => {
      const { rows, scores, targets } = traceScores(tracer, variables, sizes);
      const shares = tracer.input(SHARES, [batch, 1, 1], "float32");
      const lr = tracer.input(LR, [lrs], "float32");
      const residuals: tf.Tensor2D = tf.reshape(tf.mul(tf.sub(tf.softmax(scores), targets), shares), [
        batch,
        lrs * numClasses,
      ]);
      const rates = tf.reshape(tf.tile(tf.reshape(lr, [lrs, 1]), [1, numClasses]), [1, lrs * numClasses]);
      const descend = (value: Variable, velocity: Variable, gradient: tf.Tensor) => {
        const next = tf.add(tf.mul(tracer.read(velocity), MOMENTUM), gradient);
        tracer.assign(velocity, next);
        tracer.assign(value, tf.sub(tracer.read(value), tf.mul(next, rates)));
      };
      descend(variables.weights, variables.weightsVelocity, tf.matMul(rows, residuals, true));
      descend(variables.biases, variables.biasesVelocity, tf.sum(residuals, 0, true));
    });
}

/** How many classes have a score that is not below the own one's, but for that itself: 0 where it is the highest. */
function tracePlaces(variables: Variables, sizes: Sizes): Trace {
  const { numClasses } = sizes;
  return (tracer) =>
    float32(() => {
      const { scores, targets } = traceScores(tracer, variables, sizes);
      const own = tf.sum(tf.mul(scores, targets), 2, true);
      const below = tf.sum(tf.cast(tf.less(scores, own), "float32"), 2);
      tracer.output(PLACES, tf.sub(numClasses - 1, below)); // numClasses - 1 where scores are not finite
    });
}

function feeds(
  rows: Int32Array,
  sourceOf: (row: number) => Features,
  labels: ArrayLike<number>,
  batch: number,
) {
  const { dim } = sourceOf(0);
  const data = new Float32Array(batch * dim);
  const classes = new Int32Array(batch);
  const shares = new Float32Array(batch);
  rows.forEach((row, i) => {
    data.set(sourceOf(row).data.subarray(row * dim, (row + 1) * dim), i * dim);
    classes[i] = labels[row]!;
    shares[i] = 1 / rows.length;
  });
  return { [ROWS]: data, [LABELS]: classes, [SHARES]: shares };
}

async function measure(
  program: Program,
  { features, labels }: LabelledRows,
  { numClasses, lrs, batch }: Sizes,
): Promise<SweepAccuracy> {
  const order = Int32Array.from({ length: features.count }, (_, i) => i);
  const hits1 = new Float64Array(lrs);
  const hits5 = new Float64Array(lrs);
  for (let first = 0; first < features.count; first += batch) {
    const rows = order.subarray(first, first + batch);
    const { [SHARES]: _, ...fed } = feeds(rows, () => features, labels, batch);
    const { [PLACES]: places } = await program.run(fed);
    for (let i = 0; i < rows.length * lrs; i++) {
      if (places![i]! < 1) hits1[i % lrs]!++;
      if (places![i]! < 5) hits5[i % lrs]!++;
    }
  }
  const shares = (hits: Float64Array) => Array.from(hits, (count) => count / features.count);
  return { top1: shares(hits1), top5: numClasses >= TOP5_CLASSES ? shares(hits5) : undefined };
}
