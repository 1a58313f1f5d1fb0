/** Images to views: the part of the pipeline that runs in a worker. A pure function of the task. */
import { Random } from "../random.ts";
import { sampleCrop } from "./crop.ts";
import type { DecodeCache } from "./decode-cache.ts";
import { isUnreadable, type Channels, type Raster } from "./decode.ts";
import { ReadError } from "./file-reader.ts";
import type { ImageSource } from "./image-source.ts";
import { Resampler } from "./resample.ts";
import type { ViewGroup } from "./view-group.ts";

export interface RenderSettings {
  readonly seed: number;
  readonly views: readonly ViewGroup[];
  readonly channels: Channels;
  readonly background: string;
  /** Seconds; see FileReader. */
  readonly readTimeout: number;
}

/** A few samples of a batch. */
export interface RenderTask {
  readonly settings: RenderSettings;
  readonly epoch: number;
  readonly samples: readonly RenderSample[];
}

export interface RenderSample {
  readonly source: ImageSource;
  /** The sample's key for random draws; stays the same when another image takes its place. */
  readonly index: number;
}

/** Arrays by view group, in the order of the settings. */
export interface Rendered {
  /** [samples, count, size, size, channels]; zero where the image could not be read. */
  readonly pixels: readonly Uint8Array[];
  /** [samples, count, 5] x, y, width, height in source pixels, flip 0 or 1. */
  readonly rects: readonly Float32Array[];
  /** [samples] where the image could not be read. */
  readonly failures: readonly (RenderFailure | undefined)[];
}

export interface RenderFailure {
  readonly reason: string;
  /** The disk does not give the bytes, so that there may be nothing wrong with the image. */
  readonly unreachable: boolean;
}

/** Numbers of a rectangle: x, y, width, height, flip. */
export const RECT_LENGTH = 5;

export async function render(
  { settings, epoch, samples }: RenderTask,
  cache: DecodeCache,
): Promise<Rendered> {
  const { channels, background } = settings;
  const rendered = {
    ...nothingRendered(settings, samples.length),
    failures: [] as (RenderFailure | undefined)[],
  };
  for (const [row, { source, index }] of samples.entries()) {
    try {
      const image = await cache.decode(source, { channels, background });
      renderViews(image, row, index, settings, epoch, rendered);
      rendered.failures.push(undefined);
    } catch (cause) {
      if (!isUnreadable(cause)) throw cause;
      rendered.failures.push({ reason: cause.message, unreachable: cause.cause instanceof ReadError });
    }
  }
  return rendered;
}

/** Of samples that could not be read. */
export function nothingRendered(
  { views, channels }: RenderSettings,
  samples: number,
): Pick<Rendered, "pixels" | "rects"> {
  return {
    pixels: views.map(({ count, size }) => new Uint8Array(samples * count * size * size * channels)),
    rects: views.map(({ count }) => new Float32Array(samples * count * RECT_LENGTH)),
  };
}

function renderViews(
  image: Raster,
  row: number,
  index: number,
  { seed, views }: RenderSettings,
  epoch: number,
  { pixels, rects }: Rendered,
): void {
  const resampler = new Resampler(image);
  views.forEach(({ count, size, cropsOf }, group) => {
    const viewBytes = size * size * image.channels;
    for (let view = 0; view < count; view++) {
      const random = new Random(seed, "crop", epoch, index, cropsOf.group, view);
      const region = sampleCrop(random, image.width, image.height, cropsOf);
      const flip = random.bernoulli(cropsOf.flip);
      const at = row * count + view;
      const out = pixels[group]!.subarray(at * viewBytes, (at + 1) * viewBytes);
      resampler.resize({ region, width: size, height: size, flip }, out);
      rects[group]!.set([region.x, region.y, region.width, region.height, Number(flip)], at * RECT_LENGTH);
    }
  });
}
