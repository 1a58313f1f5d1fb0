import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSafetensors, writeSafetensors } from "../../../core/trainer/safetensors.ts";
import { readFixture } from "../../support/safetensors-fixture.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const tensors = [
  { name: "student/backbone.cls_token", shape: [1, 1, 3], values: Float32Array.of(0.1, -0, NaN) },
  { name: "adam.step/main", shape: [], values: Float32Array.of(7) },
  { name: "naïve \u{1f9ea}", shape: [2, 2], values: Float32Array.of(1, 2, Infinity, 1e-45) },
];

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** The format as its specification has it: little-endian length, JSON, values without gaps. */
function parse(bytes: Buffer): { header: Record<string, Entry>; start: number } {
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  return { header: JSON.parse(bytes.toString("utf8", 8, start)) as Record<string, Entry>, start };
}

describe("safetensors", () => {
  const folder = temporaryFolder();
  const path = () => join(folder(), "x.safetensors");

  it("come back bit for bit, from a view of a larger buffer too", async () => {
    const large = Float32Array.of(9, 9, 1, 2, 3, 9);
    const view = { name: "view", shape: [3], values: large.subarray(2, 5) };
    const written = await writeSafetensors(path(), [...tensors, view]);
    const { sha256, tensors: read } = await readSafetensors(path());
    assert.equal(sha256, written);
    assert.equal(
      sha256,
      createHash("sha256")
        .update(await readFile(path()))
        .digest("hex"),
    );
    assert.deepEqual([...read.values()], [...tensors, view]);
    assert.ok(Object.is(read.get(tensors[0]!.name)!.values[1], -0));
  });

  it("have a header that other readers understand, and values on a multiple of 8 bytes", async () => {
    await writeSafetensors(path(), tensors, { format: "relata" });
    const bytes = await readFile(path());
    const { header, start } = parse(bytes);
    assert.equal(start % 8, 0);
    assert.equal(bytes[8], "{".charCodeAt(0));
    assert.deepEqual(header["__metadata__"], { format: "relata" });
    let end = 0;
    for (const { name, shape, values } of tensors) {
      const entry = header[name]!;
      assert.deepEqual([entry.dtype, entry.shape], ["F32", shape]);
      assert.deepEqual(entry.data_offsets, [end, end + 4 * values.length]);
      end = entry.data_offsets[1];
      values.forEach((value, i) => {
        assert.ok(Object.is(bytes.readFloatLE(start + entry.data_offsets[0] + 4 * i), value));
      });
    }
    assert.equal(bytes.length, start + end);
  });

  it("of another writer are read", async () => {
    const file = fileURLToPath(new URL("../../fixtures/parity/golden.safetensors", import.meta.url));
    const { tensors: read } = await readSafetensors(file);
    const { header } = parse(await readFile(file));
    const fixture = readFixture("parity/golden.safetensors");
    const names = Object.keys(header).filter((name) => name !== "__metadata__");
    assert.deepEqual([...read.keys()], names);
    for (const [name, { shape, values }] of read) assert.deepEqual({ shape, values }, fixture(name));
  });

  describe("that are not whole are refused:", () => {
    /** Writes the header with the values of `tensors` behind it. */
    const withHeader = async (change: (header: Record<string, Entry>) => void) => {
      await writeSafetensors(path(), tensors);
      const bytes = await readFile(path());
      const { header, start } = parse(bytes);
      change(header);
      const json = Buffer.from(JSON.stringify(header));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(json.length));
      await writeFile(path(), Buffer.concat([length, json, bytes.subarray(start)]));
    };
    const refused = (expected: RegExp) => assert.rejects(readSafetensors(path()), expected);
    const [first, second] = tensors.map(({ name }) => name) as [string, string, string];

    it("cut anywhere", async () => {
      await writeSafetensors(path(), tensors);
      const bytes = await readFile(path());
      for (const length of [0, 7, 8, 9, 100, bytes.length - 1]) {
        await writeFile(path(), bytes.subarray(0, length));
        await assert.rejects(readSafetensors(path()), /RangeError|SyntaxError/, `${length} bytes`);
      }
    });

    it("with a header length beyond the file, or more than there are tensors", async () => {
      await writeFile(path(), Buffer.from("ffffffffffffffff00", "hex"));
      await refused(/the header is longer than the file/);
      await writeSafetensors(path(), tensors);
      await writeFile(path(), Buffer.concat([await readFile(path()), Buffer.from("!")]));
      await refused(/longer than its tensors/);
    });

    it("with another type, shape or place of a tensor", async () => {
      await withHeader((header) => (header[second]!.dtype = "F16"));
      await refused(/"adam.step\/main" is not whole/);
      await withHeader((header) => (header[first]!.shape = [2]));
      await refused(/is not whole/);
      await withHeader((header) => (header[second]!.data_offsets = [4, 8]));
      await refused(/out of place/);
      await withHeader((header) => (header[second]!.data_offsets = [1e9, 1e9 + 4]));
      await refused(/is not whole/);
    });
  });
});
