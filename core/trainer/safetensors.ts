/** Safetensors files: an 8-byte header length, a JSON header, raw little-endian float32 values. */
import { createHash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import { elementType } from "../weights/element-types.ts";
import { elementsOf } from "../weights/stored-tensor.ts";

/** A variable's values under its name. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Where a file holds a tensor. */
export interface SafetensorsEntry {
  readonly name: string;
  /** "F32", "BF16" … */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** First byte, and the first after its last, from the start of the file. */
  readonly from: number;
  readonly to: number;
}

/** As long as other readers accept. */
const HEADER_BYTES = 100e6;

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
 * The tensors in the header's order, whose bytes follow one another without gaps, up to the file's end.
 *
 * @param onBytes gets what is read, in the file's order
 * @throws RangeError or SyntaxError for a file that is not whole
 */
export async function readSafetensorsHeader(
  file: FileHandle,
  onBytes: (bytes: Uint8Array) => void = () => undefined,
): Promise<{ entries: readonly SafetensorsEntry[] }> {
  const { size } = await file.stat();
  const length = Buffer.alloc(8);
  await readNext(file, length, onBytes);
  const start = 8 + Number(length.readBigUInt64LE());
  if (start > size) throw new RangeError("the header is longer than the file");
  if (start > HEADER_BYTES) throw new RangeError("the header is longer than 100 MB");
  const json = Buffer.alloc(start - 8);
  await readNext(file, json, onBytes);
  const parsed: unknown = JSON.parse(json.toString("utf8"));
  if (typeof parsed !== "object" || parsed === null) throw new SyntaxError("the header is no JSON object");
  const entries = Object.entries(parsed)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, entry]) => entryOf(name, entry, start, size));

  // Tensors lie one after the other, in any order.
  let end = start;
  for (const { name, from, to } of [...entries].sort((a, b) => a.from - b.from || a.to - b.to)) {
    if (from !== end) throw new RangeError(`"${name}" is out of place`);
    end = to;
  }
  if (end !== size) throw new RangeError("the file is longer than its tensors");
  return { entries };
}

/** @param start where the tensors' bytes begin, in a file of `size` bytes */
function entryOf(name: string, entry: unknown, start: number, size: number): SafetensorsEntry {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (typeof dtype !== "string" || !Array.isArray(shape) || !shape.every(isWhole))
    throw new RangeError(`"${name}" has no type and shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isWhole))
    throw new RangeError(`"${name}" has no place`);
  const [from, to] = offsets as [number, number];
  const bytes = elementType(dtype)?.bytes;
  if (to < from || start + to > size || (bytes !== undefined && to - from !== bytes * elementsOf(shape)))
    throw new RangeError(`"${name}" is not whole`);
  return { name, dtype, shape, from: start + from, to: start + to };
}

async function readNext(
  file: FileHandle,
  bytes: Uint8Array,
  onBytes: (bytes: Uint8Array) => void,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesRead } = await file.read(bytes, at, Math.min(READ_BYTES, bytes.length - at));
    if (bytesRead === 0) throw new RangeError("the file ends too early");
    at += bytesRead;
  }
  onBytes(bytes);
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
    const hash = createHash("sha256");
    const onBytes = (bytes: Uint8Array) => hash.update(bytes);
    const { entries } = await readSafetensorsHeader(file, onBytes);
    const tensors = new Map<string, NamedTensor>();
    for (const { name, dtype, shape } of entries) {
      if (dtype !== "F32") throw new RangeError(`"${name}" is ${dtype}, not F32`);
      tensors.set(name, { name, shape, values: new Float32Array(elementsOf(shape)) });
    }
    for (const { name } of [...entries].sort((a, b) => a.from - b.from || a.to - b.to))
      await readNext(file, bytesOf(tensors.get(name)!.values), onBytes);
    return { sha256: hash.digest("hex"), tensors };
  } finally {
    await file.close();
  }
}
