/** Damaged inputs of all kinds: they are read, or end in a coded error; nothing crashes, and nothing hangs. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { parseConfig } from "../../../core/config/parse.ts";
import { decode } from "../../../core/data/decode.ts";
import { FileReader, type FileSystem } from "../../../core/data/file-reader.ts";
import { ImageReader } from "../../../core/data/image-reader.ts";
import { openParquet } from "../../../core/data/parquet-dataset.ts";
import { findShards } from "../../../core/data/shards.ts";
import { openWebDataset } from "../../../core/data/web-dataset.ts";
import { RelataError } from "../../../core/errors.ts";
import { picture, temporaryFolder, writeAt } from "./image-files.ts";

interface Damage {
  readonly bytes: readonly { readonly at: number; readonly value: number }[];
  /** Share that is left. */
  readonly kept: number;
}

/** Some bytes changed, more of them near an end than elsewhere; or all after a place cut off. */
const damage: fc.Arbitrary<Damage> = fc.record({
  bytes: fc.array(
    fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), value: fc.integer({ min: 0, max: 255 }) }),
    { maxLength: 6 },
  ),
  kept: fc.oneof({ arbitrary: fc.constant(1), weight: 4 }, fc.double({ min: 0, max: 1, noNaN: true })),
});

/** @param place of a byte in the file, from a number from 0 to 1 */
function damaged(whole: Uint8Array, { bytes, kept }: Damage, place = (at: number) => at ** 3): Buffer {
  const copy = Buffer.from(whole);
  for (const { at, value } of bytes)
    copy[Math.min(copy.length - 1, Math.floor(place(at) * copy.length))] = value;
  return copy.subarray(0, Math.ceil(kept * copy.length));
}

/** A file system of one file. */
const memory = (bytes: Uint8Array): FileReader => {
  const fileSystem: FileSystem = {
    open: () =>
      Promise.resolve({
        stat: () => Promise.resolve({ size: bytes.length }),
        read: (buffer, offset, length, position) => {
          const some = bytes.subarray(position, position + length);
          buffer.set(some, offset);
          return Promise.resolve({ bytesRead: some.length });
        },
        close: () => Promise.resolve(),
      }),
  };
  return new FileReader({ fileSystem, backoffMs: 0 });
};

/** What it gives, or undefined where it ends in a coded error. */
async function codedOnly<T>(work: () => Promise<T> | T, ...codes: readonly string[]): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RelataError && codes.includes(error.code)) return undefined;
    throw error;
  }
}

