/**
 * Parquet: a row per image with its `path`, its `label` where there are labels, and its `feature`, a list of floats. The
 * card is JSON in the file's metadata, under "relata".
 */
import { open } from "node:fs/promises";
import { fileWriter, ParquetWriter } from "hyparquet-writer";
import type {
  EmbeddingCard,
  FeatureFormat,
  FeatureRow,
  FeatureWriter,
  FinishedCard,
} from "./feature-writer.ts";

type SchemaElement = ParquetWriter["schema"][number];

/** Of a row group: what is kept in memory, and what is encoded at once. */
const GROUP_VALUES = 2 ** 18;
/** The list of groups at the end of the file stays short where a row is many patches. */
const GROUP_ROWS = 16;

export const parquet: FeatureFormat = {
  paths: (out) => [out],
  open: ([path], card) => Promise.resolve(new ParquetFile(path!, card)),
};

class ParquetFile implements FeatureWriter {
  private readonly path: string;
  private readonly file: ParquetWriter;
  private readonly labelled: boolean;
  private readonly dim: number;
  private readonly groupRows: number;
  private rows: FeatureRow[] = [];
  private features: number[][] = [];

  constructor(path: string, { shape, classNames }: EmbeddingCard) {
    this.path = path;
    this.labelled = classNames !== undefined;
    this.dim = shape.reduce((product, size) => product * size, 1);
    this.groupRows = Math.max(GROUP_ROWS, Math.floor(GROUP_VALUES / this.dim));
    // Features have no order and hardly repeat: statistics and compression would be time for nothing.
    const options = { codec: "UNCOMPRESSED", statistics: false, createdBy: "relata" } as const;
    this.file = new ParquetWriter({ writer: fileWriter(path), schema: schemaOf(this.labelled), ...options });
  }

  async write(rows: readonly FeatureRow[], features: Float32Array): Promise<void> {
    for (const [i, row] of rows.entries()) {
      this.rows.push(row);
      this.features.push(Array.from(features.subarray(i * this.dim, (i + 1) * this.dim)));
      if (this.rows.length === this.groupRows) await this.writeGroup();
    }
  }

  async finish(card: FinishedCard): Promise<void> {
    if (this.rows.length > 0) await this.writeGroup();
    this.file.kvMetadata = [{ key: "relata", value: JSON.stringify(card) }];
    await this.file.finish();
    const file = await open(this.path, "r+");
    await file.sync().finally(() => file.close());
  }

  /** The library opens the file anew for each piece. */
  async close(): Promise<void> {}

  private async writeGroup(): Promise<void> {
    const { rows, features } = this;
    const label = { name: "label", data: rows.map(({ label }) => label ?? null) };
    const columnData = [
      { name: "path", data: rows.map(({ path }) => path) },
      ...(this.labelled ? [label] : []),
      { name: "feature", data: features, encoding: "PLAIN" as const },
    ];
    this.rows = [];
    this.features = [];
    await this.file.write({ columnData, rowGroupSize: rows.length });
  }
}

function schemaOf(labelled: boolean): SchemaElement[] {
  const label: SchemaElement = { name: "label", type: "INT32", repetition_type: "OPTIONAL" };
  return [
    { name: "schema", num_children: labelled ? 3 : 2 },
    { name: "path", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
    ...(labelled ? [label] : []),
    { name: "feature", converted_type: "LIST", repetition_type: "REQUIRED", num_children: 1 },
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    { name: "element", type: "FLOAT", repetition_type: "REQUIRED" },
  ];
}
