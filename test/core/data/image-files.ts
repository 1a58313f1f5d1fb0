/** Small image files for tests, in a temporary folder that is removed afterwards. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { listDataset, type Dataset } from "../../../core/data/dataset.ts";

/** Call in a `describe`: makes the folder before its tests; gives its path from then on. */
export function temporaryFolder(): () => string {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "relata-data-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));
  return () => folder;
}

/** A picture of smooth gradients that depends on `key`: no two crops are alike. */
export function picture(width: number, height: number, key = 0): Sharp {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data[i++] = 127 + 120 * Math.sin((x + 3 * key) / 5);
      data[i++] = 127 + 120 * Math.sin((y + 5 * key) / 7);
      data[i++] = 127 + 120 * Math.sin((x + y + 7 * key) / 9);
    }
  }
  return sharp(data, { raw: { width, height, channels: 3 } });
}

export async function writeAt(path: string, content: Uint8Array | string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  return path;
}

/** `count` PNGs of different sizes, labelled 0, 1, 2, 0, 1, 2 … */
export async function pictureDataset(folder: string, count: number): Promise<Dataset> {
  const ids = Array.from({ length: count }, (_, i) => `${i}.png`);
  for (const [i, id] of ids.entries()) {
    await writeAt(
      join(folder, id),
      await picture(40 + i, 30 + ((7 * i) % 20), i)
        .png()
        .toBuffer(),
    );
  }
  const labels = Int32Array.from(ids, (_, i) => i % 3);
  return listDataset({
    name: "pictures",
    ids,
    pathOf: (id) => join(folder, id),
    classNames: ["a", "b", "c"],
    labels,
  });
}
