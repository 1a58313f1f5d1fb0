/** Images for evaluations: one fixed view of each, in fixed batches. */
import { availableParallelism } from "node:os";
import { Random } from "../random.ts";
import { mapLimited } from "./ahead.ts";
import type { RelataError } from "../errors.ts";
import { jitterColor } from "./color-jitter.ts";
import { DEFAULT_RATIO, sampleCrop } from "./crop.ts";
import type { Dataset } from "./dataset.ts";
import { checkBackground, decode, isUnreadable, WHITE, type Channels, type Raster } from "./decode.ts";
import { Resampler } from "./resample.ts";

export interface EvaluationOptions {
  /** Side of the square image in pixels. */
  readonly size: number;
  readonly channels?: Channels;
  /** What transparent pixels lie on, "#rrggbb". */
  readonly background?: string;
}

export interface CenteredOptions extends EvaluationOptions {
  /**
   * The shorter side is resized to size * resizeRatio, then the centre is cropped. Default 256/224, the
   * protocol of ImageNet; 1 for square images up to 128 pixels, whose subject fills them.
   */
  readonly resizeRatio?: number;
}

export interface EvaluationBatch {
  /** [batchSize, size, size, channels]; rows from `count` on are zero. */
  readonly pixels: Uint8Array;
  /** Rows that hold an image. */
  readonly count: number;
  /** [count] dataset index of each row. */
  readonly indices: Int32Array;
  /** Images that could not be read and have no row. */
  readonly skipped: readonly { readonly index: number; readonly error: RelataError }[];
}

/** Shorter side of the resized image over that of the crop. */
export const IMAGENET_RATIO = 256 / 224;
const SMALL_SIDE = 128;

/**
 * The centre of each image.
 *
 * @returns [indices, size, size, channels]
 * @throws IMAGE_UNREADABLE
 */
export function loadCentered(
  dataset: Dataset,
  indices: ArrayLike<number>,
  options: CenteredOptions,
): Promise<Uint8Array> {
  return loadAll(dataset, indices, options, centered(options));
}

/**
 * One changed view of each image, for view retrieval: a crop of 40 to 100 % of the area, mirrored half of the
 * time, with a change of brightness, contrast and saturation (see `jitterColor`). An image's view depends on
 * the seed and its index only.
 *
 * @returns [indices, size, size, channels]
 * @throws IMAGE_UNREADABLE
 */
export function augmentedOnce(
  dataset: Dataset,
  indices: ArrayLike<number>,
  seed: number,
  options: EvaluationOptions,
): Promise<Uint8Array> {
  return loadAll(dataset, indices, options, augmented(seed, options));
}

/** As `loadCentered`, in batches of one shape; unreadable images are left out and told. */
export function centeredBatches(
  dataset: Dataset,
  indices: ArrayLike<number>,
  options: CenteredOptions & { readonly batchSize: number },
): AsyncGenerator<EvaluationBatch, void, undefined> {
  return batches(dataset, indices, options, centered(options));
}

/** As `augmentedOnce`, in batches of one shape; unreadable images are left out and told. */
export function augmentedBatches(
  dataset: Dataset,
  indices: ArrayLike<number>,
  seed: number,
  options: EvaluationOptions & { readonly batchSize: number },
): AsyncGenerator<EvaluationBatch, void, undefined> {
  return batches(dataset, indices, options, augmented(seed, options));
}

/** Writes an image's view to `out`. */
type ShowImage = (image: Raster, index: number, out: Uint8Array) => void;

function centered(options: CenteredOptions): ShowImage {
  return (image, _index, out) => out.set(centeredBytes(image, options));
}

/** The centre of one image, [size, size, the image's channels] bytes. */
export function centeredBytes(image: Raster, { size, resizeRatio }: CenteredOptions): Uint8Array {
  const { width, height, channels } = image;
  const fills = width === height && width <= SMALL_SIDE;
  const side = Math.min(width, height) / (resizeRatio ?? (fills ? 1 : IMAGENET_RATIO));
  // Resizing and cropping in one: the rectangle that ends up as the crop, with what lies around it.
  const region = { x: (width - side) / 2, y: (height - side) / 2, width: side, height: side };
  const bounds = { x: 0, y: 0, width, height };
  const out = new Uint8Array(size * size * channels);
  new Resampler(image).resize({ region, width: size, height: size, bounds }, out);
  return out;
}

function augmented(seed: number, { size, channels = 3 }: EvaluationOptions): ShowImage {
  return (image, index, out) => {
    const random = new Random(seed, "augmented-once", index);
    const region = sampleCrop(random, image.width, image.height, { scale: [0.4, 1], ratio: DEFAULT_RATIO });
    const flip = random.bernoulli(0.5);
    new Resampler(image).resize({ region, width: size, height: size, flip }, out);
    jitterColor(out, channels, random);
  };
}

/** Images of a batch, where nothing says it. */
const BATCH = 64;

async function loadAll(
  dataset: Dataset,
  indices: ArrayLike<number>,
  options: EvaluationOptions,
  show: ShowImage,
): Promise<Uint8Array> {
  const rowBytes = options.size ** 2 * (options.channels ?? 3);
  const out = new Uint8Array(indices.length * rowBytes);
  let rows = 0;
  for await (const batch of batches(dataset, indices, { ...options, batchSize: BATCH }, show)) {
    for (const { error } of batch.skipped) throw error;
    out.set(batch.pixels.subarray(0, batch.count * rowBytes), rows * rowBytes);
    rows += batch.count;
  }
  return out;
}

async function* batches(
  dataset: Dataset,
  indices: ArrayLike<number>,
  options: EvaluationOptions & { readonly batchSize: number },
  show: ShowImage,
): AsyncGenerator<EvaluationBatch, void, undefined> {
  const { batchSize, size, channels = 3 } = options;
  const rowBytes = size ** 2 * channels;
  const order = Array.from(indices);
  for (let first = 0; first < order.length; first += batchSize) {
    const chunk = order.slice(first, first + batchSize);
    // An image is shown, and forgotten, as soon as it is decoded: a batch of photos would be gigabytes.
    const rows = await mapLimited(chunk, availableParallelism(), async (index) => {
      const row = new Uint8Array(rowBytes);
      try {
        show(await open(dataset, index, options), index, row);
        return row;
      } catch (error) {
        if (isUnreadable(error)) return error;
        throw error;
      }
    });
    const pixels = new Uint8Array(batchSize * rowBytes);
    const shown: number[] = [];
    const skipped: { index: number; error: RelataError }[] = [];
    rows.forEach((row, i) => {
      const index = chunk[i]!;
      if (row instanceof Error) {
        skipped.push({ index, error: row });
      } else {
        pixels.set(row, shown.length * rowBytes);
        shown.push(index);
      }
    });
    yield { pixels, count: shown.length, indices: Int32Array.from(shown), skipped };
  }
}

function open(
  dataset: Dataset,
  index: number,
  { channels, background = WHITE }: EvaluationOptions,
): Promise<Raster> {
  checkBackground(background);
  return decode(dataset.item(index), { channels, background });
}
