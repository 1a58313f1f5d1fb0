/** Encoded images to pixels, once per image, through sharp. */
import sharp, { type Sharp } from "sharp";
import { errors, RelataError } from "../errors.ts";
import { imageReader, type ImageReader } from "./image-reader.ts";
import { nameOf, type ImageSource } from "./image-source.ts";

/** 8-bit pixels, row-major, channels last: data[(y * width + x) * channels + c]. */
export interface Raster {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: Channels;
}

/** 3: sRGB. 1: its luminance, or a grey image's own values. */
export type Channels = 1 | 3;

/** As `Raster`, with red, green, blue and an alpha of 0 (clear) to 255. */
export interface RgbaRaster extends Omit<Raster, "channels"> {
  readonly channels: 4;
}

export interface DecodeOptions {
  /** Default 3. */
  readonly channels?: Channels;
  /** What transparent pixels lie on, "#rrggbb". Default white. */
  readonly background?: string;
  /** Where the bytes come from. */
  readonly reader?: ImageReader;
}

export const WHITE = "#ffffff";

// One image is one task of ours: threads within an image would fight over the same cores. Every image is
// opened once, so libvips' cache would only hold memory.
sharp.concurrency(1);
sharp.cache(false);

/**
 * Decodes the first frame or page, upright (EXIF orientation), as 8-bit sRGB (embedded profiles, CMYK and 16 bits
 * converted), without alpha.
 *
 * @param image a file's path, or where else it is
 * @throws IMAGE_UNREADABLE for a missing, truncated or corrupt image; CONFIG_INVALID for another background.
 */
export async function decode(image: string | ImageSource, options: DecodeOptions = {}): Promise<Raster> {
  const { channels = 3, background = WHITE, reader } = options;
  checkBackground(background);
  const raster = await opened(image, reader, (sharp) =>
    pixelsOf(sharp.flatten({ background }).toColourspace(channels === 3 ? "srgb" : "b-w")),
  );
  return raster as Raster;
}

/** As `decode`, keeping alpha: for masks of what is drawn. */
export async function decodeRgba(image: string | ImageSource): Promise<RgbaRaster> {
  const raster = await opened(image, imageReader, (sharp) =>
    pixelsOf(sharp.ensureAlpha().toColourspace("srgb")),
  );
  return raster as RgbaRaster;
}

/**
 * Width and height of the image as `decode` gives it, from its header.
 *
 * @throws IMAGE_UNREADABLE
 */
export function imageSize(image: string | ImageSource): Promise<{ width: number; height: number }> {
  return opened(image, imageReader, async (sharp) => (await sharp.metadata()).autoOrient);
}

/** Whether it says that one image is of no use: missing, corrupt, or too large for the memory. */
export function isUnreadable(error: unknown): error is RelataError {
  return error instanceof RelataError && (error.code === "IMAGE_UNREADABLE" || error.code === "IMAGE_MEMORY");
}

/** @throws CONFIG_INVALID unless it is "#rrggbb". */
export function checkBackground(background: string): void {
  if (/^#[0-9a-f]{6}$/i.test(background)) return;
  throw errors.configInvalid("data.background", `"${background}" is not a colour such as "${WHITE}"`);
}

async function opened<T>(
  image: string | ImageSource,
  reader: ImageReader = imageReader,
  use: (image: Sharp) => Promise<T>,
): Promise<T> {
  const source = typeof image === "string" ? { path: image } : image;
  try {
    // "error", not "warning": harmless oddities (bytes after the end, strange metadata) are common in the wild.
    return await use(sharp(await reader.read(source), { failOn: "error", autoOrient: true }));
  } catch (cause) {
    const [reason = ""] = (cause instanceof Error ? cause.message : String(cause)).trim().split("\n");
    throw errors.imageUnreadable(nameOf(source), reason).because(cause);
  }
}

async function pixelsOf(image: Sharp) {
  const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  return { data: data as Uint8Array, width: info.width, height: info.height, channels: info.channels };
}
