/** Images in the cells of parquet files, such as the datasets of Hugging Face. */
import { errors, RelataError } from "../errors.ts";
import { checkLimit, evenlySpaced, indexedDataset, type Dataset } from "./dataset.ts";
import { FileReader, ReadError } from "./file-reader.ts";
import { classesOf } from "./label-classes.ts";
import { KEPT_BYTES } from "./parquet-cells.ts";
import { imageColumn, labelColumn } from "./parquet-columns.ts";
import { ParquetFooter, type RowGroup } from "./parquet-file.ts";
import { COPY_FIX, findShards, READ_FIX, type Shard } from "./shards.ts";

/** Row groups whose images an epoch mixes, where a worker can keep as many. */
const WINDOW = 16;
/** Of an unpacked row group: a worker holds at least one, and the next. */
const MAX_GROUP_BYTES = KEPT_BYTES / 2;
const SMALLER_GROUPS =
  "write it anew in smaller row groups, such as row_group_size=100 of pyarrow's write_table";
const NO_IMAGES =
  'give it a column "image" of encoded images (JPEG, PNG …): binary, or a struct with bytes, as `datasets` writes it';

interface FileIndex {
  readonly column: string;
  readonly groups: readonly RowGroup[];
  readonly classNames?: readonly string[];
  /** [rows] as they are written; undefined where there is none. */
  readonly labels: readonly (string | undefined)[];
}

/**
 * Only footers and labels are read, so a corrupt image shows when it is decoded. Images are in the column that is one by
 * Hugging Face's metadata, or is named "image" or "img", or is the only one with bytes; labels in that which is a class
 * label, or is named "label", "labels", "cls" or "class".
 *
 * @param paths a folder of parquet files, a pattern such as `train-*.parquet`, or a list
 * @param options.limit use at most this many images, evenly spaced
 * @throws DATASET_SHARDS_MISSING, DATASET_SHARD for a file that is damaged or has no images, DATASET_LIMIT
 */
export async function openParquet(
  paths: string | readonly string[],
  { limit, files = new FileReader() }: { readonly limit?: number; readonly files?: FileReader } = {},
): Promise<Dataset> {
  checkLimit(limit);
  const { name, shards } = await findShards(paths, ".parquet");
  const parts: FileIndex[] = [];
  for (const shard of shards) parts.push(await indexFile(shard, files));

  const groups = parts.flatMap((part, file) => part.groups.map((group) => ({ ...group, file })));
  const firsts: number[] = [];
  let rows = 0;
  for (const group of groups) {
    firsts.push(rows);
    rows += group.rows;
  }
  if (rows === 0) throw errors.datasetShard(shards[0]!.path, "it has no rows", NO_IMAGES);
  const { classNames, labels } = allClasses(parts);
  const chosen = Int32Array.from(evenlySpaced([...Array(rows).keys()], limit ?? rows));
  const most = mostGroups(parts);
  const place = (index: number) => {
    const at = lastAtMost(firsts, chosen[index]!);
    const { file, firstRow } = groups[at]!;
    return { group: at, file, row: firstRow + chosen[index]! - firsts[at]! };
  };
  return indexedDataset({
    name,
    size: chosen.length,
    idOf(index) {
      const { file, row } = place(index);
      return `${shards[file]!.name}/${row}`;
    },
    sourceOf(index) {
      const { file, row } = place(index);
      return { path: shards[file]!.path, within: { column: parts[file]!.column, row } };
    },
    classNames,
    labels: labels && chosen.map((at) => labels[at]!),
    blocks: {
      starts: Int32Array.from(chosen.keys()).filter(
        (index) => index === 0 || place(index).group !== place(index - 1).group,
      ),
      window: Math.min(WINDOW, most),
      most,
    },
  });
}

async function indexFile({ path }: Shard, files: FileReader): Promise<FileIndex> {
  try {
    return await files.using(path, async (file) => {
      const footer = await ParquetFooter.read(file);
      const column = imageColumn(footer.metadata);
      if (column === undefined) throw errors.datasetShard(path, "it has no column of images", NO_IMAGES);
      const largest = largestGroup({ column, groups: footer.groups });
      if (largest > MAX_GROUP_BYTES) {
        const problem = `a row group of it has ${(largest / 1e9).toFixed(1)} GB, all read for any image of it`;
        throw errors.datasetShard(path, problem, SMALLER_GROUPS);
      }
      const label = labelColumn(footer.metadata);
      const values = label
        ? await footer.column(file, label.name, 0, footer.rows)
        : Array(footer.rows).fill(null);
      return { column, groups: footer.groups, classNames: label?.classNames, labels: values.map(labelText) };
    });
  } catch (cause) {
    if (cause instanceof RelataError) throw cause;
    if (cause instanceof ReadError) throw errors.datasetShard(path, cause.message, READ_FIX).because(cause);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw errors.datasetShard(path, `it is no intact parquet file: ${reason}`, COPY_FIX).because(cause);
  }
}

/** Null and a negative number, which stands for it in test sets, are no label. */
function labelText(value: unknown): string | undefined {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("utf8");
  if (typeof value === "string") return value;
  return (typeof value === "number" || typeof value === "bigint") && value >= 0 ? String(value) : undefined;
}

/** By the names that the first file gives, or by the values that are there. */
function allClasses(parts: readonly FileIndex[]): ReturnType<typeof classesOf> {
  const values = parts.flatMap(({ labels }) => labels);
  const { classNames } = parts[0]!;
  if (classNames === undefined || classNames.length < 2) return classesOf(values);
  const known = (label: string | undefined) => {
    const index = label === undefined ? -1 : Number(label);
    return Number.isInteger(index) && index < classNames.length ? index : -1;
  };
  return { classNames, labels: Int32Array.from(values, known) };
}

function largestGroup({ column, groups }: Pick<FileIndex, "column" | "groups">): number {
  return Math.max(1, ...groups.map(({ bytes }) => bytes.get(column) ?? 0));
}

/** Row groups that a worker keeps, with room for the one that comes next. */
function mostGroups(parts: readonly FileIndex[]): number {
  return Math.max(1, Math.floor(KEPT_BYTES / Math.max(...parts.map(largestGroup))) - 1);
}

/** The last place of a value that is at most `wanted`, in ascending values. */
function lastAtMost(values: readonly number[], wanted: number): number {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (values[middle]! <= wanted) low = middle;
    else high = middle - 1;
  }
  return low;
}
