/** A config's plugins, applied: their hooks, and the services as they bind them. Nothing is opened yet. */
import type { Backbone } from "../backbone.ts";
import { runSchema, type ResolvedConfig } from "../config/schema.ts";
import { Container } from "../container.ts";
import type { RunInfo, ViewGroupSpec } from "../contexts.ts";
import type { Dataset } from "../data/dataset.ts";
import { learningViews } from "../data/view-group.ts";
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

export interface Composition {
  readonly container: Container;
  readonly hooks: Hooks;
  /** Of at least one group that methods learn from. */
  readonly views: readonly ViewGroupSpec[];
}

export interface ComposeOptions {
  /** Absent where a plugin brings it. */
  readonly dataset: Dataset | undefined;
  readonly checkpoints: string;
  readonly logger: Logger;
}

/** @throws NO_VIEWS, DATASET_UNKNOWN, and what plugins throw */
export function compose(
  config: ResolvedConfig,
  plugins: readonly ResolvedPlugin[],
  { dataset, checkpoints, logger }: ComposeOptions,
): Composition {
  const { train, data } = config;
  const container = new Container();
  const hooks = createHooks();
  container.bind(LOGGER, () => logger);
  container.bind(DATASET, () => {
    if (!dataset) throw errors.datasetUnknown(data.dataset);
    return dataset;
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
  if (container.get(BACKBONE) !== configured && saysBackbone(config))
    logger.warn("a plugin brings the backbone: what the config says under backbone has no effect");
  return { container, hooks, views };
}

/** The engine that the config asks for, or a plugin brings; what it cannot do is told. */
export async function openEngine({ train }: ResolvedConfig, container: Container): Promise<Engine> {
  const engine = container.has(ENGINE)
    ? container.get(ENGINE)
    : await createEngine({ ...train, library: (gpu) => ensureLibrary({ gpu }) });
  const { deviceProblem, jitProblem } = engine.description;
  const logger = container.get(LOGGER);
  if (deviceProblem) logger.warn(`the GPU is not used: ${deviceProblem}; \`relata doctor\` tells what to do`);
  if (jitProblem)
    logger.warn(
      `XLA cannot compile here, so elementwise work is slower: ${jitProblem}; \`relata doctor\` tells what to do`,
    );
  return engine;
}

/** The run's numbers, of the images that are trained on. */
export function runInfo({ seed, train, data }: ResolvedConfig, dataset: Dataset): RunInfo {
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
