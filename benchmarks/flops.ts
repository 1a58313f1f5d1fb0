/**
 * Floating-point operations of one training step's mathematics, by a closed formula: two per multiply-add of
 * every matrix product whose result is used. Elementwise work, normalisation, softmax and the optimizer are not
 * counted, nor is padding or anything that is computed and thrown away.
 *
 * With D embedDim, L depth, r mlpRatio, T tokens of a view (class token included), N = T - 1 patches:
 *
 *   block(T)   = 2 T D (3D + D + 2 r D) + 4 T^2 D      q, k, v, projection, MLP; q k^T and A v
 *   last(T)    = 2 T D 2D + 2 D 2D + 4 T D + 2 D 2 r D  where only the class token is read: k and v of all
 *                                                       tokens, everything else of one
 *   embed(N)   = 2 N p^2 C D
 *   head(rows) = rows * sum over its linear layers of 2 in out
 *
 *   sampling   = g N C 2 + g^2 n C 2                    the features of N = n^2 patches at g^2 points, separably
 *   gram       = 2 T^2 C                                R = f f^T of T tokens with C features, or f^T f the other way
 *
 * A network that is not trained costs its forward pass F; the student costs 3 F (the backward pass makes the
 * gradients of both factors of every product), except for what has one factor to learn: patch embedding, sampling and
 * a gram (whose gradient is one product) cost it 2 F.
 */
export interface FlopsModel {
  readonly embedDim: number;
  readonly depth: number;
  readonly mlpRatio: number;
  readonly patchSize: number;
  readonly channels: number;
}

export interface FlopsPass {
  /** Images: views times batch. */
  readonly images: number;
  /** Side of the view in pixels. */
  readonly size: number;
  /** Only the class token is read. */
  readonly clsOnly: boolean;
  readonly trained: boolean;
}

export interface FlopsHead {
  /** Widths from the input to the output: [384, 2048, 2048, 256, 8192]. */
  readonly widths: readonly number[];
  readonly rows: number;
  readonly trained: boolean;
}

/** Relations of one pass: matrices [tokens, tokens] of `features` each, or the other way round. */
export interface FlopsRelation {
  readonly matrices: number;
  readonly tokens: number;
  readonly features: number;
  /** Of features that are sampled at tokens = g^2 points of an overlap: the patches per side that they come from. */
  readonly sampledFrom?: number;
  readonly trained: boolean;
}

const TRAINED = 3;
/** Only one factor gets a gradient, by one product. */
const TRAINED_ONE_FACTOR = 2;

export function stepFlops(
  model: FlopsModel,
  passes: readonly FlopsPass[],
  heads: readonly FlopsHead[],
  relations: readonly FlopsRelation[] = [],
): number {
  const { embedDim: D, depth, mlpRatio, patchSize, channels } = model;
  const block = (T: number) => 2 * T * D * (4 * D + 2 * mlpRatio * D) + 4 * T * T * D;
  const last = (T: number) => 4 * T * D * D + 4 * D * D + 4 * T * D + 4 * mlpRatio * D * D;
  const backbone = passes.map(({ images, size, clsOnly, trained }) => {
    const N = (size / patchSize) ** 2;
    const T = N + 1;
    const blocks = (depth - 1) * block(T) + (clsOnly ? last(T) : block(T));
    const embed = 2 * N * patchSize ** 2 * channels * D;
    return images * (blocks * (trained ? TRAINED : 1) + embed * (trained ? TRAINED_ONE_FACTOR : 1));
  });
  const projections = heads.map(({ widths, rows, trained }) => {
    const layers = widths.slice(1).map((output, i) => 2 * widths[i]! * output);
    return rows * sum(layers) * (trained ? TRAINED : 1);
  });
  const related = relations.map(({ matrices, tokens, features, sampledFrom, trained }) => {
    const gram = 2 * tokens ** 2 * features;
    const n = sampledFrom ?? 0;
    const sampling = 2 * Math.sqrt(tokens) * n ** 2 * features + 2 * tokens * n * features;
    return matrices * (gram + sampling) * (trained ? TRAINED_ONE_FACTOR : 1);
  });
  return sum(backbone) + sum(projections) + sum(related);
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
