/**
 * Labelled images in two parts, for evaluations that learn from labels: what they learn from, and what they are
 * measured on. Which part an image is in depends on the seed, its name and, at the edge, on its class only.
 */
import { errors } from "../errors.ts";
import { Random } from "../random.ts";
import { evenlySpaced, type Dataset } from "./dataset.ts";
import { isEmoji } from "./emoji.ts";
import { openImageFolder } from "./image-folder.ts";

/** Throws SPLIT_CLASSES where there is no such folder of images. */
function openTest(folder: string): Promise<Dataset> {
  return openImageFolder(folder).catch((cause: unknown) => {
    throw errors.splitClasses(folder, cause instanceof Error ? cause.message : String(cause)).because(cause);
  });
}

/** Images with a class each. */
export interface LabelledPart {
  /** "Google emoji", "80 % of each class of photos" … */
  readonly name: string;
  readonly dataset: Dataset;
  /** [count] items of the dataset, in its order. */
  readonly indices: readonly number[];
  /** [count] index into the split's classNames. */
  readonly labels: Int32Array;
}

/** The parts have no image in common. */
export interface LabelledSplit {
  readonly classNames: readonly string[];
  readonly train: LabelledPart;
  readonly test: LabelledPart;
}

export interface SplitOptions {
  readonly seed: number;
  /** Share of each class that is tested on, in (0, 1), where neither the dataset nor `test` says it. */
  readonly testShare: number;
  /** A folder of images in the dataset's class folders, which are tested on. */
  readonly test?: string;
  /** At most this many images, in the parts' proportion. */
  readonly limit?: number;
}

/**
 * The dataset's labelled images against those of the folder `test`; of emoji Google's drawings against Twitter's; else
 * `testShare` of each class against the rest of it. Undefined where the dataset has no labels.
 *
 * @throws SPLIT_CLASSES where the folder's classes are not the dataset's, SPLIT_OVERLAP where images are in both, and what
 *   opening the folder throws.
 */
export async function labelledSplit(
  dataset: Dataset,
  { seed, testShare, test, limit }: SplitOptions,
): Promise<LabelledSplit | undefined> {
  const { classNames } = dataset;
  if (!classNames) {
    if (test !== undefined) throw errors.splitClasses(test, `${dataset.name} has no classes itself`);
    return undefined;
  }
  let split: LabelledSplit;
  if (test !== undefined) split = splitByFolder(dataset, classNames, await openTest(test), test);
  else if (isEmoji(dataset)) {
    const { google, twitter } = dataset;
    split = {
      classNames,
      train: part(dataset, "Google emoji", google),
      test: part(dataset, "Twitter emoji", twitter),
    };
  } else split = splitByShare(dataset, classNames, { seed, share: testShare });
  return limit === undefined ? split : limited(split, limit);
}

function splitByFolder(
  dataset: Dataset,
  classNames: readonly string[],
  tested: Dataset,
  path: string,
): LabelledSplit {
  if (!tested.classNames) throw errors.splitClasses(path, "it has no class folders");
  const labels = tested.classNames.map((name) => classNames.indexOf(name));
  const unknown = tested.classNames.filter((_, i) => labels[i] === -1);
  if (unknown.length > 0) {
    const names = unknown.slice(0, 5).join(", ");
    throw errors.splitClasses(path, `its classes ${names} are none of ${dataset.name}`);
  }
  const paths = new Set(range(tested.size).map((i) => tested.item(i).path));
  const shared = range(dataset.size).filter((i) => paths.has(dataset.item(i).path)).length;
  if (shared > 0) throw errors.splitOverlap(path, shared);
  const all = part(tested, `all of ${tested.name}`, range(tested.size));
  return {
    classNames,
    train: part(dataset, `all of ${dataset.name}`, range(dataset.size)),
    test: { ...all, labels: all.labels.map((label) => labels[label]!) },
  };
}

function splitByShare(
  dataset: Dataset,
  classNames: readonly string[],
  { seed, share }: { seed: number; share: number },
): LabelledSplit {
  const all = part(dataset, dataset.name, range(dataset.size));
  const isTested = heldOut(all.labels, (i) => dataset.item(all.indices[i]!).id, {
    seed,
    share,
    purpose: "test",
  });
  const side = (tested: boolean, of: number) =>
    part(
      dataset,
      `${Number((100 * of).toFixed(1))} % of each class of ${dataset.name}`,
      all.indices.filter((_, i) => isTested[i] === Number(tested)),
    );
  return { classNames, train: side(false, 1 - share), test: side(true, share) };
}

/**
 * Chooses a share of each class: those whose names hash lowest. One image more changes the part of at most one other. Of
 * two images of a class at least one is chosen and one is not; a single one is not.
 *
 * @param labels [count] classes
 * @param idOf the stable name of the i-th
 * @param options.share of each class, 0..1
 * @param options.purpose what the choice is for: another one is independent of it
 * @returns [count] 1 where chosen, else 0
 */
export function heldOut(
  labels: ArrayLike<number>,
  idOf: (i: number) => string,
  { seed, share, purpose }: { seed: number; share: number; purpose: string },
): Uint8Array {
  const byClass = new Map<number, { i: number; hash: number }[]>();
  for (let i = 0; i < labels.length; i++) {
    const members = byClass.get(labels[i]!) ?? [];
    members.push({ i, hash: new Random(seed, "split", purpose, idOf(i)).uint32() });
    byClass.set(labels[i]!, members);
  }
  const chosen = new Uint8Array(labels.length);
  for (const members of byClass.values()) {
    const count = Math.min(members.length - 1, Math.max(1, Math.round(share * members.length)));
    members.sort((a, b) => a.hash - b.hash || (idOf(a.i) < idOf(b.i) ? -1 : 1));
    for (const { i } of members.slice(0, count)) chosen[i] = 1;
  }
  return chosen;
}

/** Those of the items that have a label. */
function part(dataset: Dataset, name: string, items: readonly number[]): LabelledPart {
  const indices = items.filter((i) => dataset.item(i).label !== undefined);
  return { name, dataset, indices, labels: Int32Array.from(indices, (i) => dataset.item(i).label!) };
}

function limited(split: LabelledSplit, limit: number): LabelledSplit {
  const total = split.train.indices.length + split.test.indices.length;
  const some = (part: LabelledPart) =>
    limitedPart(part, Math.max(1, Math.floor((limit * part.indices.length) / total)));
  return { ...split, train: some(split.train), test: some(split.test) };
}

/** At most so many images of a part, evenly spaced. */
export function limitedPart(part: LabelledPart, limit = Infinity): LabelledPart {
  const rows = evenlySpaced(range(part.indices.length), limit);
  const indices = rows.map((row) => part.indices[row]!);
  return { ...part, indices, labels: Int32Array.from(rows, (row) => part.labels[row]!) };
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
