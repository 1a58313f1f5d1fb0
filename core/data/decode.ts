/** Image files to bytes, once per image, through sharp. */
import sharp, { type Sharp } from "sharp";
import { errors } from "../errors.ts";

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
}

export const WHITE = "#ffffff";

// One image is one task of ours: threads within an image would fight over the same cores. Every file is
// read once, so libvips' cache of opened files would only hold memory.
sharp.concurrency(1);
sharp.cache(false);

/**
 * Decodes the first frame or page, upright (EXIF orientation), as 8-bit sRGB (embedded profiles, CMYK and 16 bits
 * converted), without alpha.
 *
 * @throws IMAGE_UNREADABLE for a missing, truncated or corrupt file; CONFIG_INVALID for another background.
 */
export async function decode(path: string, options: DecodeOptions = {}): Promise<Raster> {
  const { channels = 3, background = WHITE } = options;
  checkBackground(background);
  const image = open(path)
    .flatten({ background })
    .toColourspace(channels === 3 ? "srgb" : "b-w");
  return (await bytes(path, image)) as Raster;
}

/** As `decode`, keeping alpha: for masks of what is drawn. */
export async function decodeRgba(path: string): Promise<RgbaRaster> {
  return (await bytes(path, open(path).ensureAlpha().toColourspace("srgb"))) as RgbaRaster;
}

/**
 * Width and height of the image as `decode` gives it, from the file's header.
 *
 * @throws IMAGE_UNREADABLE
 */
export async function imageSize(path: string): Promise<{ width: number; height: number }> {
  const { autoOrient } = await open(path)
    .metadata()
    .catch((cause: unknown) => {
      throw unreadable(path, cause);
    });
  return autoOrient;
}

/** @throws CONFIG_INVALID unless it is "#rrggbb". */
export function checkBackground(background: string): void {
  if (/^#[0-9a-f]{6}$/i.test(background)) return;
  throw errors.configInvalid("data.background", `"${background}" is not a colour such as "${WHITE}"`);
}

function open(path: string): Sharp {
  // "error", not "warning": harmless oddities (bytes after the end, strange metadata) are common in the wild.
  return sharp(path, { failOn: "error", autoOrient: true });
}

async function bytes(path: string, image: Sharp) {
  try {
    const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    return { data: data as Uint8Array, width: info.width, height: info.height, channels: info.channels };
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown) {
  const [reason = ""] = (cause instanceof Error ? cause.message : String(cause)).trim().split("\n");
  return errors.imageUnreadable(path, reason).because(cause);
}
