import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Dataset } from "../../../core/data/dataset.ts";
import { decode } from "../../../core/data/decode.ts";
import { ViewPipeline, type ViewBatch, type ViewPipelineOptions } from "../../../core/data/pipeline.ts";
import { Resampler } from "../../../core/data/resample.ts";
import type { ViewGroupSpec } from "../../../core/data/view-group.ts";
import { pictureDataset, temporaryFolder, writeAt } from "./image-files.ts";

const ratio = [3 / 4, 4 / 3] as const;
const VIEWS: ViewGroupSpec[] = [
  { group: "global", count: 2, size: 16, scale: [0.4, 1], ratio, flip: 0.5 },
  { group: "local", count: 3, size: 8, scale: [0.05, 0.4], ratio, flip: 0.5 },
  { group: "target", count: 2, size: 12, scale: [1, 1], ratio, flip: 0, sameCropAs: "global" },
];

/** Opens a pipeline, uses it and closes it. */
async function using<T>(
  options: ViewPipelineOptions,
  use: (pipeline: ViewPipeline) => Promise<T>,
): Promise<T> {
  const pipeline = new ViewPipeline(options);
  try {
    return await use(pipeline);
  } finally {
    await pipeline.close();
  }
}

async function take(pipeline: ViewPipeline, fromStep: number, count: number): Promise<ViewBatch[]> {
  const taken = [];
  const batches = pipeline.batches(fromStep);
  while (taken.length < count) {
    const { value, done } = await batches.next();
    assert.ok(!done);
    taken.push(value);
  }
  return taken;
}

