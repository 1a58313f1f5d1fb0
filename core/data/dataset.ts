/** What the trainer and the evaluations read: a fixed, ordered list of images. */
import { createHash } from "node:crypto";
import { errors } from "../errors.ts";
import type { ImageSource } from "./image-source.ts";

/** One image of a dataset: a file at `path`, or a part of one. */
export interface DatasetItem extends ImageSource {
  /** Stable name within the dataset, such as `cats/007.jpg`. */
  readonly id: string;
  /** Index into `classNames`; absent where the dataset has no label for it. */
  readonly label?: number;
}

/** What DATASET is bound to. */
export interface Dataset {
  readonly name: string;
  readonly size: number;
  /** 12 hexadecimal digits over ids and labels; saved in checkpoints to notice a changed dataset. */
  readonly fingerprint: string;
  /** Absent where there are no labels. */
  readonly classNames?: readonly string[];
  /** Absent where any image is read as fast as its neighbour. */
  readonly blocks?: ImageBlocks;
  /** @throws DATASET_INDEX outside 0 … size-1. */
  item(index: number): DatasetItem;
}

/** Images that lie together, and are best read about the same time. */
export interface ImageBlocks {
  /** [blocks] the index of each block's first image, from 0, ascending. */
  readonly starts: Int32Array;
  /** Blocks that an epoch reads at a time, unless `data.shuffleBlocks` says. */
  readonly window: number;
  /** Blocks that can be read at a time; as many as there are unless given. */
  readonly most?: number;
}

/** A dataset of `size` images. Items are made when asked for. */
export function indexedDataset(index: {
  readonly name: string;
  readonly size: number;
  readonly idOf: (index: number) => string;
  readonly sourceOf: (index: number) => ImageSource;
  readonly classNames?: readonly string[];
  /** [size], where there are classNames; -1 for none. */
  readonly labels?: Int32Array;
  readonly blocks?: ImageBlocks;
}): Dataset {
  const { name, size, idOf, sourceOf, classNames, labels, blocks } = index;
  const hash = createHash("sha256");
  for (let i = 0; i < size; i++) hash.update(`${idOf(i)}\0${labels?.[i] ?? ""}\n`);
  return {
    name,
    size,
    fingerprint: hash.digest("hex").slice(0, 12),
    classNames,
    blocks,
    item(at) {
      if (!(Number.isInteger(at) && at >= 0 && at < size)) throw errors.datasetIndex(name, at, size);
      const label = labels?.[at];
      return { ...sourceOf(at), id: idOf(at), label: label === -1 ? undefined : label };
    },
  };
}

/** A dataset of files, from parallel lists: a million ids stay a million strings. */
export function listDataset(list: {
  readonly name: string;
  readonly ids: readonly string[];
  readonly pathOf: (id: string) => string;
  readonly classNames?: readonly string[];
  /** [ids], where there are classNames. */
  readonly labels?: Int32Array;
}): Dataset {
  const { ids, pathOf, ...rest } = list;
  return indexedDataset({
    ...rest,
    size: ids.length,
    idOf: (index) => ids[index]!,
    sourceOf: (index) => ({ path: pathOf(ids[index]!) }),
  });
}

/** @throws DATASET_LIMIT unless it is a whole number from `least` */
export function checkLimit(limit: number | undefined, least = 1): void {
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= least))
    throw errors.datasetLimit(limit, least);
}

/** Some items of a dataset, in the order of `indices`, as a dataset of their own; what lay together still does. */
export function subset(dataset: Dataset, name: string, indices: readonly number[]): Dataset {
  const { classNames, blocks } = dataset;
  return indexedDataset({
    name,
    size: indices.length,
    idOf: (index) => dataset.item(indices[index]!).id,
    sourceOf: (index) => dataset.item(indices[index]!),
    classNames,
    labels: classNames && Int32Array.from(indices, (index) => dataset.item(index).label ?? -1),
    blocks: blocks && { ...blocks, starts: startsAmong(blocks.starts, indices) },
  });
}

/** Where another block begins than that of the image before. */
function startsAmong(starts: Int32Array, indices: readonly number[]): Int32Array {
  let [from, to] = [0, 0];
  return Int32Array.from(indices.keys()).filter((at) => {
    const index = indices[at]!;
    if (index >= from && index < to) return false;
    const next = starts.findIndex((start) => start > index);
    [from, to] = next < 0 ? [starts.at(-1)!, Infinity] : [starts[next - 1]!, starts[next]!];
    return true;
  });
}

/** `limit` of the values, evenly spaced, so that a sorted list keeps its mix of classes. */
export function evenlySpaced<T>(values: readonly T[], limit: number): T[] {
  if (limit >= values.length) return [...values];
  return Array.from({ length: limit }, (_, i) => values[Math.floor((i * values.length) / limit)]!);
}
