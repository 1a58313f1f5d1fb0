/** Tensors in files, which are read one at a time and only when they are asked for. */
import { open } from "node:fs/promises";
import { errors, RelataError } from "../errors.ts";

/** A tensor of a file of weights. */
export interface StoredTensor {
  /** As the file has it, with the keys of the dictionaries around it: "teacher.backbone.cls_token". */
  readonly name: string;
  readonly shape: readonly number[];
  /** Its values as float32, row-major. Throws WEIGHTS_DAMAGED. */
  read(): Promise<Float32Array>;
}

/** What a file of weights holds. */
export interface StoredTensors {
  readonly tensors: readonly StoredTensor[];
  /** Tensors that do not become float32, and why. */
  readonly skipped: readonly SkippedTensor[];
}

/** A tensor that is left out. */
export interface SkippedTensor {
  readonly name: string;
  readonly reason: string;
}

/** Bytes of a file. Throws RangeError where it ends before. */
export async function readBytes(path: string, position: number, length: number): Promise<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  const file = await open(path, "r");
  try {
    for (let at = 0; at < length;) {
      const { bytesRead } = await file.read(bytes, at, Math.min(READ_BYTES, length - at), position + at);
      if (bytesRead === 0) throw new RangeError("the file ends too early");
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
  return bytes.buffer;
}

/** Node reads no more than 2 GiB at a time. */
const READ_BYTES = 64 * 2 ** 20;

/** Runs a reader; what it throws becomes WEIGHTS_DAMAGED of the file, unless it has a code of relata's. */
export async function readingWeights<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof RelataError) throw error;
    throw errors.weightsDamaged(path, error).because(error);
  }
}

/** Elements of a tensor of that shape; NaN where the shape is none. */
export function elementsOf(shape: readonly number[]): number {
  const whole = shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  const product = shape.reduce((elements, size) => elements * size, 1);
  return whole && Number.isSafeInteger(product) ? product : NaN;
}