describe("damaged", () => {
  const folder = temporaryFolder();
  const fixture = (name: string) => readFile(fileURLToPath(new URL(`../../fixtures/data/shards/${name}`, import.meta.url))); // prettier-ignore

  for (const [format, numRuns] of [
    ["jpeg", 600],
    ["png", 600],
    ["webp", 400],
    ["gif", 400],
    ["tiff", 400],
    ["avif", 200],
  ] as const) {
    it(`${format} images`, async () => {
      const whole = await picture(24, 16).toFormat(format).toBuffer();
      let read = 0;
      await fc.assert(
        fc.asyncProperty(damage, async (change) => {
          const reader = new ImageReader(memory(damaged(whole, change)));
          const image = await codedOnly(() => decode("image", { reader }), "IMAGE_UNREADABLE");
          if (image === undefined) return;
          read++;
          assert.equal(image.data.length, image.width * image.height * 3);
        }),
        { seed: 1, numRuns },
      );
      assert.ok(read > 0 && read < numRuns, `${read} of ${numRuns} were read`);
    });
  }

  for (const name of ["gnu.tar", "pax.tar"]) {
    it(`archives: ${name}`, async () => {
      const whole = await fixture(name);
      const path = await writeAt(join(folder(), name), "");
      let opened = 0;
      await fc.assert(
        fc.asyncProperty(
          damage,
          fc.integer({ min: 0, max: 40 }),
          fc.boolean(),
          async (change, block, mended) => {
            const place = (at: number) => (512 * block + 512 * at) / whole.length;
            const bytes = damaged(whole, change, (at) => Math.min(1, place(at)));
            if (mended) mendChecksum(bytes, 512 * block);
            const files = memory(bytes);
            const dataset = await codedOnly(
              () => openWebDataset(path, { files }),
              "DATASET_SHARD",
              "DATASET_EMPTY",
            );
            if (dataset === undefined) return;
            opened++;
            const reader = new ImageReader(files);
            for (let i = 0; i < dataset.size; i++) {
              const { within } = dataset.item(i);
              assert.ok(within && "length" in within && within.offset + within.length <= bytes.length);
              assert.equal((await reader.read(dataset.item(i))).length, within.length);
            }
          },
        ),
        { seed: 1, numRuns: 1000 },
      );
      assert.ok(opened > 0 && opened < 1000, `${opened} were opened`);
    });
  }

  for (const name of ["huggingface.parquet", "binary.parquet"]) {
    it(`tables: ${name}`, async () => {
      const whole = await fixture(name);
      const path = await writeAt(join(folder(), name), "");
      let opened = 0;
      await fc.assert(
        fc.asyncProperty(damage, fc.boolean(), async (change, nearEnd) => {
          const place = nearEnd ? (at: number) => 1 - at * 0.7 : (at: number) => at;
          const files = memory(damaged(whole, change, place));
          const dataset = await codedOnly(() => openParquet(path, { files }), "DATASET_SHARD");
          if (dataset === undefined) return;
          opened++;
          const reader = new ImageReader(files);
          for (let i = 0; i < Math.min(dataset.size, 6); i++)
            await codedOnly(() => decode(dataset.item(i), { reader }), "IMAGE_UNREADABLE");
        }),
        { seed: 1, numRuns: 1000 },
      );
      assert.ok(opened > 0 && opened < 1000, `${opened} were opened`);
    });
  }

  it("paths and patterns", async () => {
    const part = fc.constantFrom(
      "{",
      "}",
      "..",
      ",",
      "*",
      "?",
      "0",
      "9",
      "00",
      "a",
      "/",
      ".tar",
      "[",
      "\\",
      "\0",
      "é",
      "(",
      "+",
      "-",
    );
    const pattern = fc.oneof(fc.array(part, { minLength: 1, maxLength: 12 }).map((parts) => parts.join("")), fc.string({ minLength: 1 })); // prettier-ignore
    await writeAt(join(folder(), "patterns", "a0.tar"), "");
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(pattern, fc.array(pattern, { minLength: 1, maxLength: 3 })),
        async (written) => {
          const config = {
            data: { dataset: "webdataset", path: written },
            train: { epochs: 1, batchSize: 2 },
            plugins: ["dino"],
          };
          const { data } = parseConfig(config, join(folder(), "patterns"));
          // A folder is read with all that is below it: not the whole disk.
          fc.pre([data.path!].flat().every((path) => path.startsWith(folder())));
          await codedOnly(
            () => findShards(data.path!, ".tar"),
            "DATASET_SHARDS_MISSING",
            "DATASET_UNREADABLE",
            "CONFIG_INVALID",
          );
        },
      ),
      { seed: 1, numRuns: 1000 },
    );
  });

  it("settings of the data", async () => {
    const keys = fc.constantFrom(
      "dataset",
      "path",
      "limit",
      "channels",
      "mean",
      "background",
      "workers",
      "prefetch",
      "shuffleBlocks",
      "readTimeout",
      "maxUnreadable",
      "other",
    );
    const data = fc.dictionary(
      keys,
      fc.oneof(fc.anything({ maxDepth: 2 }), fc.constantFrom("parquet", "webdataset", "./a", 1, 0.5, [])),
    );
    await fc.assert(
      fc.asyncProperty(fc.oneof(data, fc.anything()), async (data) => {
        const config = { data, train: { epochs: 1, batchSize: 2 }, plugins: ["dino"] };
        await codedOnly(
          () => parseConfig(config, folder()),
          "CONFIG_INVALID",
          "CONFIG_UNKNOWN_KEY",
          "CONFIG_PROBLEMS",
        );
      }),
      { seed: 1, numRuns: 1000 },
    );
  });
});

/** So that a damaged header is not refused for its sum. */
function mendChecksum(archive: Buffer, at: number): void {
  if (at + 512 > archive.length) return;
  const header = archive.subarray(at, at + 512);
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}
