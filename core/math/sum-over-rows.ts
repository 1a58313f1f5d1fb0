import * as tf from "@tensorflow/tfjs-core";
import { innerGradients } from "./inner-gradients.ts";
import { rowRanges, rowsAfter } from "./row-chunks.ts";
import { withGradient } from "./with-gradient.ts";

/** Values of the widest tensor of a chunk: 64 MiB in float32. */
const CHUNK_VALUES = 2 ** 24;

/** What a loss of `sumOverRows` reads. */
export interface RowsOfLoss<
  R extends readonly tf.Tensor[] = readonly tf.Tensor[],
  W extends readonly tf.Tensor[] = readonly tf.Tensor[],
> {
  /** [R, ...], gets a gradient */
  readonly x: tf.Tensor2D;
  /** [R, ...] each, without a gradient */
  readonly rows: R;
  /** Read whole, get a gradient */
  readonly weights: W;
  /** Values of a row's widest tensor: the number of prototypes or classes. */
  readonly width: number;
}

/**
 * A loss that is a sum over rows, some rows at a time where all would be too wide, so that memory does not grow with
 * their number. A chunk's gradients are computed right after its value and nothing else of it is kept (arXiv 2410.10989,
 * section 3.2): no product is computed twice.
 *
 * @param compute the loss of some rows, which depends on x and on every weight. What else it reads gets no gradient.
 * @param chunkValues rows times width of a chunk (default 2^24)
 */
export function sumOverRows<const R extends readonly tf.Tensor[], const W extends readonly tf.Tensor[]>(
  { x, rows, weights, width }: RowsOfLoss<R, W>,
  compute: (x: tf.Tensor2D, rows: R, weights: W) => tf.Scalar,
  chunkValues: number = CHUNK_VALUES,
): tf.Scalar {
  const ranges = rowRanges(x.shape[0], Math.ceil((x.shape[0] * width) / chunkValues));
  if (ranges.length === 1) return compute(x, rows, weights);
  return withGradient<tf.Scalar, tf.Tensor[]>(
    [x, ...weights],
    () => {
      const values: tf.Scalar[] = [];
      const ofX: tf.Tensor[] = [];
      let ofWeights: tf.Tensor[] = [];
      for (const range of ranges) {
        const previous = [...ofX.slice(-1), ...ofWeights];
        const chunkOf = (whole: tf.Tensor) => rowsAfter(whole, range, previous);
        const ownRows = rows.map(chunkOf) as readonly tf.Tensor[] as R;
        const { value, gradients } = innerGradients(
          (x, ...weights) => compute(x as tf.Tensor2D, ownRows, weights as readonly tf.Tensor[] as W),
          [chunkOf(x), ...weights],
        );
        const [first, ...others] = gradients;
        values.push(value);
        ofX.push(first!);
        ofWeights = others.map((gradient, i) => (ofWeights[i] ? tf.add(ofWeights[i], gradient) : gradient));
      }
      return { value: tf.addN(values) as tf.Scalar, saved: [tf.concat(ofX), ...ofWeights] };
    },
    (dy, gradients) => gradients.map((gradient) => tf.mul(gradient, dy)),
  );
}
