import type { ImageSet } from "../eval/extractor.ts";
import { rgbImage, type RgbImage } from "../report/images.ts";

/** One image of a set, for the report. */
export function imageOf({ pixels, size, channels }: ImageSet, index: number): RgbImage {
  const bytes = size * size * channels;
  const own = pixels.subarray(index * bytes, (index + 1) * bytes);
  return rgbImage(own, { width: size, height: size, channels });
}
