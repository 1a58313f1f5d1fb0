/** In which order an epoch shows the images: a function of the seed and the epoch. */
import { Random } from "../random.ts";
import type { Dataset } from "./dataset.ts";

/**
 * All images, shuffled. Where they lie in blocks, the blocks are shuffled, and the images of every `window` of them: so
 * that an epoch opens few blocks at a time and leaves each for good.
 *
 * @param window blocks that are mixed; the dataset's own unless given
 * @returns [size] a permutation of the dataset's indices
 */
export function epochOrder(
  { size, blocks }: Dataset,
  seed: number,
  epoch: number,
  window = blocks?.window ?? 1,
): Int32Array {
  if (blocks === undefined) return new Random(seed, "order", epoch).permutation(size);
  const { starts } = blocks;
  const shuffled = new Random(seed, "block-order", epoch).permutation(starts.length);
  const order = new Int32Array(size);
  for (let first = 0, at = 0; first < shuffled.length; first += window) {
    const from = at;
    for (const block of shuffled.subarray(first, first + window)) {
      const end = starts[block + 1] ?? size;
      for (let index = starts[block]!; index < end; index++) order[at++] = index;
    }
    const mixed = order.slice(from, at);
    const places = new Random(seed, "order", epoch, first).permutation(mixed.length);
    places.forEach((place, i) => (order[from + i] = mixed[place]!));
  }
  return order;
}
