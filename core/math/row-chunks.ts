import * as tf from "@tensorflow/tfjs-core";
import { after } from "./after.ts";

/** The rows [begin, begin + size) of a tensor. */
export interface RowRange {
  readonly begin: number;
  readonly size: number;
}

/** [0, rows) in `count` ranges whose sizes differ by one at most, or in as many as there are rows. */
export function rowRanges(rows: number, count: number): RowRange[] {
  const chunks = Math.max(1, Math.min(count, rows));
  return Array.from({ length: chunks }, (_, i) => {
    const begin = Math.floor((i * rows) / chunks);
    return { begin, size: Math.floor(((i + 1) * rows) / chunks) - begin };
  });
}

/** Some rows of a tensor, for use when all of `previous` is there. Without a gradient where anything is. */
export function rowsAfter<T extends tf.Tensor>(
  x: T,
  { begin, size }: RowRange,
  previous: readonly tf.Tensor[],
): T {
  return previous.reduce<T>(after, tf.slice(x, begin, size));
}

/**
 * `compute` of some rows at a time, one chunk after another, and the results put together: what lies between stays in
 * the processor's caches. Without a gradient.
 *
 * @param inputs [R, ...] each, the first the widest
 * @param chunkValues values of a chunk of the first, more where there would be above `most` chunks
 * @returns [R, ...]
 */
export function mapRows<T extends tf.Tensor, const I extends readonly tf.Tensor[]>(
  inputs: I,
  compute: (...inputs: I) => T,
  { chunkValues, most }: { chunkValues: number; most: number },
): T {
  const [widest] = inputs as readonly tf.Tensor[];
  const chunks = Math.min(most, Math.ceil(widest!.size / chunkValues));
  const ranges = rowRanges(widest!.shape[0]!, chunks);
  if (ranges.length === 1) return compute(...inputs);
  const results: T[] = [];
  for (const range of ranges) {
    const previous = results.slice(-1);
    const own = inputs.map((x) => rowsAfter(x, range, previous)) as readonly tf.Tensor[] as I;
    results.push(compute(...own));
  }
  return tf.concat(results);
}
