/** From a resolved config and its plugins to everything that a run needs. Nothing is trained yet. */
import { resolve } from "node:path";
import type { ResolvedConfig } from "../config/schema.ts";
import type { Container } from "../container.ts";
import type { RunInfo } from "../contexts.ts";
import { subset, type Dataset } from "../data/dataset.ts";
import { openEmoji } from "../data/emoji.ts";
import { isImageSet } from "../data/kind-of-images.ts";
import { openImages } from "../data/open-images.ts";
import { labelledSplit, type LabelledSplit } from "../data/split.ts";
import { ViewPipeline, type ViewBatch } from "../data/pipeline.ts";
import { errors } from "../errors.ts";
import type { Engine } from "../engine/engine.ts";
import type { Hooks } from "../hooks.ts";
import type { Logger } from "../logger.ts";
import { BACKBONE, CENTERING, DATASET, OPTIMIZER, RUN } from "../tokens.ts";
import type { ResolvedPlugin } from "./apply-plugin.ts";
import { MovingCenter } from "./centering.ts";
import { compose, openEngine, runInfo } from "./compose.ts";
import { Training } from "./training.ts";

export type { ResolvedPlugin };

export interface Assembly {
  readonly config: ResolvedConfig;
  readonly container: Container;
  readonly hooks: Hooks;
  /** All images: those of evaluations. */
  readonly dataset: Dataset;
  /** The images that are trained on. */
  readonly trained: Dataset;
  /** Where not all images are trained on. */
  readonly split: LabelledSplit | undefined;
  readonly plugins: readonly ResolvedPlugin[];
  readonly run: RunInfo;
  readonly training: Training;
  readonly engine: Engine;
  /** Micro-batches per update. */
  readonly accumulation: number;
  /** A fresh pipeline of this run's views. */
  pipeline(): ViewPipeline;
}

export interface AssembleOptions {
  readonly baseDir: string;
  readonly checkpoints: string;
  readonly logger: Logger;
  readonly status?: (message: string) => void;
  /** In the place of the one that the config names. */
  readonly dataset?: Dataset;
}

/** lr is given per 256 samples (the linear scaling rule of arXiv 1706.02677). */
const LR_BATCH = 256;

export async function assemble(
  config: ResolvedConfig,
  plugins: readonly ResolvedPlugin[],
  { baseDir, checkpoints, logger, status, ...given }: AssembleOptions,
): Promise<Assembly> {
  const { train, data, teacher } = config;
  status?.("opening the images");
  const opened = given.dataset ?? (await openDataset(config, baseDir));
  const { container, hooks, views } = compose(config, plugins, { dataset: opened, checkpoints, logger });
  const dataset = container.get(DATASET);
  const split = data.split === "train" ? await splitOf(config, dataset) : undefined;
  const trained = split ? subset(dataset, split.train.name, split.train.indices) : dataset;
  if (split) container.bind(RUN, () => runInfo(config, trained));
  const run = container.get(RUN);
  const backbone = container.get(BACKBONE);
  status?.("opening TensorFlow");
  const engine = await openEngine(config, container);
  const accumulation = train.batchSize / train.microBatch;
  let centers = false;
  const training = await Training.create({
    hooks,
    views,
    run,
    backbone,
    engine,
    optimizer: container.get(OPTIMIZER),
    services: {
      get: (token) => {
        centers ||= token.key === CENTERING.key;
        return container.get(token);
      },
    },
    settings: {
      ...train,
      lr: (train.lr * train.batchSize) / LR_BATCH,
      momentum: teacher.momentum,
      momentumEnd: teacher.momentumEnd,
      accumulation,
      normalisation: data,
      health: config.health !== false,
    },
  }).catch((error: unknown) => {
    engine.close();
    throw error;
  });
  if (!centers && !(container.get(CENTERING) instanceof MovingCenter))
    logger.warn("a plugin brings the centering of targets, and none has targets: enable dino or ibot");
  return {
    config,
    container,
    hooks,
    dataset,
    trained,
    split,
    plugins,
    run,
    training,
    engine,
    accumulation,
    pipeline: () =>
      new ViewPipeline({
        dataset: trained,
        views,
        batchSize: train.microBatch,
        batchesPerEpoch: run.stepsPerEpoch * accumulation,
        seed: config.seed,
        channels: data.channels,
        background: data.background,
        workers: data.workers,
        prefetch: data.prefetch,
        shuffleBlocks: data.shuffleBlocks,
        readTimeout: data.readTimeout,
        warn: (message) => logger.warn(message),
      }),
  };
}

/** The run's first batch, by a pipeline of its own. */
export async function firstBatch({ pipeline }: Assembly): Promise<ViewBatch> {
  const batches = pipeline();
  try {
    return (await batches.batches(0).next()).value as ViewBatch;
  } finally {
    await batches.close();
  }
}

/** Undefined where the config leaves the dataset to a plugin. */
export async function openDataset(
  { data }: Pick<ResolvedConfig, "data">,
  baseDir: string,
): Promise<Dataset | undefined> {
  if (data.dataset === "emoji")
    return openEmoji({ limit: data.limit, from: [import.meta.dirname, baseDir, process.cwd()] });
  if (!isImageSet(data.dataset)) return undefined;
  const paths = [data.path!].flat().map((path) => resolve(baseDir, path));
  return openImages(paths, { dataset: data.dataset, limit: data.limit });
}

/** Throws SPLIT_LABELS, and what splitting throws. */
async function splitOf({ seed, evaluation }: ResolvedConfig, dataset: Dataset): Promise<LabelledSplit> {
  const split = await labelledSplit(dataset, { seed, ...evaluation, limit: undefined });
  if (!split) throw errors.splitLabels(dataset.name);
  return split;
}
