/**
 * Comparing two crops of one image point by point (SERE, arXiv 2206.05184): the same points of
 * their overlap are sampled from the tokens of both. Everything is computed in the graph from the crop
 * rectangles, in float32; a dense sampling matrix is never made, since it is the product of one small matrix
 * for the rows and one for the columns.
 */
import * as tf from "@tensorflow/tfjs-core";
import { constant, float32 } from "./ambient.ts";
import type { GridSize } from "./position.ts";
import { withGradient } from "./with-gradient.ts";

/** Sample coordinates in a crop, -1 … 1 between its edges; -2 where the crops do not overlap. */
export interface SampleCoordinates {
  /** [n, g] */
  readonly y: tf.Tensor2D;
  /** [n, g] */
  readonly x: tf.Tensor2D;
}

/** Bilinear weights of the tokens, per axis; all zero where the crops do not overlap. */
export interface SampleWeights {
  /** [n, g, token rows] */
  readonly y: tf.Tensor3D;
  /** [n, g, token columns] */
  readonly x: tf.Tensor3D;
}

/**
 * What lies beyond the middle of a crop's outermost tokens: nothing, so that points there are dimmed, or those tokens
 * on and on.
 */
export type SamplePadding = "zeros" | "border";

/** The two sides of a pair of crops. */
export interface OverlapPair<T> {
  readonly a: T;
  readonly b: T;
  /** [n] 1 where the crops overlap, 0 where they do not (touching edges do not). */
  readonly hit: tf.Tensor1D;
}

/**
 * g x g points of the overlap of each pair of crops, from edge to edge of the overlap, in the coordinates of
 * either crop. Point (i, j) is the same image point on both sides: a flip changes x, not the order of points.
 *
 * @param rectsA [n, 5] x, y, width, height in source pixels, flip 0 or 1
 * @param rectsB [n, 5]
 * @param side g, at least 2
 * @throws Error if the shapes or the side do not fit
 */
export function overlapCoordinates(
  rectsA: tf.Tensor2D,
  rectsB: tf.Tensor2D,
  side: number,
): OverlapPair<SampleCoordinates> {
  const [n, fields] = rectsA.shape;
  if (fields !== 5 || rectsB.shape.join() !== rectsA.shape.join()) {
    throw new Error(
      `overlapCoordinates: crops must both be [n, 5], not [${rectsA.shape}] and [${rectsB.shape}]`,
    );
  }
  if (!Number.isInteger(side) || side < 2) {
    throw new Error(`overlapCoordinates: ${side} points per side; at least 2 are needed`);
  }
  return float32(() => {
    const a = fieldsOf(rectsA);
    const b = fieldsOf(rectsB);
    const lowX = tf.maximum(a.x, b.x); // [n, 1], like all that follows
    const lowY = tf.maximum(a.y, b.y);
    const highX = tf.minimum(tf.add(a.x, a.width), tf.add(b.x, b.width));
    const highY = tf.minimum(tf.add(a.y, a.height), tf.add(b.y, b.height));
    const overlaps = tf.logicalAnd(tf.less(lowX, highX), tf.less(lowY, highY));
    const hit: tf.Tensor = tf.cast(overlaps, "float32");

    const steps = constant(
      Float32Array.from({ length: side }, (_, i) => i),
      [1, side],
    );
    const along = (low: tf.Tensor, high: tf.Tensor, origin: tf.Tensor, extent: tf.Tensor) => {
      const start = tf.div(tf.sub(low, origin), extent);
      const step = tf.div(tf.div(tf.sub(high, low), extent), side - 1);
      return tf.add(start, tf.mul(steps, step)); // [n, g], 0 … 1
    };
    const mirrored = (u: tf.Tensor, flip: tf.Tensor) =>
      tf.add(tf.mul(flip, tf.sub(1, u)), tf.mul(tf.sub(1, flip), u));
    const centered = (u: tf.Tensor) =>
      tf.sub(tf.mul(hit, tf.sub(tf.mul(u, 2), 1)), tf.mul(tf.sub(1, hit), 2)) as tf.Tensor2D;
    const inCrop = (crop: RectFields): SampleCoordinates => ({
      y: centered(along(lowY, highY, crop.y, crop.height)),
      x: centered(mirrored(along(lowX, highX, crop.x, crop.width), crop.flip)),
    });
    return { a: inCrop(a), b: inCrop(b), hit: tf.reshape(hit, [n]) };
  });
}

interface RectFields {
  readonly x: tf.Tensor;
  readonly y: tf.Tensor;
  readonly width: tf.Tensor;
  readonly height: tf.Tensor;
  readonly flip: tf.Tensor;
}

