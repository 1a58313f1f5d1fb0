import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { decode } from "../../../core/data/decode.ts";
import { FileReader, type FileSystem } from "../../../core/data/file-reader.ts";
import { ImageReader } from "../../../core/data/image-reader.ts";
import { openParquet } from "../../../core/data/parquet-dataset.ts";
import { temporaryFolder, writeAt } from "./image-files.ts";
import { parquetOf } from "./shard-files.ts";

const fixture = (name: string) =>
  fileURLToPath(new URL(`../../fixtures/data/shards/${name}`, import.meta.url));

describe("openParquet", () => {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder(), name);

  it("reads images and classes as Hugging Face's datasets write them", async () => {
    const dataset = await openParquet(fixture("huggingface.parquet"));
    assert.deepEqual([dataset.name, dataset.size], ["huggingface.parquet", 6]);
    assert.deepEqual(dataset.classNames, ["red", "green", "blue"]);
    assert.deepEqual([...dataset.blocks!.starts], [0, 2, 4]);
    for (let i = 0; i < 6; i++) {
      const item = dataset.item(i);
      assert.deepEqual([...(await decode(item)).data.subarray(0, 3)], [40 * i, 255 - 40 * i, 7]);
      assert.equal(item.label, i === 5 ? undefined : i % 3);
      assert.equal(item.id, `huggingface.parquet/${i}`);
    }
  });

  it("reads plain binary cells beside others; a missing image shows when it is read", async () => {
    const dataset = await openParquet(fixture("binary.parquet"));
    assert.deepEqual(dataset.classNames, ["one", "two"]);
    assert.deepEqual([0, 1, 2, 3, 4, 5].map((i) => dataset.item(i).label), [0, 1, 0, 1, undefined, 0]); // prettier-ignore
    assert.deepEqual([...(await decode(dataset.item(4))).data.subarray(0, 3)], [160, 95, 7]);
    await assert.rejects(decode(dataset.item(5)), {
      code: "IMAGE_UNREADABLE",
      message: /binary\.parquet: row 5 .*column "img" has no bytes/,
    });
  });

  it("numbers the rows of several files through, whatever their row groups; takes some of them", async () => {
    const images = Array.from({ length: 12 }, (_, i) => Buffer.from(`image ${i}`));
    await writeAt(at("many/0.parquet"), parquetOf(images.slice(0, 5), { rowGroupSize: 2, labels: [1, 1, 0, 3, 0] })); // prettier-ignore
    await writeAt(at("many/1.parquet"), parquetOf(images.slice(5), { rowGroupSize: 4, labels: [0, 0, 0, 0, 0, 0, 2] })); // prettier-ignore
    const reader = new ImageReader();
    const read = async (limit?: number) => {
      const dataset = await openParquet(at("many"), { limit });
      const items = Array.from({ length: dataset.size }, (_, i) => dataset.item(i));
      return {
        dataset,
        items,
        texts: await Promise.all(items.map(async (item) => String(await reader.read(item)))),
      };
    };
    const { dataset, items, texts } = await read();
    assert.deepEqual(texts, images.map(String));
    assert.deepEqual([...dataset.blocks!.starts], [0, 2, 4, 5, 9]);
    assert.deepEqual(items.map(({ label }) => label), [1, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2]); // prettier-ignore
    const some = await read(4);
    assert.deepEqual(
      some.texts,
      [0, 3, 6, 9].map((i) => `image ${i}`),
    );
    assert.deepEqual(some.items.map(({ id, label }) => [id, label]), [["0.parquet/0", 1], ["0.parquet/3", 3], ["1.parquet/1", 0], ["1.parquet/4", 0]]); // prettier-ignore
    assert.deepEqual([...some.dataset.blocks!.starts], [0, 1, 2, 3]);
    assert.equal(some.dataset.classNames!.length, 4, "a limit does not renumber the classes");
  });

  it("reads a row group once for all of its images, and the rest of the file not at all", async () => {
    let bytes = 0;
    const fileSystem: FileSystem = {
      open: async (path, flags) => {
        const file = await open(path, flags);
        const read: typeof file.read = async (...args: Parameters<typeof file.read>) => {
          const result = await file.read(...args);
          bytes += result.bytesRead;
          return result;
        };
        return { stat: () => file.stat(), read: read as never, close: () => file.close() };
      },
    };
    const images = Array.from({ length: 64 }, (_, i) =>
      Buffer.alloc(50_000).map((_, j) => (i * 31 + j * j) % 253),
    );
    const file = await writeAt(at("large.parquet"), parquetOf(images, { rowGroupSize: 4 }));
    const { length } = await readFile(file);
    const dataset = await openParquet(file);
    const reader = new ImageReader(new FileReader({ fileSystem }));
    for (const i of [8, 9, 10, 11, 8]) assert.deepEqual(await reader.read(dataset.item(i)), images[i]);
    const footer = 2 ** 19;
    assert.ok(bytes < footer + length / 10, `${bytes} of ${length} bytes`);
  });

  describe("refuses", () => {
    it("a file that is none, or damaged, or without images", async () => {
      const whole = await readFile(fixture("binary.parquet"));
      await writeAt(at("text.parquet"), "no parquet at all");
      await writeAt(at("cut.parquet"), whole.subarray(0, whole.length - 10));
      await writeAt(at("none.parquet"), "");
      for (const name of ["text", "cut", "none"]) {
        const message = new RegExp(`${name}\\.parquet: it is no intact parquet file`);
        await assert.rejects(openParquet(at(`${name}.parquet`)), { code: "DATASET_SHARD", message });
      }
      const table = parquetWriteBuffer({ columnData: [{ name: "image", data: ["a.jpg"], type: "STRING" }] });
      await writeAt(at("paths.parquet"), Buffer.from(table));
      await assert.rejects(openParquet(at("paths.parquet")), {
        code: "DATASET_SHARD",
        message: /no column of images/,
      });
      await writeAt(at("rows.parquet"), parquetOf([], { rowGroupSize: 1 }));
      await assert.rejects(openParquet(at("rows.parquet")), { code: "DATASET_SHARD", message: /no rows/ });
    });

    it("a row group that would fill the memory of a worker", async () => {
      const table = parquetWriteBuffer({
        columnData: [
          { name: "image", data: [new Uint8Array(270 * 2 ** 20)], type: "BYTE_ARRAY", encoding: "PLAIN" },
        ],
        codec: "GZIP",
        compressors: { GZIP: (input) => gzipSync(input, { level: 1 }) },
        statistics: false,
      });
      await writeAt(at("huge.parquet"), Buffer.from(table));
      await assert.rejects(openParquet(at("huge.parquet")), {
        code: "DATASET_SHARD",
        message: /a row group of it has 0\.3 GB/,
        fix: /row_group_size/,
      });
    });
  });
});
