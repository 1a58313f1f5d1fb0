/** Images to views: the part of the pipeline that runs in a worker. A pure function of the task. */
import { RelataError } from "../errors.ts";
import { Random } from "../random.ts";
import { sampleCrop } from "./crop.ts";
import type { DecodeCache } from "./decode-cache.ts";
import type { Channels, Raster } from "./decode.ts";
import { Resampler } from "./resample.ts";
import type { ViewGroup } from "./view-group.ts";

export interface RenderSettings {
  readonly seed: number;
  readonly views: readonly ViewGroup[];
  readonly channels: Channels;
  readonly background: string;
}

/** A few samples of a batch. */
export interface RenderTask {
  readonly settings: RenderSettings;
  readonly epoch: number;
  readonly samples: readonly RenderSample[];
}

export interface RenderSample {
  readonly path: string;
  /** The sample's key for random draws; stays the same when another image takes its place. */
  readonly index: number;
}

/** Arrays by view group, in the order of the settings. */
export interface Rendered {
  /** [samples, count, size, size, channels]; zero where the image could not be read. */
  readonly pixels: readonly Uint8Array[];
  /** [samples, count, 5] x, y, width, height in source pixels, flip 0 or 1. */
  readonly rects: readonly Float32Array[];
  /** [samples] why the image could not be read. */
  readonly failures: readonly (string | undefined)[];
}

/** Numbers of a rectangle: x, y, width, height, flip. */
export const RECT_LENGTH = 5;

export async function render(
  { settings, epoch, samples }: RenderTask,
  cache: DecodeCache,
): Promise<Rendered> {
  const { views, channels, background } = settings;
  const rendered = {
    pixels: views.map(({ count, size }) => new Uint8Array(samples.length * count * size * size * channels)),
    rects: views.map(({ count }) => new Float32Array(samples.length * count * RECT_LENGTH)),
    failures: [] as (string | undefined)[],
  };
  for (const [row, { path, index }] of samples.entries()) {
    try {
      const image = await cache.decode(path, { channels, background });
      renderViews(image, row, index, settings, epoch, rendered);
      rendered.failures.push(undefined);
    } catch (cause) {
      if (!(cause instanceof RelataError && cause.code === "IMAGE_UNREADABLE")) throw cause;
      rendered.failures.push(cause.message);
    }
  }
  return rendered;
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
