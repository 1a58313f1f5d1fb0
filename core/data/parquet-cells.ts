/** Images in parquet files. A row group is read and unpacked as a whole, so those last used are kept. */
import type { FileReader } from "./file-reader.ts";
import type { ParquetCell } from "./image-source.ts";
import { ParquetFooter } from "./parquet-file.ts";

/** Of unpacked row groups that one thread keeps; the last one is kept whatever its size. */
export const KEPT_BYTES = 512 * 2 ** 20;
/** Footers are small, but there may be thousands of files. */
const KEPT_FOOTERS = 64;

interface KeptGroup {
  readonly values: Promise<ArrayLike<unknown>>;
  readonly bytes: number;
}

export class ParquetCells {
  private readonly files: FileReader;
  /** Least recently used first. */
  private readonly footers = new Map<string, Promise<ParquetFooter>>();
  private readonly groups = new Map<string, KeptGroup>();
  private bytes = 0;
  /** Groups are read one at a time: each may be most of what there is room for. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(files: FileReader) {
    this.files = files;
  }

  /** @throws ReadError where the file cannot be read, Error where it is damaged or the cell is empty */
  async read(path: string, { column, row }: ParquetCell): Promise<Buffer> {
    const footer = await this.footer(path);
    const group = footer.groupOf(row);
    if (group === undefined) throw new Error(`the file has ${footer.rows} rows`);
    const key = `${path}\0${column}\0${group.firstRow}`;
    const values = await this.group(key, group.bytes.get(column) ?? 0, () =>
      this.files.using(path, (file) => footer.column(file, column, group.firstRow, group.rows)),
    );
    const bytes = imageBytes(values[row - group.firstRow]);
    if (bytes === undefined) throw new Error(`column "${column}" has no bytes there`);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  private footer(path: string): Promise<ParquetFooter> {
    const kept = this.footers.get(path) ?? this.files.using(path, (file) => ParquetFooter.read(file));
    touch(this.footers, path, kept);
    // What failed is read anew when it is asked for again.
    kept.catch(() => this.footers.delete(path));
    if (this.footers.size > KEPT_FOOTERS) this.footers.delete(first(this.footers));
    return kept;
  }

  private group(key: string, bytes: number, read: () => KeptGroup["values"]): KeptGroup["values"] {
    let kept = this.groups.get(key);
    if (kept === undefined) {
      kept = { values: this.last.then(read), bytes };
      this.last = kept.values.catch(() => undefined);
      this.bytes += bytes;
      kept.values.catch(() => this.drop(key, kept!));
    }
    touch(this.groups, key, kept);
    while (this.bytes > KEPT_BYTES && this.groups.size > 1) {
      const oldest = first(this.groups);
      this.drop(oldest, this.groups.get(oldest)!);
    }
    return kept.values;
  }

  private drop(key: string, group: KeptGroup): void {
    if (this.groups.get(key) !== group) return;
    this.groups.delete(key);
    this.bytes -= group.bytes;
  }
}

/** Of a binary cell, or of one as Hugging Face's `datasets` write them: a struct of bytes and path. */
function imageBytes(cell: unknown): Uint8Array | undefined {
  if (cell instanceof Uint8Array) return cell;
  const bytes = (cell as { bytes?: unknown } | null | undefined)?.bytes;
  return bytes instanceof Uint8Array ? bytes : undefined;
}

function touch<T>(kept: Map<string, T>, key: string, value: T): void {
  kept.delete(key);
  kept.set(key, value);
}

function first(kept: ReadonlyMap<string, unknown>): string {
  return kept.keys().next().value!;
}
