import assert from "node:assert/strict";
import { join } from "node:path";
import { listDataset, type Dataset } from "../../../core/data/dataset.ts";
import { decode } from "../../../core/data/decode.ts";
import {
  augmentedBatches,
  augmentedOnce,
  centeredBatches,
  loadCentered,
} from "../../../core/data/evaluation.ts";
import { picture, pictureDataset, temporaryFolder, writeAt } from "./image-files.ts";

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const collected = [];
  for await (const value of values) collected.push(value);
  return collected;
}

describe("evaluation images", () => {
  const folder = temporaryFolder();
  let dataset: Dataset;
  let sizes: Dataset;
  before(async () => {
    dataset = await pictureDataset(join(folder(), "pictures"), 7);
    const ids = ["small.png", "square.png", "wide.png", "tall.png"];
    const [small, square, wide, tall] = ids.map((id) => join(folder(), id));
    await writeAt(small!, await picture(64, 64).png().toBuffer());
    await writeAt(square!, await picture(256, 256).png().toBuffer());
    await writeAt(wide!, await picture(320, 256).png().toBuffer());
    await writeAt(tall!, await picture(256, 320).png().toBuffer());
    sizes = listDataset({ name: "sizes", ids, pathOf: (id) => join(folder(), id) });
  });

  it("shows small squares whole: at their own size, byte by byte", async () => {
    const pixels = await loadCentered(sizes, [0], { size: 64 });
    assert.deepEqual(pixels, new Uint8Array((await decode(sizes.item(0).path)).data));
  });

  it("crops the centre at 224 / 256 of others: where no resizing is due, their very pixels", async () => {
    const pixels = await loadCentered(sizes, [1, 2, 3], { size: 224 });
    const offsets = [
      [16, 16],
      [48, 16],
      [16, 48],
    ];
    for (const [row, [left, top]] of offsets.entries()) {
      const { data, width } = await decode(sizes.item(row + 1).path);
      for (const y of [0, 111, 223]) {
        const expected = data.subarray(
          ((top! + y) * width + left!) * 3,
          ((top! + y) * width + left! + 224) * 3,
        );
        const from = (row * 224 + y) * 224 * 3;
        assert.deepEqual(pixels.subarray(from, from + 224 * 3), new Uint8Array(expected));
      }
    }
  });

  it("resizes by another ratio when given one", async () => {
    const whole = await loadCentered(sizes, [1], { size: 256, resizeRatio: 1 });
    assert.deepEqual(whole, new Uint8Array((await decode(sizes.item(1).path)).data));
    const cropped = await loadCentered(sizes, [0], { size: 32, resizeRatio: 2 });
    const { data } = await decode(sizes.item(0).path);
    assert.deepEqual(
      [...cropped.subarray(0, 3)],
      [...data.subarray((16 * 64 + 16) * 3, (16 * 64 + 16) * 3 + 3)],
    );
  });

  it("pads the last batch and counts the rows that hold images", async () => {
    const order = [6, 0, 3, 1, 5];
    const options = { size: 16, batchSize: 2 };
    const batches = await all(centeredBatches(dataset, order, options));
    assert.deepEqual(
      batches.map(({ count, indices }) => [count, [...indices]]),
      [
        [2, [6, 0]],
        [2, [3, 1]],
        [1, [5]],
      ],
    );
    const rowBytes = 16 * 16 * 3;
    const expected = await loadCentered(dataset, order, options);
    const rows = batches.flatMap(({ pixels, count }) => [...pixels.subarray(0, count * rowBytes)]);
    assert.deepEqual(Uint8Array.from(rows), expected);
    assert.ok(batches.every(({ pixels }) => pixels.length === 2 * rowBytes));
    assert.ok(batches[2]!.pixels.subarray(rowBytes).every((value) => value === 0));
  });

  it("augments an image by seed and index only", async () => {
    const options = { size: 16 };
    const rowBytes = 16 * 16 * 3;
    const some = await augmentedOnce(dataset, [4, 2], 1, options);
    const other = await augmentedOnce(dataset, [2, 4], 1, options);
    assert.deepEqual(some.subarray(0, rowBytes), other.subarray(rowBytes));
    assert.deepEqual(some.subarray(rowBytes), other.subarray(0, rowBytes));
    assert.notDeepEqual(await augmentedOnce(dataset, [4, 2], 2, options), some);
    assert.notDeepEqual(await loadCentered(dataset, [4, 2], options), some);
    const [batch] = await all(augmentedBatches(dataset, [4, 2], 1, { ...options, batchSize: 2 }));
    assert.deepEqual(batch!.pixels, some);
  });

  it("works in one channel", async () => {
    const options = { size: 16, channels: 1 as const };
    assert.equal((await loadCentered(dataset, [0, 1], options)).length, 2 * 16 * 16);
    assert.equal((await augmentedOnce(dataset, [0, 1], 0, options)).length, 2 * 16 * 16);
  });

  it("leaves unreadable images out of batches and tells them, and refuses them where all are asked for", async () => {
    const path = join(folder(), "broken");
    const broken = await pictureDataset(path, 5);
    await writeAt(join(path, "1.png"), "no image");
    const options = { size: 16, batchSize: 3 };
    for (const batches of [
      await all(centeredBatches(broken, [0, 1, 2, 3, 4], options)),
      await all(augmentedBatches(broken, [0, 1, 2, 3, 4], 0, options)),
    ]) {
      assert.deepEqual(
        batches.map(({ count, indices }) => [count, [...indices]]),
        [
          [2, [0, 2]],
          [2, [3, 4]],
        ],
      );
      assert.deepEqual(
        batches.flatMap(({ skipped }) => skipped.map(({ index }) => index)),
        [1],
      );
      assert.match(batches[0]!.skipped[0]!.error.message, /1\.png/);
    }
    const [batch] = await all(centeredBatches(broken, [0, 1, 2], options));
    const readable = await loadCentered(broken, [0, 2], options);
    assert.deepEqual(batch!.pixels.subarray(0, readable.length), readable);
    await assert.rejects(loadCentered(broken, [0, 1], options), {
      code: "IMAGE_UNREADABLE",
      message: /1\.png/,
    });
    await assert.rejects(augmentedOnce(broken, [1], 0, options), { code: "IMAGE_UNREADABLE" });
  });

  it("refuses a background that is no colour", async () => {
    const options = { size: 16, background: "white" };
    await assert.rejects(loadCentered(dataset, [0], options), { code: "CONFIG_INVALID" });
  });
});