function fieldsOf(rects: tf.Tensor2D): RectFields {
  const [x, y, width, height, flip] = tf.split(rects, 5, 1) as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ];
  return { x, y, width, height, flip };
}

/**
 * Bilinear weights of `count` tokens in a row at each coordinate; token i lies in the middle of the i-th of
 * `count` equal parts of -1 … 1. Beyond the first and the last there is nothing (zero) with padding `zeros`; with
 * `border` a coordinate there is that of the first or the last.
 *
 *     weight_i = max(0, 1 - |((c + 1) count - 1) / 2 - i|)
 *
 * @param coordinates [n, g]
 * @returns [n, g, count]
 */
export function bilinearWeights(
  coordinates: tf.Tensor2D,
  count: number,
  padding: SamplePadding = "zeros",
): tf.Tensor3D {
  return float32(() => {
    const inTokens = tf.div(tf.sub(tf.mul(tf.add(coordinates, 1), count), 1), 2);
    const at = padding === "zeros" ? inTokens : withinTokens(inTokens, count);
    const tokens = constant(
      Float32Array.from({ length: count }, (_, i) => i),
      [1, 1, count],
    );
    return tf.relu(tf.sub(1, tf.abs(tf.sub(tf.expandDims(at, 2), tokens))));
  });
}

/** Moves what lies in the outer half of an outermost token to its middle; crops that do not overlap stay outside. */
function withinTokens(at: tf.Tensor, count: number): tf.Tensor {
  return tf.where(tf.less(at, -0.75), at, tf.clipByValue(at, 0, count - 1));
}

/**
 * Sampling weights of both crops' tokens on their overlap: `overlapCoordinates`, then `bilinearWeights`.
 *
 * @param rectsA [n, 5] x, y, width, height in source pixels, flip 0 or 1
 * @param rectsB [n, 5]
 * @param options `side` g points per side (at least 2); the token grids of the two crops; `padding` (default: zeros)
 */
export function overlapSampling(
  rectsA: tf.Tensor2D,
  rectsB: tf.Tensor2D,
  {
    side,
    gridA,
    gridB,
    padding,
  }: { side: number; gridA: GridSize; gridB: GridSize; padding?: SamplePadding },
): OverlapPair<SampleWeights> {
  const { a, b, hit } = overlapCoordinates(rectsA, rectsB, side);
  const weights = ({ y, x }: SampleCoordinates, grid: GridSize): SampleWeights => ({
    y: bilinearWeights(y, grid.rows, padding),
    x: bilinearWeights(x, grid.columns, padding),
  });
  return { a: weights(a, gridA), b: weights(b, gridB), hit };
}

/**
 * Features at the sample points, in float32; each sample may be sampled K times, for K other crops. The weights get no
 * gradient.
 *
 *     out[(n, k), (a, b)] = sum_ij y[(n, k), a, i] x[(n, k), b, j] features[n, (i, j)]
 *
 * and dfeatures is the transposed sum.
 *
 * @param features [n, rows * columns, C], row-major
 * @param weights y [n * K, g, rows], x [n * K, g, columns]
 * @returns [n * K, g * g, C], row-major
 * @throws Error if the weights are not for this many tokens
 */
export function sampleFeatures(features: tf.Tensor3D, { y, x }: SampleWeights): tf.Tensor3D {
  const [n, count, channels] = features.shape;
  const [crops, side, rows] = y.shape;
  const columns = x.shape[2];
  if (count !== rows * columns || crops % n !== 0 || x.shape[0] !== crops) {
    throw new Error(`sampleFeatures: [${features.shape}] features, weights y [${y.shape}], x [${x.shape}]`);
  }
  // The rows of all K crops of a sample at once; for the columns one matrix per sample row: x is needed g times.
  const rowPoints = (y: tf.Tensor) => tf.reshape(y, [n, (crops / n) * side, rows]);
  const perRow = (x: tf.Tensor) => tf.reshape(tf.tile(x, [1, side, 1]), [crops * side, side, columns]);
  return float32(() =>
    withGradient(
      [features],
      () => {
        const byRow = tf.matMul(rowPoints(y), tf.reshape(features, [n, rows, columns * channels]));
        const sampled = tf.matMul(perRow(x), tf.reshape(byRow, [crops * side, columns, channels]));
        return { value: tf.reshape(sampled, [crops, side * side, channels]) as tf.Tensor3D, saved: [y, x] };
      },
      (dy, [y, x]) => {
        const byRow = tf.matMul(perRow(x), tf.reshape(dy, [crops * side, side, channels]), true);
        const byPoint = tf.reshape(byRow, [n, (crops / n) * side, columns * channels]);
        return [tf.reshape(tf.matMul(rowPoints(y), byPoint, true), [n, count, channels])];
      },
    ),
  );
}
