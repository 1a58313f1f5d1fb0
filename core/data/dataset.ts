/** What the trainer and the evaluations read: a fixed, ordered list of image files. */
import { createHash } from "node:crypto";
import { errors } from "../errors.ts";

/** One image of a dataset. */
export interface DatasetItem {
  /** Stable name within the dataset, such as `cats/007.jpg`. */
  readonly id: string;
  readonly path: string;
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
  /** @throws DATASET_INDEX outside 0 … size-1. */
  item(index: number): DatasetItem;
}

/** A dataset from parallel lists. Items are made when asked for: a million ids stay a million strings. */
export function listDataset(list: {
  readonly name: string;
  readonly ids: readonly string[];
  readonly pathOf: (id: string) => string;
  readonly classNames?: readonly string[];
  /** [ids], where there are classNames. */
  readonly labels?: Int32Array;
}): Dataset {
  const { name, ids, pathOf, classNames, labels } = list;
  return {
    name,
    size: ids.length,
    fingerprint: fingerprintOf(ids, (index) => labels?.[index]),
    classNames,
    item(index) {
      const id = ids[index];
      if (id === undefined) throw errors.datasetIndex(name, index, ids.length);
      return { id, path: pathOf(id), label: labels?.[index] };
    },
  };
}

/** Some items of a dataset, in the order of `indices`, as a dataset of their own. */
export function subset(dataset: Dataset, name: string, indices: readonly number[]): Dataset {
  const item = (index: number): DatasetItem => {
    if (!(index in indices)) throw errors.datasetIndex(name, index, indices.length);
    return dataset.item(indices[index]!);
  };
  return {
    name,
    size: indices.length,
    fingerprint: fingerprintOf(
      indices.map((_, i) => item(i).id),
      (i) => item(i).label,
    ),
    classNames: dataset.classNames,
    item,
  };
}

function fingerprintOf(ids: readonly string[], labelOf: (index: number) => number | undefined): string {
  const hash = createHash("sha256");
  ids.forEach((id, index) => hash.update(`${id}\0${labelOf(index) ?? ""}\n`));
  return hash.digest("hex").slice(0, 12);
}

/** `limit` of the values, evenly spaced, so that a sorted list keeps its mix of classes. */
export function evenlySpaced<T>(values: readonly T[], limit: number): T[] {
  if (limit >= values.length) return [...values];
  return Array.from({ length: limit }, (_, i) => values[Math.floor((i * values.length) / limit)]!);
}
