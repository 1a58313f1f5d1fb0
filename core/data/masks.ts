/** Where the foreground of a dataset's images is known from: their own alpha, or a folder of mask files. */
import { errors } from "../errors.ts";
import type { Dataset, DatasetItem } from "./dataset.ts";
import { decode, decodeRgba, imageSize, type Raster } from "./decode.ts";
import { centeredBytes, type CenteredOptions } from "./evaluation.ts";
import { openImageFolder } from "./image-folder.ts";

export interface MaskSource {
  /** "alpha channel", "masks in ./masks" */
  readonly name: string;
  has(item: DatasetItem): boolean;
  /** One channel of the image's size; 255 is foreground. Of an item that it has. */
  open(item: DatasetItem): Promise<Raster>;
}

/** What is drawn is foreground, what is transparent background. */
export const alphaMasks: MaskSource = {
  name: "alpha channel",
  has: () => true,
  async open(item) {
    const { data, width, height } = await decodeRgba(item);
    const alpha = new Uint8Array(width * height);
    for (let i = 0; i < alpha.length; i++) alpha[i] = data[4 * i + 3]!;
    return { data: alpha, width, height, channels: 1 };
  },
};

/**
 * Mask files with the images' names and sub-folders, whatever their type of image: `cats/7.png` for `cats/7.jpg`.
 * Light is foreground.
 *
 * @throws MASKS_FOLDER where it cannot be read or holds no image
 */
export async function folderMasks(folder: string): Promise<MaskSource> {
  const files = await openImageFolder(folder).catch((cause: unknown) => {
    throw errors.masksFolder(folder, cause).because(cause);
  });
  const pathOf = new Map<string, string>();
  for (let i = 0; i < files.size; i++) {
    const { id, path } = files.item(i);
    pathOf.set(stem(id), path);
  }
  return {
    name: `masks in ${files.name}`,
    has: ({ id }) => pathOf.has(stem(id)),
    async open(item) {
      const file = pathOf.get(stem(item.id))!;
      const mask = await decode(file, { channels: 1, background: "#000000" });
      const image = await imageSize(item);
      if (mask.width !== image.width || mask.height !== image.height)
        throw errors.maskSize(file, mask, image);
      return mask;
    },
  };
}

const stem = (id: string) => id.replace(/\.[^./]*$/, "");

/** Masks decoded at a time. */
const TOGETHER = 64;

/**
 * The masks of images at the evaluations' centre crop (see `centeredBatches`), cut at one half.
 *
 * @param indices of images that have a mask
 * @returns [indices, size, size] 1 where there is foreground, 0 elsewhere
 * @throws IMAGE_UNREADABLE, MASK_SIZE, and MASKS_UNIFORM where all is foreground, or nothing
 */
export async function loadMasks(
  source: MaskSource,
  dataset: Dataset,
  indices: readonly number[],
  options: CenteredOptions,
): Promise<Uint8Array> {
  const pixels = options.size ** 2;
  const masks = new Uint8Array(indices.length * pixels);
  for (let first = 0; first < indices.length; first += TOGETHER) {
    const chunk = indices.slice(first, first + TOGETHER);
    const rasters = await Promise.all(chunk.map((index) => source.open(dataset.item(index))));
    rasters.forEach((raster, i) => masks.set(centeredBytes(raster, options), (first + i) * pixels));
  }
  for (let i = 0; i < masks.length; i++) masks[i] = masks[i]! < 128 ? 0 : 1;
  if (!masks.includes(1)) throw errors.masksUniform(source.name, "background");
  if (!masks.includes(0)) throw errors.masksUniform(source.name, "foreground");
  return masks;
}
