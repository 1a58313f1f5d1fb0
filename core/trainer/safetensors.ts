/** Safetensors files: an 8-byte header length, a JSON header, raw little-endian float32 values. */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";

/** A variable's values under its name. */
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

/** Read at a time. */
const READ_BYTES = 64 * 2 ** 20;

const bytesOf = (values: Float32Array): Buffer =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength);

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

/**
 * Reads float32 tensors, in the header's order, and the SHA-256 of the file, one tensor at a time: a large model's
 * state is more than Node reads in one piece. Throws RangeError or SyntaxError for a file that is not whole.
 */
export async function readSafetensors(
  path: string,
): Promise<{ sha256: string; tensors: Map<string, NamedTensor> }> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const hash = createHash("sha256");
    const read = async (bytes: Uint8Array): Promise<void> => {
      for (let at = 0; at < bytes.length;) {
        const { bytesRead } = await file.read(bytes, at, Math.min(READ_BYTES, bytes.length - at));
        if (bytesRead === 0) throw new RangeError("the file ends too early");
        at += bytesRead;
      }
      hash.update(bytes);
    };
    const length = Buffer.alloc(8);
    await read(length);
    const start = 8 + Number(length.readBigUInt64LE());
    if (start > size) throw new RangeError("the header is longer than the file");
    const json = Buffer.alloc(start - 8);
    await read(json);
    const { __metadata__: _, ...header } = JSON.parse(json.toString("utf8")) as Record<string, HeaderEntry>;

    const tensors = new Map<string, NamedTensor>(
      Object.entries(header).map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [from, to],
          },
        ]) => {
          const elements = shape.reduce((a, b) => a * b, 1);
          if (dtype !== "F32" || to - from !== 4 * elements || start + to > size) {
            throw new RangeError(`"${name}" is not whole`);
          }
          return [name, { name, shape, values: new Float32Array(elements) }];
        },
      ),
    );
    // Tensors lie one after the other, in any order.
    let end = 0;
    for (const [name, { data_offsets }] of Object.entries(header).sort(([, a], [, b]) => order(a, b))) {
      if (data_offsets[0] !== end) throw new RangeError(`"${name}" is out of place`);
      await read(bytesOf(tensors.get(name)!.values));
      end = data_offsets[1];
    }
    if (start + end !== size) throw new RangeError("the file is longer than its tensors");
    return { sha256: hash.digest("hex"), tensors };
  } finally {
    await file.close();
  }
}

const order = (a: HeaderEntry, b: HeaderEntry): number =>
  a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1];
