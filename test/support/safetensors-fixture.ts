/** Reads the golden tensors of test/fixtures (safetensors: a JSON header, then raw little-endian values). */
import { readFileSync } from "node:fs";

export interface FixtureTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

/** Every tensor of some fixture files by name; paths are relative to test/fixtures. Float32 only. */
export function readFixture(...paths: readonly string[]): (name: string) => FixtureTensor {
  const files = paths.map((path) => {
    const file = readFileSync(new URL(`../fixtures/${path}`, import.meta.url));
    const start = 8 + Number(file.readBigUInt64LE(0));
    const header = JSON.parse(file.toString("utf8", 8, start)) as Record<string, HeaderEntry | undefined>;
    return { file, start, header };
  });
  return (name) => {
    const holder = files.find(({ header }) => header[name]?.dtype === "F32");
    if (!holder) throw new Error(`${paths.join(", ")}: there is no float32 tensor "${name}"`);
    const { shape, data_offsets } = holder.header[name]!;
    const [from, to] = data_offsets.map((offset) => holder.start + offset) as [number, number];
    // A copy: the file's bytes need not lie on a multiple of 4.
    const bytes = Uint8Array.from(holder.file.subarray(from, to));
    return { shape, values: new Float32Array(bytes.buffer) };
  };
}

/** A JSON file beside the tensors, as `T` says it is. */
export function readFixtureJson<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(`../fixtures/${path}`, import.meta.url), "utf8")) as T;
}
