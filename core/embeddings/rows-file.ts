/** A file of a header, which is known at the end, and float32 rows; beside it a file that says whose rows they are. */
import { open, type FileHandle } from "node:fs/promises";
import type { FeatureRow, FeatureWriter, FinishedCard } from "./feature-writer.ts";

/** Of a file of rows: one JSON object a line, in the rows' order. */
export const itemsPath = (path: string): string => `${path}.items.jsonl`;

/** The header, of the length that was kept free for it. */
export type HeaderOf = (card: FinishedCard) => Buffer;

export class RowsFile implements FeatureWriter {
  private readonly rows: FileHandle;
  private readonly items: FileHandle;
  private readonly header: HeaderOf;
  /** Where the next row begins. */
  private end: number;

  private constructor(rows: FileHandle, items: FileHandle, header: HeaderOf, end: number) {
    this.rows = rows;
    this.items = items;
    this.header = header;
    this.end = end;
  }

  /** @param headerBytes kept free in front of the rows */
  static async create(path: string, items: string, header: HeaderOf, headerBytes: number): Promise<RowsFile> {
    const rows = await open(path, "w");
    try {
      return new RowsFile(rows, await open(items, "w"), header, headerBytes);
    } catch (error) {
      await rows.close();
      throw error;
    }
  }

  async write(rows: readonly FeatureRow[], features: Float32Array): Promise<void> {
    const bytes = Buffer.from(features.buffer, features.byteOffset, features.byteLength);
    await writeAll(this.rows, bytes, this.end);
    this.end += bytes.length;
    await this.items.appendFile(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  }

  async finish(card: FinishedCard): Promise<void> {
    await writeAll(this.rows, this.header(card), 0);
    for (const file of [this.items, this.rows]) await file.sync();
  }

  async close(): Promise<void> {
    for (const file of [this.items, this.rows]) await file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
  }
}

/** Text of exactly so many bytes, filled up with spaces. Throws RangeError where it is longer. */
export function padded(text: string, bytes: number, end = ""): Buffer {
  const free = bytes - Buffer.byteLength(text) - Buffer.byteLength(end);
  if (free < 0) throw new RangeError(`a header of ${bytes - free} bytes does not fit in ${bytes}`);
  return Buffer.from(text + " ".repeat(free) + end);
}
