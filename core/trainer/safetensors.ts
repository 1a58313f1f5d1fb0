/** Safetensors files: an 8-byte header length, a JSON header, raw little-endian float32 values. */
import { createHash } from "node:crypto";
import { open, readFile } from "node:fs/promises";

export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

const bytesOf = (values: Float32Array): Buffer => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

/** Writes and syncs the file; gives the SHA-256 of its bytes. */
export async function writeSafetensors(
  path: string,
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<string> {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const { name, shape, values } of tensors) {
    header[name] = { dtype: "F32", shape, data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
  }
  const json = JSON.stringify(header);
  const padded = Buffer.from(json + " ".repeat((8 - (Buffer.byteLength(json) % 8)) % 8)); // values start on a multiple of 8
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));

  const hash = createHash("sha256");
  const file = await open(path, "w");
  try {
    for (const part of [length, padded, ...tensors.map((t) => bytesOf(t.values))]) {
      hash.update(part);
      await file.writeFile(part);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

/** Reads float32 tensors and the SHA-256 of the file. Throws RangeError or SyntaxError for a file that is not whole. */
export async function readSafetensors(path: string): Promise<{ sha256: string; tensors: Map<string, NamedTensor> }> {
  const bytes = await readFile(path);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  if (start > bytes.length) throw new RangeError("the header is longer than the file");
  const header = JSON.parse(bytes.toString("utf8", 8, start)) as Record<string, HeaderEntry>;
  const tensors = new Map<string, NamedTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = entry.data_offsets;
    if (entry.dtype !== "F32" || start + to > bytes.length) throw new RangeError(`"${name}" is not whole`);
    const copy = Uint8Array.from(bytes.subarray(start + from, start + to));
    tensors.set(name, { name, shape: entry.shape, values: new Float32Array(copy.buffer) });
  }
  return { sha256, tensors };
}
