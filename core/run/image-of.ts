import type { ImageSet } from "../eval/extractor.ts";
import type { RgbImage } from "../report/images.ts";

/** One image of a set, for the report. Grey images get three equal channels. */
export function imageOf({ pixels, size, channels }: ImageSet, index: number): RgbImage {
  const bytes = size * size * channels;
  const own = pixels.subarray(index * bytes, (index + 1) * bytes);
  const data =
    channels === 3 ? own : Uint8Array.from({ length: bytes * 3 }, (_, i) => own[Math.floor(i / 3)]!);
  return { data, width: size, height: size };
}
