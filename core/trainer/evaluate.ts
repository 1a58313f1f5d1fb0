/** Evaluates a run's network by the protocols that fit its dataset. */
import { evenlySpaced } from "../data/dataset.ts";
import { isEmoji, type EmojiDataset } from "../data/emoji.ts";
import { Evaluator, knnTask, retrievalTask, type Evaluation } from "../eval/evaluator.ts";
import type { Progress } from "../eval/labelled-images.ts";
import type { Protocol } from "../eval/protocols.ts";
import { RankedExtractor } from "../eval/rank-me.ts";
import { RawPixels } from "../eval/raw-pixels.ts";
import type { Task } from "../eval/task.ts";
import { LOGGER } from "../tokens.ts";
import type { Assembly } from "./assemble.ts";
import { classificationEvaluator } from "./classification.ts";
import { emojiDense, folderDense } from "./dense.ts";
import type { EvaluationSubject } from "./evaluation-subject.ts";
import { FeatureExtractor, trainedNetwork } from "./features.ts";
import { labelledTasks } from "./protocol-tasks.ts";
import { loadSet, loadViews, type LoadedSet } from "./image-sets.ts";

/** Unlabelled and labelled folders are evaluated on this many images unless the config says otherwise. */
const DEFAULT_LIMIT = 2000;

export interface RunEvaluator {
  /** Figures of the initial weights, by log name. */
  untrained: Readonly<Record<string, number>>;
  /** Where training started, unless from the seed. */
  initialWeights?: string | undefined;
  /** Remembers the present figures as those of the untrained backbone. */
  measureUntrained(): Promise<void>;
  evaluate(): Promise<Evaluation>;
}

export interface EvaluatorOptions {
  /** In the place of the config's. */
  readonly protocols?: readonly Protocol[];
  /** Hears of what takes long. */
  readonly progress?: Progress;
  /** Evaluating ends with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Of a run's network, at the size of its first views. A run with a classifier is evaluated by that, unless protocols are
 * asked for.
 */
export function makeEvaluator(assembly: Assembly, options?: EvaluatorOptions): Promise<RunEvaluator> {
  const { training, config, dataset, container } = assembly;
  const { classifierDeclared } = training.declarations;
  if (classifierDeclared && !options?.protocols)
    return classificationEvaluator(assembly, classifierDeclared, options);
  const { size } = training.declarations.views[0]!;
  const logger = container.get(LOGGER);
  return evaluatorOf({ network: trainedNetwork(training), size, config, dataset, logger }, options);
}

/**
 * Of any network.
 *
 * @throws EVAL_UNLABELLED where a protocol needs classes and there are none, and what loading the images throws
 */
export async function evaluatorOf(
  subject: EvaluationSubject,
  { protocols = subject.config.evaluation.protocols, progress, signal }: EvaluatorOptions = {},
): Promise<RunEvaluator> {
  const { network, size, dataset } = subject;
  const extractor = new FeatureExtractor(network, { size, signal });
  const crop = isEmoji(dataset) ? `whole image at ${size} px` : `centre at ${size} px`;
  const labelled = await labelledTasks(subject, protocols, crop);
  const tasks = protocols.includes("knn")
    ? await (isEmoji(dataset) ? emojiTasks(subject, dataset, crop) : folderTasks(subject, crop))
    : [];
  const rawPixels = new RawPixels(network.backbone.grid(size).stride);
  const evaluator = new Evaluator([...tasks, ...labelled], rawPixels, (what) => {
    signal?.throwIfAborted();
    progress?.(what);
  });
  const run: RunEvaluator = {
    untrained: {},
    measureUntrained: async () => {
      const ranked = new RankedExtractor(extractor);
      const figures = await evaluator.measure(ranked);
      run.untrained = { ...figures, ...ranked.scalars };
    },
    evaluate: async () => {
      const ranked = new RankedExtractor(extractor);
      const evaluation = await evaluator.evaluate(ranked, extractor.network.name, run.untrained);
      return { ...evaluation, scalars: { ...evaluation.scalars, ...ranked.scalars } };
    },
  };
  return run;
}

/** Twitter's drawings are looked up among Google's: the same emoji, and one of the same category. */
async function emojiTasks(assembly: EvaluationSubject, dataset: EmojiDataset, crop: string): Promise<Task[]> {
  const { config, size } = assembly;
  const { seed, evaluation } = config;
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
    ...(evaluation.viewRetrieval === true ? [await viewTask(assembly, google, size)] : []),
    ...(await emojiDense(assembly, { google, twitter }, crop)),
  ];
}

/** Leave-one-out k-NN where there are labels, view retrieval where there are none. */
async function folderTasks(assembly: EvaluationSubject, crop: string): Promise<Task[]> {
  const { config, dataset, size } = assembly;
  const { evaluation, seed } = config;
  const limit = Math.min(dataset.size, evaluation.limit ?? DEFAULT_LIMIT);
  const all = Array.from({ length: dataset.size }, (_, i) => i);
  const chosen = evenlySpaced(all, limit);
  const loaded = await loadSet(assembly, dataset.name, chosen, size);
  const { images, indices } = loaded;
  const tasks: Task[] = [];
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
        crop,
        seed,
      }),
    );
  }
  if (evaluation.viewRetrieval ?? !dataset.classNames) tasks.push(await viewTask(assembly, loaded, size));
  tasks.push(...(await folderDense(assembly, limit, size, crop)));
  return tasks;
}

/** A fixed crop, flip and colour change of each image has to find its image among all. */
async function viewTask(assembly: EvaluationSubject, bank: LoadedSet, size: number): Promise<Task> {
  const name = `one view of each of ${bank.images.name}`;
  const queries = await loadViews(assembly, name, bank.indices, size);
  return retrievalTask({
    task: "view retrieval",
    key: "views",
    queries: queries.images,
    bank: bank.images,
    crop: `query: 40-100 % crop, flip, colour change; bank: whole at ${size} px`,
    seed: assembly.config.seed,
  });
}

/** k is at most the size of the bank. */
function fit({ k, temperature }: { k: number; temperature: number }, bank: number) {
  return { k: Math.min(k, bank), temperature };
}
