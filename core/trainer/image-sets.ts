/** The images that a run is evaluated on, loaded at the size of its network. */
import { augmentedBatches, centeredBatches, type EvaluationBatch } from "../data/evaluation.ts";
import type { ImageSet } from "../eval/extractor.ts";
import type { EvaluationImages } from "./evaluation-subject.ts";

const LOAD_BATCH = 64;

export interface LoadedSet {
  readonly images: ImageSet;
  /** Dataset index of each image; unreadable ones are left out. */
  readonly indices: readonly number[];
}

/** The centre of each image. Throws IMAGE_UNREADABLE where none can be read. */
export function loadSet(
  assembly: EvaluationImages,
  name: string,
  indices: readonly number[],
  size: number,
): Promise<LoadedSet> {
  const options = { ...imageOptions(assembly, size), batchSize: LOAD_BATCH };
  return collect(centeredBatches(assembly.dataset, indices, options), assembly, name, size);
}

/** One changed view of each image, fixed by the run's seed. */
export function loadViews(
  assembly: EvaluationImages,
  name: string,
  indices: readonly number[],
  size: number,
): Promise<LoadedSet> {
  const { dataset, config } = assembly;
  const options = { ...imageOptions(assembly, size), batchSize: LOAD_BATCH };
  return collect(augmentedBatches(dataset, indices, config.seed, options), assembly, name, size);
}

export function imageOptions({ config }: Pick<EvaluationImages, "config">, size: number) {
  return { size, channels: config.data.channels, background: config.data.background };
}

async function collect(
  batches: AsyncIterable<EvaluationBatch>,
  { dataset, config }: EvaluationImages,
  name: string,
  size: number,
): Promise<LoadedSet> {
  const { channels } = config.data;
  const imageBytes = size ** 2 * channels;
  const parts: Uint8Array[] = [];
  const indices: number[] = [];
  let unreadable: Error | undefined;
  for await (const { pixels, count, indices: shown, skipped } of batches) {
    parts.push(pixels.subarray(0, count * imageBytes));
    indices.push(...shown);
    unreadable ??= skipped[0]?.error;
  }
  if (unreadable && indices.length === 0) throw unreadable;
  const pixels = new Uint8Array(Buffer.concat(parts));
  const captions = indices.map((i) => dataset.item(i).id);
  return { images: { name, pixels, count: indices.length, size, channels, captions }, indices };
}
