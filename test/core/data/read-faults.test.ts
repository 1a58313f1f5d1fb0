import assert from "node:assert/strict";
import { join } from "node:path";
import { errors } from "../../../core/errors.ts";
import { centeredBatches } from "../../../core/data/evaluation.ts";
import { Resampler } from "../../../core/data/resample.ts";
import type { Dataset } from "../../../core/data/dataset.ts";
import { DecodeCache } from "../../../core/data/decode-cache.ts";
import { FileReader, type FileSystem } from "../../../core/data/file-reader.ts";
import { ImageReader } from "../../../core/data/image-reader.ts";
import { ViewPipeline, type ViewBatch } from "../../../core/data/pipeline.ts";
import { InThreadRunner } from "../../../core/data/render-runner.ts";
import { UnreadableImages } from "../../../core/data/unreadable-images.ts";
import { pictureDataset, temporaryFolder } from "./image-files.ts";
import { ioError, unreliable } from "./unreliable-files.ts";

const IMAGES = 12;

describe("images that the disk does not give", () => {
  const folder = temporaryFolder();
  let dataset: Dataset;
  before(async () => {
    dataset = await pictureDataset(join(folder(), "pictures"), IMAGES);
  });

  async function epoch(fileSystem?: FileSystem): Promise<ViewBatch[]> {
    const files = new FileReader({ fileSystem, timeoutSeconds: 0.05, backoffMs: 1 });
    const pipeline = new ViewPipeline({
      dataset,
      views: [{ group: "global", count: 2, size: 8, scale: [0.4, 1], ratio: [1, 1], flip: 0.5 }],
      batchSize: 4,
      seed: 3,
      prefetch: 1,
      runner: new InThreadRunner(new DecodeCache(new ImageReader(files))),
    });
    try {
      const batches: ViewBatch[] = [];
      for await (const batch of pipeline.batches(0)) {
        batches.push(batch);
        if (batches.length === pipeline.stepsPerEpoch) return batches;
      }
      throw new Error("the pipeline has ended");
    } finally {
      await pipeline.close();
    }
  }

  it("at first are read again: the batches are the same as without a fault", async () => {
    const clean = await epoch();
    const flaky = unreliable((_, read) => [undefined, ioError(), "short" as const, undefined, "never" as const][read % 5]); // prettier-ignore
    const batches = await epoch(flaky);
    assert.deepEqual(batches, clean);
    assert.ok(flaky.reads > 1.5 * IMAGES, `${flaky.reads} reads`);
  });

  it("at all are replaced, and said by name", async () => {
    const lost = [join(folder(), "pictures/3.png"), join(folder(), "pictures/7.png")];
    const batches = await epoch(unreliable((path) => (lost.includes(path) ? ioError() : undefined)));
    const replaced = batches.flatMap((batch) => batch.replaced);
    assert.deepEqual(replaced.map(({ index }) => index).toSorted(), [3, 7]);
    assert.ok(
      replaced.every(
        ({ index, by, reason }) => by !== index && new RegExp(`${index}\\.png .*EIO`).test(reason),
      ),
    );
  });

  it("any more end the pipeline soon: the disk is gone, not the images", async () => {
    const gone = unreliable(ioError);
    await assert.rejects(epoch(gone), {
      code: "IMAGES_UNREACHABLE",
      message: /the 6 drawn in its place.*EIO/,
    });
    assert.ok(gone.reads <= 3 * 8 * 8, `${gone.reads} reads`);
  });
});

describe("an image that is too large for the memory", () => {
  const folder = temporaryFolder();

  it("is replaced, and left out of evaluations", async () => {
    const dataset = await pictureDataset(join(folder(), "pictures"), 3);
    const resize = Resampler.prototype.resize;
    Resampler.prototype.resize = function (options, out) {
      // The first picture is 40 pixels wide.
      const { width, height } = this.image;
      if (width === 40) throw errors.imageMemory({ width, height }, 5e9);
      resize.call(this, options, out);
    };
    const pipeline = new ViewPipeline({
      dataset,
      views: [{ group: "global", count: 1, size: 8, scale: [0.4, 1], ratio: [1, 1], flip: 0.5 }],
      batchSize: 3,
      seed: 3,
      workers: 0,
    });
    try {
      const batch = (await pipeline.batches(0).next()).value!;
      assert.deepEqual(batch.replaced.map(({ index }) => index), [0]); // prettier-ignore
      assert.match(batch.replaced[0]!.reason, /an image of 40 x 30 pixels needs 5\.00 GB/);
      const evaluated = centeredBatches(dataset, [0, 1, 2], { size: 8, batchSize: 3 });
      const { indices, skipped } = (await evaluated.next()).value!;
      assert.deepEqual([[...indices], skipped.map(({ error }) => error.code)], [[1, 2], ["IMAGE_MEMORY"]]);
    } finally {
      Resampler.prototype.resize = resize;
      await pipeline.close();
    }
  });
});

describe("UnreadableImages", () => {
  const folder = temporaryFolder();
  let dataset: Dataset;
  before(async () => {
    dataset = await pictureDataset(join(folder(), "few"), 40);
  });

  const batch = (size: number, ...unreadable: number[]): ViewBatch => ({
    epoch: 0,
    step: 0,
    indices: new Int32Array(size),
    pixels: new Map(),
    rects: new Map(),
    labels: new Int32Array(size),
    replaced: unreadable.map((index) => ({ index, by: 0, reason: `reason ${index}` })),
  });
  const many = (count: number) => Array.from({ length: count }, (_, i) => i % 40);

  function counted(most: number) {
    const warnings: string[] = [];
    const logger = { info: () => undefined, warn: (message: string) => void warnings.push(message) };
    return { images: new UnreadableImages(dataset, most, logger), warnings };
  }

  it("are told once each, up to 20, and counted by epoch", () => {
    const { images, warnings } = counted(1);
    images.add(batch(8, 5, 6));
    images.add(batch(8, 5));
    assert.deepEqual(warnings, [
      "5.png cannot be read (reason 5); image 0 stands in for it",
      "6.png cannot be read (reason 6); image 0 stands in for it",
    ]);
    images.endEpoch(1);
    images.add(batch(40, ...many(40)));
    assert.equal(warnings[2], "epoch 1: 3 of 16 samples could not be read, and others stood in for them");
    assert.equal(warnings.length, 2 + 1 + 18 + 1, "20 images, the epoch, and that no more are told");
    images.endEpoch(2);
    images.add(batch(8));
    images.endEpoch(3);
    assert.equal(warnings.length, 2 + 1 + 18 + 1 + 1, "an epoch without any is not told");
  });

  it("end the run where they are 100 and more than the share", () => {
    const { images } = counted(0.1);
    images.add(batch(99, ...many(99)));
    assert.throws(() => images.add(batch(8, 7)), {
      code: "IMAGES_UNREADABLE",
      message: /100 of the last 107 samples of "pictures".*more than 10 %; the last: reason 7/,
    });
    const rare = counted(0.1).images;
    rare.add(batch(2000, ...many(199)));
    rare.add(batch(8));
    const later = counted(0.1).images;
    later.add(batch(99, ...many(99)));
    later.endEpoch(1);
    later.add(batch(8, 1, 2));
  });
});
