/** Features of all images of a set, written as they come. */
import { resolve } from "node:path";
import { ahead } from "../data/ahead.ts";
import type { Dataset } from "../data/dataset.ts";
import { centeredBatches } from "../data/evaluation.ts";
import type { Channels } from "../data/decode.ts";
import type { EmbeddingCard, FeatureRow, FeatureWriter } from "../embeddings/feature-writer.ts";
import { featureFormat } from "../embeddings/formats.ts";
import { embeddingOf, type Embedding, type Pooling } from "../embeddings/pooling.ts";
import type { RelataError } from "../errors.ts";
import type { FeatureNetwork } from "../trainer/features.ts";
import { StepClock } from "../trainer/step-clock.ts";
import { makeOutputs, requireFree } from "./output.ts";
import { relataVersion } from "./provenance.ts";

/** What gives the features. */
export interface EmbeddingNetwork extends FeatureNetwork {
  /** Side in pixels of the images that it was made for. */
  readonly size: number;
  /** Of a run's network: the updates done. */
  readonly step?: number;
}

/** How far it is. */
export interface EmbedProgress {
  /** Images, with those that could not be read. */
  readonly done: number;
  readonly total: number;
  readonly skipped: number;
  readonly imagesPerSecond: number;
  readonly etaSeconds: number;
  /** Part of the time in which the network waits for images, 0..1. */
  readonly waitShare: number;
}

/** How features are made, and where they go. */
export interface EmbedOptions {
  /** A file that ends in .parquet, .npy or .safetensors. */
  readonly out: string;
  /** Default: what evaluations take. */
  readonly pooling?: Pooling;
  /** Images at a time (default 64). */
  readonly batchSize?: number;
  /** Side in pixels of what the network sees (default: its own). */
  readonly size?: number;
  /** What transparent pixels lie on, "#rrggbb" (default white). */
  readonly background?: string;
  /** Stops between two batches; nothing is left then. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: EmbedProgress) => void;
  /** Told of images that cannot be read, each once. */
  readonly onSkipped?: (error: RelataError) => void;
}

/** What was written. */
export interface EmbedSummary {
  /** The file. */
  readonly path: string;
  /** Images with features. */
  readonly count: number;
  /** Images that could not be read and have none. */
  readonly skipped: number;
  /** Of one image: [D], or [N, D]. */
  readonly shape: readonly number[];
  readonly seconds: number;
  /** Of them, those in which the network computed. */
  readonly networkSeconds: number;
}

const BATCH = 64;

/**
 * Whether features may be written there: what is wrong shows before a network is opened.
 *
 * @throws OUTPUT_FORMAT, OUTPUT_EXISTS
 */
export async function checkOutput(out: string): Promise<void> {
  const format = await featureFormat(out);
  await requireFree(format.paths(resolve(out)));
}

/**
 * Writes a row for each image that can be read, in the order of the set. Memory holds two batches and what the file's
 * format gathers, however many images there are.
 *
 * @throws OUTPUT_FORMAT, OUTPUT_EXISTS, OUTPUT_WRITE; USAGE for a size or pooling that the backbone does not have;
 *   IMAGE_UNREADABLE where no image can be read; the signal's reason
 */
export async function embedImages(
  network: EmbeddingNetwork,
  dataset: Dataset,
  options: EmbedOptions,
): Promise<EmbedSummary> {
  const { pooling, size = network.size, batchSize = BATCH } = options;
  const out = resolve(options.out);
  const format = await featureFormat(out);
  const embedding = embeddingOf(network, { pooling, size, batchSize });
  const card = cardOf(network, dataset, embedding, size);
  const start = performance.now();
  const { count, skipped, networkSeconds } = await makeOutputs(format.paths(out), async (parts) => {
    const writer = await format.open(parts, card, dataset.size);
    try {
      const counts = await writeRows(writer, network, dataset, embedding, { ...options, size, batchSize });
      await writer.finish({ ...card, count: counts.count, skipped: counts.skipped });
      return counts;
    } finally {
      await writer.close();
    }
  });
  const seconds = (performance.now() - start) / 1000;
  return { path: out, count, skipped, shape: card.shape, seconds, networkSeconds };
}

async function writeRows(
  writer: FeatureWriter,
  { channels }: EmbeddingNetwork,
  dataset: Dataset,
  embedding: Embedding,
  options: EmbedOptions & { readonly size: number; readonly batchSize: number },
): Promise<{ count: number; skipped: number; networkSeconds: number }> {
  const { size, batchSize, background, signal, onProgress, onSkipped } = options;
  const clock = new StepClock(batchSize, 0, Math.ceil(dataset.size / batchSize));
  const all = Array.from({ length: dataset.size }, (_, i) => i);
  const imageOptions = { size, batchSize, background, channels: channels as Channels };
  // The next batch is decoded while the network computes.
  const batches = ahead(centeredBatches(dataset, all, imageOptions));
  let [count, skipped, networkSeconds] = [0, 0, 0];
  let unreadable: RelataError | undefined;
  try {
    for (;;) {
      const { value: batch } = await clock.waiting(() => batches.next());
      signal?.throwIfAborted();
      if (!batch) break;
      for (const { error } of batch.skipped) {
        unreadable ??= error;
        onSkipped?.(error);
      }
      skipped += batch.skipped.length;
      if (batch.count > 0) {
        const began = performance.now();
        const features = await clock.computing(() => embedding.embed({ ...batch, size, channels }));
        networkSeconds += (performance.now() - began) / 1000;
        await writer.write(rowsOf(dataset, batch.indices), features);
        count += batch.count;
      }
      const { imagesPerSecond, etaSeconds, waitShare } = clock.tick();
      const done = count + skipped;
      onProgress?.({ done, total: dataset.size, skipped, imagesPerSecond, etaSeconds, waitShare });
    }
  } finally {
    await batches.return();
  }
  if (unreadable && count === 0) throw unreadable;
  return { count, skipped, networkSeconds };
}

function rowsOf(dataset: Dataset, indices: Int32Array): FeatureRow[] {
  return Array.from(indices, (index) => {
    const { id: path, label } = dataset.item(index);
    return { path, label };
  });
}

function cardOf(
  { name, step, normalisation: { mean, std } }: EmbeddingNetwork,
  dataset: Dataset,
  { features, shape }: Embedding,
  size: number,
): EmbeddingCard {
  return {
    features,
    shape,
    network: name,
    step,
    crop: `centre at ${size} px`,
    size,
    mean,
    std,
    images: dataset.name,
    classNames: dataset.classNames,
    producer: `relata ${relataVersion()}`,
  };
}
