import assert from "node:assert/strict";
import { join } from "node:path";
import sharp from "sharp";
import { listDataset, type Dataset } from "../../../core/data/dataset.ts";
import { loadCentered } from "../../../core/data/evaluation.ts";
import { alphaMasks, folderMasks, loadMasks } from "../../../core/data/masks.ts";
import { temporaryFolder, writeAt } from "./image-files.ts";

/** Smooth blobs of grey, 0..255. */
function blobs(width: number, height: number): Uint8Array {
  return Uint8Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return 127.5 + 127.5 * Math.sin(x / 9) * Math.cos(y / 7);
  });
}

describe("masks", () => {
  const folder = temporaryFolder();
  const at = (...names: string[]) => join(folder(), ...names);
  const listed = (...ids: string[]): Dataset =>
    listDataset({ name: "listed", ids, pathOf: (id) => at("images", id) });

  /** Writes grey pixels as a file, once for each of the channels. */
  async function save(path: string, grey: Uint8Array, width: number, channels: 1 | 4 = 1): Promise<string> {
    const data = Uint8Array.from(
      { length: grey.length * channels },
      (_, i) => grey[Math.floor(i / channels)]!,
    );
    const raw = { width, height: grey.length / width, channels };
    return writeAt(path, await sharp(data, { raw }).png().toBuffer());
  }

  it("are cut as their images are: an image that is its own alpha, small, oblong and large", async () => {
    const sizes = [[64, 64], [90, 60], [60, 90], [300, 260]] as const; // prettier-ignore
    const ids = sizes.map(([width, height]) => `${width}x${height}.png`);
    for (const [i, [width, height]] of sizes.entries()) {
      const grey = blobs(width, height);
      await save(at("images", `own-${ids[i]}`), grey, width, 4);
      await save(at("images", `grey-${ids[i]}`), grey, width);
    }
    const options = { size: 32, channels: 1 } as const;
    const masks = await loadMasks(alphaMasks, listed(...ids.map((id) => `own-${id}`)), [0, 1, 2, 3], options);
    const pixels = await loadCentered(listed(...ids.map((id) => `grey-${id}`)), [0, 1, 2, 3], options);
    assert.deepEqual(masks, pixels.map((value) => (value >= 128 ? 1 : 0))); // prettier-ignore
  });

  it("are found by name in a folder, whatever their type; what has none is known before", async () => {
    const grey = blobs(20, 20);
    for (const id of ["a/1.png", "a/2.png", "3.png"]) await save(at("images", id), grey, 20);
    const left = grey.map((_, i) => (i % 20 < 10 ? 255 : 0));
    await save(at("masks", "a", "1.png"), left, 20);
    const gif = await sharp(left.map((v) => 255 - v), { raw: { width: 20, height: 20, channels: 1 } }).gif().toBuffer(); // prettier-ignore
    await writeAt(at("masks", "3.gif"), gif);
    const dataset = listed("a/1.png", "a/2.png", "3.png");
    const source = await folderMasks(at("masks"));
    assert.equal(source.name, "masks in masks");
    assert.deepEqual([0, 1, 2].map((i) => source.has(dataset.item(i))), [true, false, true]); // prettier-ignore
    const masks = await loadMasks(source, dataset, [0, 2], { size: 20 });
    assert.deepEqual(
      [...masks],
      [...left, ...left.map((v) => 255 - v)].map((v) => v / 255),
    );
  });

  it("must have their images' size, and foreground and background", async () => {
    for (const id of ["1.png", "2.png"]) await save(at("images", id), blobs(20, 20), 20);
    const dataset = listed("1.png", "2.png");
    await save(at("wrong", "1.png"), blobs(20, 10), 20);
    await assert.rejects(loadMasks(await folderMasks(at("wrong")), dataset, [0], { size: 20 }), {
      code: "MASK_SIZE",
      message: /1\.png has 20 x 10 pixels, its image 20 x 20/,
    });
    // Class numbers instead of white: nothing is light enough.
    await save(at("numbers", "2.png"), new Uint8Array(400).fill(1), 20);
    await assert.rejects(loadMasks(await folderMasks(at("numbers")), dataset, [1], { size: 20 }), {
      code: "MASKS_UNIFORM",
      message: /every pixel is background/,
    });
    await assert.rejects(loadMasks(alphaMasks, dataset, [0, 1], { size: 20 }), {
      code: "MASKS_UNIFORM",
      message: /every pixel is foreground \(alpha channel\)/,
    });
  });

  it("of a folder that is not there are refused", async () => {
    await assert.rejects(folderMasks(at("nowhere")), { code: "MASKS_FOLDER", message: /nowhere/ });
  });
});
