/**
 * Keeps small decoded images: opening a 64-pixel PNG takes ten times as long as cropping it. Full is full:
 * in a shuffled pass over more images than fit, any eviction would throw out what comes next.
 */
import { decode, type DecodeOptions, type Raster } from "./decode.ts";

/** Of one image: larger ones are worth decoding again. */
const MAX_IMAGE_BYTES = 128 * 128 * 3;
/** Of all images, per thread that decodes. */
const MAX_BYTES = 96 * 2 ** 20;

/** One per set of decode options. */
export class DecodeCache {
  private readonly images = new Map<string, Raster>();
  private bytes = 0;

  /** @throws IMAGE_UNREADABLE */
  async decode(path: string, options: DecodeOptions): Promise<Raster> {
    const kept = this.images.get(path);
    if (kept) return kept;
    const image = await decode(path, options);
    const { byteLength } = image.data;
    if (byteLength <= MAX_IMAGE_BYTES && this.bytes + byteLength <= MAX_BYTES) {
      this.images.set(path, image);
      this.bytes += byteLength;
    }
    return image;
  }
}
