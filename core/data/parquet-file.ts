/** Parquet files with images: what the footer says, and the rows of one row group at a time. */
import {
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type AsyncBuffer,
  type FileMetaData,
  type SchemaTree,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { FileAccess } from "./file-reader.ts";

/** Rows that are packed together: the least that is read. */
export interface RowGroup {
  /** From the file's first row. */
  readonly firstRow: number;
  readonly rows: number;
  /** Of each top-level column, unpacked. */
  readonly bytes: ReadonlyMap<string, number>;
}

export class ParquetFooter {
  readonly metadata: FileMetaData;
  readonly groups: readonly RowGroup[];
  readonly rows: number;

  private constructor(metadata: FileMetaData) {
    this.metadata = metadata;
    let rows = 0;
    this.groups = metadata.row_groups.map((group) => {
      const bytes = new Map<string, number>();
      for (const { meta_data: column } of group.columns) {
        const [name = ""] = column?.path_in_schema ?? [];
        bytes.set(name, (bytes.get(name) ?? 0) + Number(column?.total_uncompressed_size ?? 0));
      }
      const firstRow = rows;
      rows += Number(group.num_rows);
      return { firstRow, rows: Number(group.num_rows), bytes };
    });
    this.rows = rows;
  }

  /** @throws Error where the file is no parquet file, ReadError where it cannot be read */
  static async read(file: FileAccess): Promise<ParquetFooter> {
    const footer = new ParquetFooter(await parquetMetadataAsync(bufferOf(file), { geoparquet: false }));
    // An image takes a byte at least; what is damaged may ask for more memory than there is.
    if (footer.groups.some(({ rows }) => !(rows >= 0 && rows <= file.size)))
      throw new Error(`${footer.rows} rows in ${file.size} bytes`);
    checkColumns(footer.metadata);
    return footer;
  }

  groupOf(row: number): RowGroup | undefined {
    return this.groups.find(({ firstRow, rows }) => row >= firstRow && row < firstRow + rows);
  }

  /**
   * [rows] values of a top-level column: bytes as Uint8Array, structs as objects.
   *
   * @throws as `read`
   */
  async column(file: FileAccess, name: string, firstRow: number, rows: number): Promise<unknown[]> {
    const objects = await parquetReadObjects({
      file: bufferOf(file),
      metadata: this.metadata,
      columns: [name],
      rowStart: firstRow,
      rowEnd: firstRow + rows,
      compressors,
      utf8: false,
    });
    if (objects.length !== rows) throw new Error(`${objects.length} of ${rows} rows of column "${name}"`);
    return objects.map((object) => object[name] as unknown);
  }
}

/** hyparquet starts to read columns that the schema does not have, and leaves their errors to nobody. */
function checkColumns(metadata: FileMetaData): void {
  const leaves = leavesOf(parquetSchema(metadata)).join();
  for (const { columns } of metadata.row_groups) {
    const paths = columns.map(({ meta_data: column }) => JSON.stringify(column?.path_in_schema));
    if (paths.join() !== leaves) throw new Error("a row group has other columns than the schema");
  }
}

function leavesOf({ children, path }: SchemaTree): string[] {
  return children.length > 0 ? children.flatMap(leavesOf) : [JSON.stringify(path)];
}

function bufferOf({ size, read }: FileAccess): AsyncBuffer {
  const slice = async (start: number, end: number) => {
    if (!(start >= 0 && start <= end && end <= size))
      throw new Error(`bytes ${start} to ${end} of a file of ${size}`);
    return (await read(start, end - start)).buffer;
  };
  return {
    byteLength: size,
    slice(start, end = size) {
      const bytes = slice(start, end);
      // hyparquet asks for several at once and waits for one after the other: a later one may fail first.
      bytes.catch(() => undefined);
      return bytes;
    },
  };
}
