/**
 * Fine-tuning of what a run has trained: an ordinary run, of the plugins supervised and layer-decay, that starts from the
 * other's backbone and holds back images to test on. The recipe is BEiT's (arXiv 2106.08254, table 9) and MAE's
 * (arXiv 2111.06377, table 9), without RandAugment and random erasing.
 */
import { join } from "node:path";
import type { ResolvedConfig, RunConfig } from "../config/schema.ts";
import { Container } from "../container.ts";
import { learningViews } from "../data/view-group.ts";
import { errors } from "../errors.ts";
import { createHooks } from "../hooks.ts";
import type { Logger } from "../logger.ts";
import { BACKBONE, DATASET } from "../tokens.ts";
import { applyPlugin, type ResolvedPlugin } from "../trainer/apply-plugin.ts";
import { checkpointName } from "../trainer/checkpoint.ts";
import type { NetworkRole } from "../weights/networks.ts";
import { backboneOf, findCheckpoint } from "./find-checkpoint.ts";
import type { RunFolder } from "./folder.ts";
import type { RunOptions } from "./run.ts";

const EPOCHS = 50;
/** MAE's, of 100 epochs; a shorter run warms up for a tenth. */
const WARMUP_EPOCHS = 5;
/** Evaluations of a run. */
const EVALUATIONS = 10;

export interface FinetuneOptions {
  /** Default 50. */
  readonly epochs?: number;
  /**
   * The same from random weights, for comparison: all layers learn at one rate, since none has learned before.
   */
  readonly fromScratch?: boolean;
}

/** What trains a run's backbone on labels, to be changed and checked like any config. */
export function finetuneConfig(
  run: string,
  config: ResolvedConfig,
  plugins: readonly ResolvedPlugin[],
  { epochs = EPOCHS, fromScratch = false }: FinetuneOptions,
): RunConfig {
  const { seed, data, backbone, train, evaluation } = config;
  const size = firstViewSize(plugins);
  const kept = plugins.filter(bringsPart).map(({ definition, options, source }) => ({
    use: source ?? definition.manifest.name,
    with: options as Record<string, unknown>,
  }));
  const { batchSize, microBatch, precision, engine, backend, device, jit, threads } = train;
  const none = { p: 0 };
  const unchanged = { jitter: none, grayscale: none, blur: none };
  const everyEpochs = Math.ceil(epochs / EVALUATIONS);
  return {
    seed,
    name: `${fromScratch ? "scratch" : "finetune"}-${run.replace(/[^\w.-]+/g, "-")}`,
    data: { ...data, split: "train" },
    backbone: { ...backbone, imageSize: backbone.imageSize ?? size, dropPathRate: 0.1 },
    train: {
      epochs,
      batchSize,
      microBatch,
      lr: 5e-4,
      minLr: 1e-6,
      warmupEpochs: Math.min(WARMUP_EPOCHS, epochs / 10),
      weightDecay: 0.05,
      weightDecayEnd: 0.05,
      clipGrad: 0,
      ...{ precision, engine, backend, device, jit, threads },
    },
    evaluation: { ...evaluation, everyEpochs },
    plugins: [
      ...kept,
      {
        use: "multi-crop",
        with: {
          globalCrops: { count: 1, size, scale: [0.08, 1] },
          localCrops: { count: 0 },
          colour: { firstGlobal: unchanged },
        },
      },
      { use: "supervised", with: { mixup: 0.8, cutmix: 1 } },
      ...(fromScratch ? [] : [{ use: "layer-decay", with: {} }]),
    ],
  };
}

/** Of the first views that a run's networks learn from: the backbone's positions are made for it. */
function firstViewSize(plugins: readonly ResolvedPlugin[]): number {
  const hooks = createHooks();
  for (const plugin of plugins) applyPlugin(plugin, hooks, new Container());
  const [first] = learningViews(hooks.views.call([]));
  if (!first) throw errors.noViews();
  return first.size;
}

/** Whether a plugin is what the backbone or the images come from; methods do not stay. */
function bringsPart(plugin: ResolvedPlugin): boolean {
  const container = new Container();
  applyPlugin(plugin, createHooks(), container);
  return container.has(BACKBONE) || container.has(DATASET);
}

/**
 * What fine-tuning starts from: the backbone of a run's newest whole checkpoint.
 *
 * @param wanted "teacher" or "student"; by default the teacher where there is one
 * @throws CHECKPOINT_MISSING, CHECKPOINT_DAMAGED, CHECKPOINT_NETWORK
 */
export async function backboneToTune(
  folder: RunFolder,
  wanted: NetworkRole | undefined,
  logger: Logger,
): Promise<Required<Pick<RunOptions, "init" | "initNetwork">>> {
  const checkpoint = await findCheckpoint(folder, undefined, logger);
  const { network } = backboneOf(checkpoint, wanted);
  return {
    init: join(folder.checkpoints, `${checkpointName(checkpoint.step)}.json`),
    initNetwork: network as NetworkRole,
  };
}
