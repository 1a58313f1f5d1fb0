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

/** Every tensor of a fixture file by name; `path` is relative to test/fixtures. Float32 only. */
export function readFixture(path: string): (name: string) => FixtureTensor {
  const file = readFileSync(new URL(`../fixtures/${path}`, import.meta.url));
  const headerBytes = Number(file.readBigUInt64LE(0));
  const start = 8 + headerBytes;
  const header = JSON.parse(file.toString("utf8", 8, start)) as Record<string, HeaderEntry | undefined>;
  return (name) => {
    const entry = header[name];
    if (entry?.dtype !== "F32") throw new Error(`${path} holds no float32 tensor "${name}"`);
    const [from, to] = entry.data_offsets;
    // A copy: the file's bytes need not lie on a multiple of 4.
    const bytes = Uint8Array.from(file.subarray(start + from, start + to));
    return { shape: entry.shape, values: new Float32Array(bytes.buffer) };
  };
}

/** A JSON file beside the tensors, as `T` says it is. */
export function readFixtureJson<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(`../fixtures/${path}`, import.meta.url), "utf8")) as T;
}
