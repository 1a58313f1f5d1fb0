/** Small tar shards and parquet files for tests. */
import { parquetWriteBuffer } from "hyparquet-writer";
import { Header } from "tar";

export interface TarFile {
  readonly name: string;
  readonly data: Uint8Array | string;
}

/** An ustar archive. */
export function tarOf(files: readonly TarFile[]): Buffer {
  const blocks = files.flatMap(({ name, data }) => {
    const bytes = Buffer.from(data);
    const header = Buffer.alloc(512);
    new Header({ path: name, size: bytes.length, type: "File", mode: 0o644, mtime: new Date(0) }).encode(
      header,
    );
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** Columns "image", binary, and "label", int. */
export function parquetOf(
  images: readonly Uint8Array[],
  { labels, rowGroupSize }: { labels?: readonly number[]; rowGroupSize: number },
): Buffer {
  return Buffer.from(
    parquetWriteBuffer({
      columnData: [
        { name: "image", data: [...images], type: "BYTE_ARRAY" },
        ...(labels ? [{ name: "label", data: [...labels], type: "INT32" as const }] : []),
      ],
      rowGroupSize,
      statistics: false,
    }),
  );
}
