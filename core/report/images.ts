import sharp, { type Sharp } from "sharp";
import { errors } from "../errors.ts";

/** 8-bit RGB pixels, row-major: `data` is [height, width, 3]. */
export interface RgbImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** A rectangle drawn over an image, in fractions 0..1 of its size. */
export interface Box {
  readonly kind: "global" | "local" | "overlap";
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A number per patch: `cells` is [rows, columns]. */
export interface PatchCells {
  readonly rows: number;
  readonly columns: number;
  readonly cells: ArrayLike<number>;
}

export interface AnnotatedImage {
  readonly image: RgbImage;
  readonly boxes?: readonly Box[];
  /** Patches that the student does not see: not 0 where masked. */
  readonly mask?: PatchCells;
  /** How bright each patch is shown, 0 (dimmed) to 1 (as it is). */
  readonly light?: PatchCells;
  /** A marked point, in fractions 0..1 of the image's size. */
  readonly point?: { readonly x: number; readonly y: number };
}

/** Colours of the boxes; each lies on a white line, so that it shows on any picture. */
export const BOX_COLOURS = { global: "#0b6bcb", local: "#d9480f", overlap: "#2b8a3e" } as const;

/** Opacity of the shade over a patch that is shown dimmed. */
const DIMMED = 0.82;

export const MASK_COLOUR = "#868e96";

/** Values 0..255, [height, width, channels], as an RGB image; grey ones get three equal channels. */
export function rgbImage(
  values: ArrayLike<number>,
  { width, height, channels }: { width: number; height: number; channels: number },
): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    const from = channels === 3 ? i : Math.floor(i / 3);
    data[i] = Math.round(Math.min(255, Math.max(0, values[from]!)));
  }
  return { data, width, height };
}

/** @throws IMAGE_INVALID when the data do not fit the size. */
export async function encodePng(image: RgbImage): Promise<Buffer> {
  return raw(image).png({ compressionLevel: 9 }).toBuffer();
}

/**
 * Boxes and mask as an SVG of the given size in pixels.
 * Overlaps are tinted; global crops are drawn solid, local ones dashed.
 */
export function overlaySvg(
  { boxes = [], mask, light, point }: Omit<AnnotatedImage, "image">,
  width: number,
  height: number,
): string {
  const rect = (x: number, y: number, w: number, h: number, style: string) =>
    `<rect x="${round(x * width)}" y="${round(y * height)}" ` +
    `width="${round(w * width)}" height="${round(h * height)}" ${style}/>`;
  const parts: string[] = [];
  const patches = ({ rows, columns, cells }: PatchCells, styleOf: (cell: number) => string | undefined) => {
    for (let i = 0; i < rows * columns; i++) {
      const style = styleOf(cells[i]!);
      if (style === undefined) continue;
      parts.push(rect((i % columns) / columns, Math.floor(i / columns) / rows, 1 / columns, 1 / rows, style));
    }
  };
  if (mask) patches(mask, (cell) => (cell ? `fill="${MASK_COLOUR}" fill-opacity="0.85"` : undefined));
  if (light) patches(light, (cell) => `fill="#000" fill-opacity="${round(DIMMED * (1 - cell))}"`);
  const stroke = 'fill="none" vector-effect="non-scaling-stroke"';
  for (const { kind, x, y, width: w, height: h } of boxes) {
    const colour = BOX_COLOURS[kind];
    if (kind === "overlap") {
      parts.push(rect(x, y, w, h, `fill="${colour}" fill-opacity="0.18"`));
      continue;
    }
    const dash = kind === "local" ? ' stroke-dasharray="4 2"' : "";
    parts.push(rect(x, y, w, h, `${stroke} stroke="#fff" stroke-width="3.5" stroke-opacity="0.8"`));
    parts.push(rect(x, y, w, h, `${stroke} stroke="${colour}" stroke-width="1.75"${dash}`));
  }
  if (point) {
    const [x, y, r] = [round(point.x * width), round(point.y * height), round(Math.max(2, width / 28))];
    parts.push(
      `<circle cx="${x}" cy="${y}" r="${r}" fill="${BOX_COLOURS.local}" stroke="#fff" stroke-width="${round(r / 2.5)}"/>`,
    );
  }
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" aria-hidden="true">${parts.join("")}</svg>`
  );
}

/**
 * One PNG of images in rows and columns: a row per sample, a column per view.
 *
 * @param rows cells may be missing; rows may be of unequal length.
 * @param options.cellSize side of a cell in pixels: each image is scaled to fit and centred (default 128).
 * @param options.gap pixels around and between cells (default 8).
 * @throws IMAGE_INVALID for an empty grid or data that do not fit an image's size.
 */
export async function encodeGrid(
  rows: readonly (readonly (AnnotatedImage | undefined)[])[],
  options: { cellSize?: number; gap?: number; background?: string } = {},
): Promise<Buffer> {
  const { cellSize = 128, gap = 8, background = "#ffffff" } = options;
  const columns = Math.max(0, ...rows.map((row) => row.length));
  if (columns === 0) throw errors.imageInvalid("image grid", "it has no cells");
  const pitch = cellSize + gap;
  const cells = rows.flatMap((row, y) =>
    row.map(async (cell, x) => {
      if (!cell) return [];
      const { width, height } = fit(cell.image, cellSize);
      const left = gap + x * pitch + Math.floor((cellSize - width) / 2);
      const top = gap + y * pitch + Math.floor((cellSize - height) / 2);
      const image = await raw(cell.image)
        .resize(width, height, { fit: "fill", kernel: "cubic" })
        .png()
        .toBuffer();
      if (!isAnnotated(cell)) return [{ input: image, left, top }];
      return [
        { input: image, left, top },
        { input: Buffer.from(overlaySvg(cell, width, height)), left, top },
      ];
    }),
  );
  return sharp({
    create: { width: gap + columns * pitch, height: gap + rows.length * pitch, channels: 3, background },
  })
    .composite((await Promise.all(cells)).flat())
    .removeAlpha()
    .png({ compressionLevel: 9 })
    .toBuffer();
}

/** Whether there is anything to draw over the image. */
export function isAnnotated({ boxes, mask, light, point }: AnnotatedImage): boolean {
  return [boxes, mask, light, point].some((overlay) => overlay !== undefined);
}

/** The largest size of the image's proportions inside a square. */
function fit({ width, height }: RgbImage, side: number): { width: number; height: number } {
  const scale = side / Math.max(width, height);
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

function raw({ data, width, height }: RgbImage): Sharp {
  if (data.length !== width * height * 3) {
    throw errors.imageInvalid(`image of ${width} x ${height}`, `it has ${data.length} bytes`);
  }
  return sharp(data, { raw: { width, height, channels: 3 } });
}

const round = (value: number) => Math.round(value * 100) / 100;
