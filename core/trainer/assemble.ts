/** From a resolved config and its plugins to everything that a run needs. Nothing is trained yet. */
import { resolve } from "node:path";
import type { Backbone } from "../backbone.ts";
import { runSchema, type ResolvedConfig } from "../config/schema.ts";
import { Container } from "../container.ts";
import type { RunInfo, ViewGroupSpec } from "../contexts.ts";
import type { Dataset } from "../data/dataset.ts";
import { openEmoji } from "../data/emoji.ts";
import { openImageFolder } from "../data/image-folder.ts";
import { learningViews } from "../data/view-group.ts";
import { ViewPipeline, type ViewBatch } from "../data/pipeline.ts";
import { createEngine } from "../engine/create-engine.ts";
import type { Engine } from "../engine/engine.ts";
import { ensureLibrary } from "../engine/install.ts";
import { errors } from "../errors.ts";
import { createHooks, type Hooks } from "../hooks.ts";
import type { Logger } from "../logger.ts";
import { BACKBONE, CENTERING, CHECKPOINTS, DATASET, ENGINE, LOGGER, OPTIMIZER, RUN } from "../tokens.ts";
import { VisionTransformer } from "../vit/vit.ts";
import { applyPlugin, type ResolvedPlugin } from "./apply-plugin.ts";
import { MovingCenter } from "./centering.ts";
import { FolderCheckpoints } from "./checkpoint.ts";
import { AdamW } from "./optimizer.ts";
import { Training } from "./training.ts";

export type { ResolvedPlugin };

export interface Assembly {
  readonly config: ResolvedConfig;
  readonly container: Container;
  readonly hooks: Hooks;
  readonly dataset: Dataset;
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
  const container = new Container();
  const hooks = createHooks();

  status?.("opening the images");
  const opened = given.dataset ?? (await openDataset(config, baseDir));
  container.bind(LOGGER, () => logger);
  container.bind(DATASET, () => {
    if (!opened) throw errors.datasetUnknown(data.dataset);
    return opened;
  });
  container.bind(CHECKPOINTS, (services) => {
    const { keepLast, keepEveryEpochs } = config.checkpoint;
    const { stepsPerEpoch } = services.get(RUN);
    const keepEverySteps = keepEveryEpochs && keepEveryEpochs * stepsPerEpoch;
    return new FolderCheckpoints(checkpoints, { keepLast, keepEverySteps });
  });
  container.bind(OPTIMIZER, () => new AdamW({ ...train.adam, decayBiases: train.decayBiases }));
  container.bind(CENTERING, () => new MovingCenter());
  container.bind(RUN, (services) => runInfo(config, services.get(DATASET)));
  let configured: Backbone | undefined;
  container.bind(BACKBONE, () => (configured = makeBackbone(config, views)));
  for (const plugin of plugins) applyPlugin(plugin, hooks, container);
  const views = hooks.views.call([]);
  if (learningViews(views).length === 0) throw errors.noViews();

  const dataset = container.get(DATASET);
  const run = container.get(RUN);
  const backbone = container.get(BACKBONE);
  if (backbone !== configured && saysBackbone(config))
    logger.warn("a plugin brings the backbone: what the config says under backbone has no effect");
  status?.("opening TensorFlow");
  const engine = container.has(ENGINE)
    ? container.get(ENGINE)
    : await createEngine({ ...train, library: (gpu) => ensureLibrary({ gpu }) });
  const { deviceProblem, jitProblem } = engine.description;
  if (deviceProblem) logger.warn(`the GPU is not used: ${deviceProblem}; \`relata doctor\` tells what to do`);
  if (jitProblem)
    logger.warn(
      `XLA cannot compile here, so elementwise work is slower: ${jitProblem}; \`relata doctor\` tells what to do`,
    );
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
    run,
    training,
    engine,
    accumulation,
    pipeline: () =>
      new ViewPipeline({
        dataset,
        views,
        batchSize: train.microBatch,
        batchesPerEpoch: run.stepsPerEpoch * accumulation,
        seed: config.seed,
        channels: data.channels,
        background: data.background,
        workers: data.workers,
        prefetch: data.prefetch,
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
async function openDataset({ data }: ResolvedConfig, baseDir: string): Promise<Dataset | undefined> {
  if (data.dataset === "emoji")
    return openEmoji({ limit: data.limit, from: [import.meta.dirname, baseDir, process.cwd()] });
  if (data.dataset === "image-folder")
    return openImageFolder(resolve(baseDir, data.path!), { limit: data.limit });
  return undefined;
}

function runInfo({ seed, train, data }: ResolvedConfig, dataset: Dataset): RunInfo {
  const stepsPerEpoch = Math.floor(dataset.size / train.batchSize);
  return {
    seed,
    epochs: train.epochs,
    stepsPerEpoch,
    totalSteps: train.epochs * stepsPerEpoch,
    batchSize: train.microBatch,
    globalBatchSize: train.batchSize,
    channels: data.channels,
    numClasses: dataset.classNames?.length,
  };
}

/** Whether anything under `backbone` is not as it is by default. */
function saysBackbone({ backbone }: ResolvedConfig): boolean {
  return JSON.stringify(backbone) !== JSON.stringify(runSchema.shape.backbone.parse(undefined));
}

function makeBackbone(
  { backbone, data }: ResolvedConfig,
  views: readonly ViewGroupSpec[],
): VisionTransformer {
  const { imageSize = learningViews(views)[0]!.size, ...sizes } = backbone;
  return new VisionTransformer({ ...sizes, imageSize, channels: data.channels });
}
