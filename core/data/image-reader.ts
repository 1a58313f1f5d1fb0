/** The bytes of images, from wherever they are. */
import { FileReader } from "./file-reader.ts";
import type { ImageSource } from "./image-source.ts";
import { ParquetCells } from "./parquet-cells.ts";

export class ImageReader {
  private readonly files: FileReader;
  private readonly cells: ParquetCells;

  constructor(files = new FileReader()) {
    this.files = files;
    this.cells = new ParquetCells(files);
  }

  /** @throws ReadError where the file cannot be read, and Error where it holds no image in that place */
  read({ path, within }: ImageSource): Promise<Buffer> {
    if (within === undefined) return this.files.read(path);
    return "row" in within ? this.cells.read(path, within) : this.files.read(path, within);
  }
}

/** For what has no reader of its own: evaluations, previews. */
export const imageReader = new ImageReader();
