/**
 * Keeps small decoded images: opening a 64-pixel PNG takes ten times as long as cropping it. Full is full:
 * in a shuffled pass over more images than fit, any eviction would throw out what comes next.
 */
import { FileReader } from "./file-reader.ts";
import { decode, type DecodeOptions, type Raster } from "./decode.ts";
import { ImageReader } from "./image-reader.ts";
import { keyOf, type ImageSource } from "./image-source.ts";

/** Of one image: larger ones are worth decoding again. */
const MAX_IMAGE_BYTES = 128 * 128 * 3;
/** Of all images, per thread that decodes. */
const MAX_BYTES = 96 * 2 ** 20;

/** One per set of decode options. */
export class DecodeCache {
  private readonly images = new Map<string, Raster>();
  private readonly reader: ImageReader;
  private bytes = 0;

  constructor(reader: ImageReader) {
    this.reader = reader;
  }

  /** @param readTimeout seconds; see FileReader */
  static of({ readTimeout }: { readonly readTimeout: number }): DecodeCache {
    return new DecodeCache(new ImageReader(new FileReader({ timeoutSeconds: readTimeout })));
  }

  /** @throws IMAGE_UNREADABLE */
  async decode(source: ImageSource, options: Omit<DecodeOptions, "reader">): Promise<Raster> {
    const key = keyOf(source);
    const kept = this.images.get(key);
    if (kept) return kept;
    const image = await decode(source, { ...options, reader: this.reader });
    const { byteLength } = image.data;
    if (byteLength <= MAX_IMAGE_BYTES && this.bytes + byteLength <= MAX_BYTES) {
      this.images.set(key, image);
      this.bytes += byteLength;
    }
    return image;
  }
}
