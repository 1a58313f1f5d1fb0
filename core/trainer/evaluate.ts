/** Evaluates a run's network by the protocols that fit its dataset. */
import { evenlySpaced, type Dataset } from "../data/dataset.ts";
import type { EmojiDataset } from "../data/emoji.ts";
import { augmentedBatches, centeredBatches, type EvaluationBatch } from "../data/evaluation.ts";
import { Evaluator, knnTask, retrievalTask, type Evaluation, type ImageSet } from "../eval/evaluator.ts";
import type { Assembly } from "./assemble.ts";
import { FeatureExtractor } from "./features.ts";

const LOAD_BATCH = 64;
/** Unlabelled and labelled folders are evaluated on this many images unless the config says otherwise. */
const DEFAULT_LIMIT = 2000;

export interface RunEvaluator {
  /** Figures of the initial weights, by log name. */
  untrained: Readonly<Record<string, number>>;
  /** Remembers the present figures as those of the untrained backbone. */
  measureUntrained(): Promise<void>;
  evaluate(): Promise<Evaluation>;
}

export async function makeEvaluator(assembly: Assembly): Promise<RunEvaluator> {
  const { training, dataset } = assembly;
  const { size } = training.declarations.views[0]!;
  const extractor = new FeatureExtractor(training, { size });
  const extract = (pixels: Uint8Array) => extractor.extract(pixels);
  const tasks = isEmoji(dataset)
    ? await emojiTasks(assembly, dataset, size)
    : await folderTasks(assembly, size);
  const evaluator = new Evaluator(tasks);
  const run: RunEvaluator = {
    untrained: {},
    measureUntrained: async () => {
      run.untrained = await evaluator.measure(extract);
    },
    evaluate: () => evaluator.evaluate(extract, extractor.network.name, run.untrained),
  };
  return run;
}

type Tasks = ConstructorParameters<typeof Evaluator>[0];

function isEmoji(dataset: Dataset): dataset is EmojiDataset {
  return "twitter" in dataset && "google" in dataset;
}

/** Twitter's drawings are looked up among Google's: the same emoji, and one of the same category. */
async function emojiTasks(assembly: Assembly, dataset: EmojiDataset, size: number): Promise<Tasks> {
  const { config } = assembly;
  const { seed, evaluation } = config;
  const crop = `whole image at ${size} px`;
  const emoji = Math.max(1, Math.floor((evaluation.limit ?? Infinity) / 2));
  const google = await loadSet(assembly, "Google emoji", evenlySpaced(dataset.google, emoji), size);
  const twitter = await loadSet(assembly, "Twitter emoji", evenlySpaced(dataset.twitter, emoji), size);
  const labels = (indices: readonly number[]) => indices.map((i) => dataset.item(i).label ?? 0);
  return [
    knnTask({
      task: "category k-NN",
      queries: twitter.images,
      bank: google.images,
      queryLabels: labels(twitter.indices),
      bankLabels: labels(google.indices),
      numClasses: dataset.classNames.length,
      ...fit(evaluation.knn, google.images.count),
      crop,
      seed,
    }),
    retrievalTask({
      task: "same-emoji retrieval",
      key: "retrieval",
      queries: twitter.images,
      bank: google.images,
      crop,
      seed,
    }),
    ...(evaluation.viewRetrieval === true
      ? [await viewTask(assembly, google.images, google.indices, size)]
      : []),
  ];
}

/** Leave-one-out k-NN where there are labels, view retrieval where there are none. */
async function folderTasks(assembly: Assembly, size: number): Promise<Tasks> {
  const { config, dataset } = assembly;
  const { evaluation, seed } = config;
  const limit = Math.min(dataset.size, evaluation.limit ?? DEFAULT_LIMIT);
  const all = Array.from({ length: dataset.size }, (_, i) => i);
  const chosen = evenlySpaced(all, limit);
  const { images, indices } = await loadSet(assembly, dataset.name, chosen, size);
  const tasks: Tasks[number][] = [];
  if (dataset.classNames && images.count > 1) {
    const labels = indices.map((i) => dataset.item(i).label ?? 0);
    tasks.push(
      knnTask({
        task: "leave-one-out k-NN",
        queries: images,
        bank: images,
        queryLabels: labels,
        bankLabels: labels,
        numClasses: dataset.classNames.length,
        ...fit(evaluation.knn, images.count - 1),
        excludeSelf: true,
        crop: `centre at ${size} px`,
        seed,
      }),
    );
  }
  if (evaluation.viewRetrieval ?? !dataset.classNames)
    tasks.push(await viewTask(assembly, images, indices, size));
  return tasks;
}

/** A fixed crop, flip and colour change of each image has to find its image among all. */
async function viewTask(assembly: Assembly, bank: ImageSet, indices: readonly number[], size: number) {
  const { config, dataset } = assembly;
  const views = augmentedBatches(dataset, indices, config.seed, {
    ...imageOptions(assembly, size),
    batchSize: LOAD_BATCH,
  });
  const queries = await collect(views, dataset, {
    name: `one view of each of ${bank.name}`,
    size,
    channels: bank.channels,
  });
  return retrievalTask({
    task: "view retrieval",
    key: "views",
    queries: queries.images,
    bank,
    crop: `query: 40-100 % crop, flip, colour change; bank: whole at ${size} px`,
    seed: config.seed,
  });
}

/** k is at most the size of the bank. */
function fit({ k, temperature }: { k: number; temperature: number }, bank: number) {
  return { k: Math.min(k, bank), temperature };
}

interface LoadedSet {
  readonly images: ImageSet;
  /** Dataset index of each image; unreadable ones are left out. */
  readonly indices: readonly number[];
}

function loadSet(
  assembly: Assembly,
  name: string,
  indices: readonly number[],
  size: number,
): Promise<LoadedSet> {
  const { dataset, config } = assembly;
  const batches = centeredBatches(dataset, indices, {
    ...imageOptions(assembly, size),
    batchSize: LOAD_BATCH,
  });
  return collect(batches, dataset, { name, size, channels: config.data.channels });
}

function imageOptions({ config }: Assembly, size: number) {
  return { size, channels: config.data.channels, background: config.data.background };
}

async function collect(
  batches: AsyncIterable<EvaluationBatch>,
  dataset: Dataset,
  set: { name: string; size: number; channels: number },
): Promise<LoadedSet> {
  const imageBytes = set.size ** 2 * set.channels;
  const parts: Uint8Array[] = [];
  const indices: number[] = [];
  let unreadable: Error | undefined;
  for await (const { pixels, count, indices: shown, skipped } of batches) {
    parts.push(pixels.subarray(0, count * imageBytes));
    indices.push(...shown);
    unreadable ??= skipped[0]?.error;
  }
  if (unreadable && indices.length === 0) throw unreadable;
  const pixels = new Uint8Array(Buffer.concat(parts));
  const captions = indices.map((i) => dataset.item(i).id);
  return { images: { ...set, pixels, count: indices.length, captions }, indices };
}