describe("ViewPipeline", () => {
  const folder = temporaryFolder();
  let dataset: Dataset;
  let options: ViewPipelineOptions;
  before(async () => {
    dataset = await pictureDataset(join(folder(), "pictures"), 11);
    options = { dataset, views: VIEWS, batchSize: 5, seed: 7, workers: 0, prefetch: 1 };
  });

  it("shows each image once per epoch, in an order of its own, and drops the short batch", async () => {
    await using(options, async (pipeline) => {
      assert.equal(pipeline.stepsPerEpoch, 2);
      const batches = await take(pipeline, 0, 6);
      assert.deepEqual(
        batches.map(({ epoch, step }) => [epoch, step]),
        [0, 1, 2, 3, 4, 5].map((step) => [step >> 1, step]),
      );
      const orders = [0, 2, 4].map((at) => [...batches[at]!.indices, ...batches[at + 1]!.indices]);
      for (const order of orders) assert.equal(new Set(order).size, 10);
      assert.equal(new Set(orders.map(String)).size, 3);
    });
  });

  it("lays views out view-major, as crops of the given rectangles", async () => {
    await using(options, async (pipeline) => {
      const [batch] = await take(pipeline, 0, 1);
      for (const { group, count, size } of VIEWS) {
        const pixels = batch!.pixels.get(group)!;
        const rects = batch!.rects.get(group)!;
        const viewBytes = size * size * 3;
        assert.equal(pixels.length, count * 5 * viewBytes);
        assert.equal(rects.length, count * 5 * 5);
        for (let row = 0; row < count * 5; row++) {
          const image = await decode(dataset.item(batch!.indices[row % 5]!).path);
          const [x, y, width, height, flip] = rects.subarray(row * 5, row * 5 + 5);
          const expected = new Uint8Array(viewBytes);
          const region = { x: x!, y: y!, width: width!, height: height! };
          new Resampler(image).resize({ region, width: size, height: size, flip: flip === 1 }, expected);
          assert.deepEqual(pixels.subarray(row * viewBytes, (row + 1) * viewBytes), expected);
        }
      }
      assert.deepEqual(batch!.rects.get("target"), batch!.rects.get("global"));
      assert.deepEqual(
        [...batch!.labels],
        [...batch!.indices].map((index) => index % 3),
      );
      assert.deepEqual(batch!.replaced, []);
    });
  });

  it("flips as often as asked, and draws each view by itself", async () => {
    const never = VIEWS.map((view) => ({ ...view, flip: 0 }));
    const flips = (batch: ViewBatch) => batch.rects.get("local")!.filter((_, i) => i % 5 === 4);
    const [straight] = await using({ ...options, views: never }, (pipeline) => take(pipeline, 0, 1));
    assert.ok(flips(straight!).every((flip) => flip === 0));
    const batches = await using({ ...options, batchSize: 11 }, (pipeline) => take(pipeline, 0, 12));
    const all = batches.flatMap((batch) => [...flips(batch)]);
    const share = all.filter((flip) => flip === 1).length / all.length;
    // 396 draws: 5 sigma are 0.126.
    assert.ok(Math.abs(share - 0.5) < 0.126, `${share}`);
    const rects = batches.flatMap((batch) => {
      const global = batch.rects.get("global")!;
      return Array.from({ length: 22 }, (_, row) => String(global.subarray(row * 5, row * 5 + 5)));
    });
    assert.ok(new Set(rects).size > 250, `${new Set(rects).size} different rectangles of 264`);
  });

  it("gives one image the same crops whatever else is in the batch, and another seed others", async () => {
    const [all] = await using({ ...options, batchSize: 11 }, (pipeline) => take(pipeline, 0, 1));
    const alone = { ...options, batchSize: 5, views: VIEWS.slice(0, 1) };
    const [first, some] = await using(alone, (pipeline) => take(pipeline, 0, 2));
    for (const [row, index] of some!.indices.entries()) {
      const there = all!.indices.indexOf(index);
      assert.notEqual(there, row);
      const rect = (batch: ViewBatch, at: number) => batch.rects.get("global")!.subarray(at * 5, at * 5 + 5);
      assert.deepEqual(rect(some!, row), rect(all!, there));
    }
    const [other] = await using({ ...options, seed: 8 }, (pipeline) => take(pipeline, 0, 1));
    assert.notDeepEqual(other!.indices, first!.indices);
  });

  it("gives the same batches with 0, 1 and 2 workers", async () => {
    const counts = [0, 1, 2].map((workers) =>
      using({ ...options, workers, prefetch: workers }, (pipeline) => take(pipeline, 0, 4)),
    );
    const [none, one, two] = await Promise.all(counts);
    assert.deepEqual(one, none);
    assert.deepEqual(two, none);
  });

  it("goes on from a step as if it had never stopped", async () => {
    const whole = await using(options, (pipeline) => take(pipeline, 0, 6));
    const rest = await using(options, (pipeline) => take(pipeline, 3, 3));
    assert.deepEqual(rest, whole.slice(3));
  });

  it("makes grey views of one channel on a background", async () => {
    const grey = { ...options, channels: 1 as const, background: "#000000" };
    const [batch] = await using(grey, (pipeline) => take(pipeline, 0, 1));
    assert.equal(batch!.pixels.get("local")!.length, 3 * 5 * 8 * 8);
  });

  it("tells how much of the time was spent waiting for it", async () => {
    await using(options, async (pipeline) => {
      assert.equal(pipeline.waitShare, 0);
      await take(pipeline, 0, 3);
      assert.ok(pipeline.waitShare > 0 && pipeline.waitShare <= 1);
    });
  });

  it("refuses a batch that is larger than the dataset, bad views and bad colours", () => {
    const make = (change: Partial<ViewPipelineOptions>) => () => new ViewPipeline({ ...options, ...change });
    assert.throws(make({ batchSize: 12 }), { code: "BATCH_TOO_LARGE", message: /12 samples.*11 images/ });
    assert.throws(make({ views: [] }), { code: "VIEW_GROUP_INVALID" });
    assert.throws(make({ background: "white" }), { code: "CONFIG_INVALID" });
  });

  describe("with unreadable images", () => {
    let broken: Dataset;
    before(async () => {
      const path = join(folder(), "broken");
      broken = await pictureDataset(path, 11);
      await writeAt(join(path, "2.png"), "no image");
      await writeAt(join(path, "5.png"), "");
    });

    it("shows others instead, the same ones with any number of workers, and says so", async () => {
      const whole = { ...options, dataset: broken, batchSize: 11 };
      const [batch, second] = await using(whole, (pipeline) => take(pipeline, 0, 2));
      assert.deepEqual(
        batch!.replaced.map(({ index }) => index),
        [2, 5],
      );
      for (const { index, by, reason } of batch!.replaced) {
        assert.ok(by !== 2 && by !== 5);
        assert.ok(reason.includes(`${index}.png`), reason);
        assert.ok(!batch!.indices.includes(index));
        assert.equal(batch!.indices.filter((shown) => shown === by).length >= 2, true);
      }
      assert.deepEqual(
        [...batch!.labels],
        [...batch!.indices].map((index) => index % 3),
      );
      const blank = new Uint8Array(16 * 16 * 3);
      for (let row = 0; row < 22; row++) {
        const view = batch!.pixels.get("global")!.subarray(row * blank.length, (row + 1) * blank.length);
        assert.notDeepEqual(view, blank);
      }
      const inWorker = await using({ ...whole, workers: 1 }, (pipeline) => take(pipeline, 0, 2));
      assert.deepEqual(inWorker, [batch, second]);
    });

    it("does not change the crops of the samples that can be read", async () => {
      const [intact, replaced] = await Promise.all(
        [dataset, broken].map((data) =>
          using({ ...options, dataset: data, batchSize: 11 }, (pipeline) => take(pipeline, 0, 1)),
        ),
      );
      const [before, after] = [intact![0]!, replaced![0]!];
      for (const [row, index] of before.indices.entries()) {
        if (index === 2 || index === 5) continue;
        assert.equal(after.indices[row], index);
        const rect = (batch: ViewBatch) => batch.rects.get("local")!.subarray(row * 5, row * 5 + 5);
        assert.deepEqual(rect(after), rect(before));
      }
    });

    it("stops when nothing can be read", async () => {
      const path = join(folder(), "all-broken");
      const none = await pictureDataset(path, 3);
      for (const name of ["0.png", "1.png", "2.png"]) await writeAt(join(path, name), "no image");
      await using({ ...options, dataset: none, batchSize: 2 }, async (pipeline) => {
        await assert.rejects(pipeline.batches(0).next(), { code: "ALL_IMAGES_CORRUPT", message: /\.png/ });
      });
    });
  });

  describe("closing", () => {
    for (const workers of [0, 2]) {
      it(`ends with batches in flight, ${workers} workers`, async () => {
        const pipeline = new ViewPipeline({ ...options, workers, prefetch: 5 });
        const batches = pipeline.batches(0);
        await batches.next();
        const waiting = batches.next();
        await Promise.all([pipeline.close(), pipeline.close()]);
        const ends = [await waiting, await batches.next(), await pipeline.batches(0).next()];
        // What was ready when it closed may still be given; nothing after it.
        assert.ok(ends.slice(1).every(({ done }) => done));
      });
    }

    it("ends for a consumer that stops early", async () => {
      await using({ ...options, prefetch: 3 }, async (pipeline) => {
        let seen = 0;
        for await (const batch of pipeline.batches(0)) {
          seen += batch.step >= 0 ? 1 : 0;
          if (seen === 2) break;
        }
        assert.equal(seen, 2);
      });
    });

    it("leaves nothing that keeps the process alive", async () => {
      const script = fileURLToPath(new URL("../../fixtures/data/close-in-flight.ts", import.meta.url));
      const run = promisify(execFile)(
        process.execPath,
        ["--import", "tsx", "--conditions=relata-source", script],
        { timeout: 30_000 },
      );
      const { stdout } = await run;
      const { first, third } = JSON.parse(stdout) as { first: boolean; third: boolean };
      assert.deepEqual([first, third], [false, true]);
    });
  });
});
