import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import type { Dataset } from "../../../core/data/dataset.ts";
import { loadCentered } from "../../../core/data/evaluation.ts";
import { alphaMasks, folderMasks, loadMasks } from "../../../core/data/masks.ts";
import { openImages } from "../../../core/data/open-images.ts";
import { ViewPipeline, type ViewBatch, type ViewPipelineOptions } from "../../../core/data/pipeline.ts";
import { temporaryFolder, writeAt } from "./image-files.ts";
import { parquetOf, tarOf } from "./shard-files.ts";

const IMAGES = 24;
const SHARDS = 6;
const PER_SHARD = IMAGES / SHARDS;

/** A square with its left part transparent, no two alike. */
async function square(key: number): Promise<Buffer> {
  const size = 20 + key;
  const data = new Uint8Array(size * size * 4).map((_, i) =>
    i % 4 === 3 ? (((i - 3) / 4) % size < 5 + (key % 7) ? 0 : 255) : 127 + 120 * Math.sin(i / (5 + key)),
  );
  return sharp(data, { raw: { width: size, height: size, channels: 4 } })
    .png()
    .toBuffer();
}

describe("images in shards", () => {
  const folder = temporaryFolder();
  let sources: Record<"folder" | "tar" | "parquet", Dataset>;
  before(async () => {
    const images = await Promise.all(Array.from({ length: IMAGES }, (_, i) => square(i)));
    const name = (i: number) => `${String(i).padStart(2, "0")}.png`;
    for (const [i, image] of images.entries()) await writeAt(join(folder(), "folder", name(i)), image);
    for (let shard = 0; shard < SHARDS; shard++) {
      const own = images.slice(shard * PER_SHARD, (shard + 1) * PER_SHARD);
      const files = own.map((data, i) => ({ name: name(shard * PER_SHARD + i), data }));
      await writeAt(join(folder(), "tar", `${shard}.tar`), tarOf(files));
    }
    await writeAt(
      join(folder(), "parquet", "all.parquet"),
      parquetOf(images, { rowGroupSize: PER_SHARD, labels: images.map((_, i) => i % 3) }),
    );
    const [files, tar, parquet] = await Promise.all(
      ["folder", "tar", "parquet"].map((kind) => openImages(join(folder(), kind))),
    );
    sources = { folder: files!, tar: tar!, parquet: parquet! };
  });

  async function take(
    options: Partial<ViewPipelineOptions>,
    fromStep: number,
    count: number,
  ): Promise<ViewBatch[]> {
    const pipeline = new ViewPipeline({
      dataset: sources.tar,
      views: [{ group: "global", count: 2, size: 8, scale: [0.4, 1], ratio: [1, 1], flip: 0.5 }],
      batchSize: 5,
      seed: 7,
      workers: 0,
      prefetch: 1,
      shuffleBlocks: 2,
      ...options,
    });
    try {
      const batches: ViewBatch[] = [];
      for await (const batch of pipeline.batches(fromStep)) if (batches.push(batch) === count) break;
      return batches;
    } finally {
      await pipeline.close();
    }
  }

  /** Pixels of every view by image. */
  const viewsOf = (batches: readonly ViewBatch[]) =>
    new Map(
      batches.flatMap(({ indices, pixels }) =>
        [...indices].map((index, row) => {
          const view = (v: number) =>
            pixels.get("global")!.subarray((v * 5 + row) * 192, (v * 5 + row + 1) * 192);
          return [index, [view(0), view(1)]] as const;
        }),
      ),
    );

  it("give each image the views that it has in a folder", async () => {
    // Four batches of an epoch show 20 of the 24 images.
    const ofFolder = viewsOf(await take({ dataset: sources.folder }, 0, 4));
    for (const kind of ["tar", "parquet"] as const) {
      const views = viewsOf(await take({ dataset: sources[kind] }, 0, 4));
      const shared = [...views.keys()].filter((index) => ofFolder.has(index));
      assert.ok(shared.length >= 16);
      for (const index of shared) assert.deepEqual(views.get(index), ofFolder.get(index));
    }
  });

  for (const kind of ["tar", "parquet"] as const) {
    it(`go on from any step of an epoch, with any number of workers: ${kind}`, async () => {
      const dataset = sources[kind];
      const whole = await take({ dataset }, 0, 10);
      assert.equal(whole[4]!.epoch, 1);
      for (const [from, workers] of [[3, 0], [5, 0], [2, 1], [7, 2]] as const)
        assert.deepEqual(await take({ dataset, workers }, from, 3), whole.slice(from, from + 3)); // prettier-ignore
    });
  }

  it("are shown from as many shards at a time as are mixed", async () => {
    const shardsOf = (batches: readonly ViewBatch[]) => batches.map(({ indices }) => new Set([...indices].map((index) => Math.floor(index / PER_SHARD)))); // prettier-ignore
    const shards = shardsOf(await take({ batchSize: 4 }, 0, 6));
    // Two shards are two batches.
    const pairs = [0, 2, 4].map((at) => new Set([...shards[at]!, ...shards[at + 1]!]));
    assert.deepEqual(pairs.map(({ size }) => size), [2, 2, 2]); // prettier-ignore
    const all = shardsOf(await take({ batchSize: 4, shuffleBlocks: SHARDS }, 0, 6));
    assert.ok(all.some(({ size }) => size > 2));
  });

  it("can be mixed as far as row groups fit into a worker", async () => {
    const { most } = sources.parquet.blocks!;
    await assert.rejects(take({ dataset: sources.parquet, shuffleBlocks: most! + 1 }, 0, 1), {
      code: "CONFIG_INVALID",
      message: /^data\.shuffleBlocks: .*use at most/,
    });
  });

  it("are evaluated as a folder is: pixels, alpha, mask files by their ids", async () => {
    const indices = [3, 17, 5];
    const options = { size: 16 };
    const pixels = await loadCentered(sources.folder, indices, options);
    const alpha = await loadMasks(alphaMasks, sources.folder, indices, options);
    for (const kind of ["tar", "parquet"] as const) {
      assert.deepEqual(await loadCentered(sources[kind], indices, options), pixels);
      assert.deepEqual(await loadMasks(alphaMasks, sources[kind], indices, options), alpha);
      for (const index of indices) {
        const mask = sharp(await readFile(sources.folder.item(index).path)).extractChannel("alpha");
        const id = sources[kind].item(index).id.replace(/\.png$/, "");
        await writeAt(join(folder(), `masks-${kind}`, `${id}.png`), await mask.png().toBuffer());
      }
      const masks = await folderMasks(join(folder(), `masks-${kind}`));
      assert.equal(masks.has(sources[kind].item(0)), false);
      assert.deepEqual(await loadMasks(masks, sources[kind], indices, options), alpha);
    }
  });

  it("are found by what lies at the path", async () => {
    assert.equal((await openImages(join(folder(), "tar", "{0..2}.tar"))).size, 3 * PER_SHARD);
    assert.equal((await openImages([join(folder(), "parquet", "all.parquet")])).size, IMAGES);
    assert.equal((await openImages(join(folder(), "tar", "*.tar"), { limit: 7 })).size, 7);
    await writeAt(join(folder(), "deep/README.md"), "");
    await writeAt(
      join(folder(), "deep/data/train/one.tar"),
      tarOf([{ name: "1.png", data: await square(1) }]),
    );
    assert.equal((await openImages(join(folder(), "deep"))).item(0).id, "one.tar/1.png");
    await assert.rejects(openImages(join(folder(), "nowhere")), { code: "DATASET_MISSING" });
    await assert.rejects(openImages(["a", "b"], { dataset: "image-folder" }), { code: "CONFIG_INVALID" });
    await assert.rejects(openImages(join(folder(), "tar"), { dataset: "image-folder" }), {
      code: "DATASET_EMPTY",
    });
  });
});
