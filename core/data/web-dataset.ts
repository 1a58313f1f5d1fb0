/**
 * Images in tar shards, by the conventions of WebDataset (https://github.com/webdataset/webdataset): neighbouring files
 * whose paths agree up to the first dot of the file name are one sample.
 */
import { errors } from "../errors.ts";
import { checkLimit, evenlySpaced, indexedDataset, type Dataset } from "./dataset.ts";
import { FileReader, ReadError } from "./file-reader.ts";
import { IMAGE_EXTENSIONS } from "./image-folder.ts";
import { classesOf } from "./label-classes.ts";
import { findShards, READ_FIX, type Shard } from "./shards.ts";
import { TarError, tarEntries, type TarEntry } from "./tar-entries.ts";

/** Images that are shuffled as one block: read about the same time, from about the same place. */
export const BLOCK_IMAGES = 1024;
/** So that an epoch mixes 16,384 images at a time. */
const WINDOW = 16;
/** Shards whose headers are read at a time. */
const TOGETHER = 4;
/** A label in JSON lies in a small file; a large one is something else. */
const MAX_LABEL_BYTES = 2 ** 16;

/** The images of one shard, in parallel lists. */
interface ShardIndex {
  readonly names: string[];
  readonly offsets: number[];
  readonly lengths: number[];
  /** As they are written; undefined for a sample without. */
  readonly labels: (string | undefined)[];
}

/**
 * Only headers and labels are read, so a corrupt image shows when it is decoded.
 *
 * Of each sample the first image counts (`.jpg`, `.png` …: all that follows the first dot). Its label is in `.cls`, or
 * under "label" in `.json`: a number or a name. Where there are at least two, they are the classes.
 *
 * @param paths a folder of shards, a pattern such as `train-{000..009}.tar`, or a list
 * @param options.limit use at most this many images, evenly spaced
 * @throws DATASET_SHARDS_MISSING, DATASET_SHARD for one that is damaged or compressed, DATASET_EMPTY, DATASET_LIMIT
 */
export async function openWebDataset(
  paths: string | readonly string[],
  { limit, files = new FileReader() }: { readonly limit?: number; readonly files?: FileReader } = {},
): Promise<Dataset> {
  checkLimit(limit);
  const { name, shards } = await findShards(paths, ".tar");
  const parts: ShardIndex[] = [];
  for (let first = 0; first < shards.length; first += TOGETHER) {
    const some = shards.slice(first, first + TOGETHER);
    parts.push(...(await Promise.all(some.map((shard) => indexShard(shard, files)))));
  }

  const names = parts.flatMap((part) => part.names);
  if (names.length === 0) throw errors.datasetEmpty(String(paths), IMAGE_EXTENSIONS);
  const offsets = Float64Array.from(parts.flatMap((part) => part.offsets));
  const lengths = Float64Array.from(parts.flatMap((part) => part.lengths));
  const shardOf = Int32Array.from(parts.flatMap((part, shard) => part.names.map(() => shard)));
  // All images count, so that a limit does not renumber the classes.
  const { classNames, labels } = classesOf(parts.flatMap((part) => part.labels));
  const chosen = Int32Array.from(evenlySpaced([...names.keys()], limit ?? names.length));
  return indexedDataset({
    name,
    size: chosen.length,
    idOf: (index) => `${shards[shardOf[chosen[index]!]!]!.name}/${names[chosen[index]!]!}`,
    sourceOf(index) {
      const at = chosen[index]!;
      const within = { name: names[at]!, offset: offsets[at]!, length: lengths[at]! };
      return { path: shards[shardOf[at]!]!.path, within };
    },
    classNames,
    labels: labels && chosen.map((at) => labels[at]!),
    blocks: { starts: blockStarts(chosen.map((at) => shardOf[at]!)), window: WINDOW },
  });
}

/** Every shard starts a block, and so does every BLOCK_IMAGES-th image of one. */
function blockStarts(shardOf: Int32Array): Int32Array {
  const starts: number[] = [];
  shardOf.forEach((shard, index) => {
    const last = starts.at(-1);
    if (last === undefined || shard !== shardOf[last] || index - last === BLOCK_IMAGES) starts.push(index);
  });
  return Int32Array.from(starts);
}

async function indexShard({ path }: Shard, files: FileReader): Promise<ShardIndex> {
  try {
    return await files.using(path, async (file) => {
      const index: ShardIndex = { names: [], offsets: [], lengths: [], labels: [] };
      for await (const { image, label } of samples(tarEntries(file))) {
        index.names.push(image.name);
        index.offsets.push(image.offset);
        index.lengths.push(image.length);
        index.labels.push(label);
      }
      return index;
    });
  } catch (cause) {
    if (cause instanceof ReadError) throw errors.datasetShard(path, cause.message, READ_FIX).because(cause);
    if (cause instanceof TarError) throw errors.datasetShard(path, cause.message, cause.fix).because(cause);
    throw cause;
  }
}

interface Sample {
  readonly image: TarEntry;
  readonly label?: string;
}

async function* samples(entries: AsyncIterable<TarEntry>): AsyncGenerator<Sample, void, undefined> {
  let key: string | undefined;
  let image: TarEntry | undefined;
  let cls: string | undefined;
  let json: string | undefined;
  for await (const entry of entries) {
    const [prefix, suffix] = splitName(entry.name);
    if (prefix !== key) {
      if (image) yield { image, label: cls ?? json };
      key = prefix;
      image = cls = json = undefined;
    }
    if (suffix === "cls") cls = (await small(entry)).trim() || undefined;
    else if (suffix === "json") json = labelIn(await small(entry));
    else if (isImage(entry.name, suffix)) image ??= entry;
  }
  if (image) yield { image, label: cls ?? json };
}

/** Up to the first dot of the file name, and what follows it in lower case. */
function splitName(path: string): [string, string] {
  const dot = path.indexOf(".", path.lastIndexOf("/") + 2);
  return dot < 0 ? [path, ""] : [path.slice(0, dot), path.slice(dot + 1).toLowerCase()];
}

/** Hidden files are left out, such as the ._1.jpg that macOS adds. */
function isImage(path: string, suffix: string): boolean {
  return IMAGE_EXTENSIONS.includes(`.${suffix}`) && !path.slice(path.lastIndexOf("/") + 1).startsWith(".");
}

async function small(entry: TarEntry): Promise<string> {
  return entry.length > MAX_LABEL_BYTES ? "" : (await entry.read()).toString("utf8");
}

function labelIn(text: string): string | undefined {
  try {
    const { label } = JSON.parse(text) as { label?: unknown };
    return typeof label === "string" || typeof label === "number" ? String(label) : undefined;
  } catch {
    // Captions and other notes may be anything.
    return undefined;
  }
}
