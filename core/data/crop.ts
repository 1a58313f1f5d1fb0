/** Where a view comes from: the geometry of random resized crops. */
import type { Random } from "../random.ts";

/** Whole pixels of the upright source image. */
export interface CropRect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** What two rectangles share; undefined where that has no area. */
export function intersection(a: CropRect, b: CropRect): CropRect | undefined {
  const [x, y] = [Math.max(a.x, b.x), Math.max(a.y, b.y)];
  const width = Math.min(a.x + a.width, b.x + b.width) - x;
  const height = Math.min(a.y + a.height, b.y + b.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : undefined;
}

export interface CropRanges {
  /** Share of the image's area, 0..1. */
  readonly scale: readonly [number, number];
  /** Width / height, drawn evenly in its logarithm. */
  readonly ratio: readonly [number, number];
}

/** The ratios of Inception-style crops, used by all methods here. */
export const DEFAULT_RATIO: readonly [number, number] = [3 / 4, 4 / 3];

const TRIES = 10;

/**
 * A rectangle with an area and a ratio from the ranges, anywhere inside the image.
 *
 * Up to 10 draws; where none fits (a long image), the largest centred rectangle whose ratio is nearest to the
 * image's own within the range.
 */
export function sampleCrop(
  random: Random,
  width: number,
  height: number,
  { scale, ratio }: CropRanges,
): CropRect {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const area = random.uniform(...scale) * width * height;
    const aspect = Math.exp(random.uniform(Math.log(ratio[0]), Math.log(ratio[1])));
    const w = Math.round(Math.sqrt(area * aspect));
    const h = Math.round(Math.sqrt(area / aspect));
    if (w > 0 && w <= width && h > 0 && h <= height) {
      const y = random.integer(0, height - h);
      const x = random.integer(0, width - w);
      return { x, y, width: w, height: h };
    }
  }
  const aspect = width / height;
  const w = aspect > ratio[1] ? Math.max(1, Math.round(height * ratio[1])) : width;
  const h = aspect < ratio[0] ? Math.max(1, Math.round(width / ratio[0])) : height;
  return { x: Math.floor((width - w) / 2), y: Math.floor((height - h) / 2), width: w, height: h };
}
