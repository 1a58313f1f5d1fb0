/** Where the bytes of an image are. Plain data: workers are sent it. */

/** A file, or a part of one. */
export interface ImageSource {
  readonly path: string;
  /** Which part of the file is the image; all of it unless given. */
  readonly within?: ByteRange | ParquetCell;
}

/** An image that lies in a file as it is, such as an entry of a tar archive. */
export interface ByteRange {
  /** Of the image, for messages. */
  readonly name: string;
  /** In bytes. */
  readonly offset: number;
  readonly length: number;
}

/** An image in a table. */
export interface ParquetCell {
  readonly column: string;
  /** From the file's first row. */
  readonly row: number;
}

/** As messages name it: "photos/1.jpg", "train-000.tar: cats/1.jpg", "train.parquet: row 7". */
export function nameOf({ path, within }: ImageSource): string {
  if (within === undefined) return path;
  return `${path}: ${"row" in within ? `row ${within.row}` : within.name}`;
}

/** The same for the same image only. */
export function keyOf({ path, within }: ImageSource): string {
  if (within === undefined) return path;
  return "row" in within ? `${path}\0${within.column}\0${within.row}` : `${path}\0${within.offset}`;
}
