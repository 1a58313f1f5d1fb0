/**
 * Fine-tuning of what a run has trained: an ordinary run, of the plugins supervised and layer-decay, that starts from the
 * other's backbone and holds back images to test on. The recipe is BEiT's (arXiv 2106.08254, table 9) and MAE's
 * (arXiv 2111.06377, table 9), without RandAugment and random erasing.
 */
import type { ResolvedConfig, RunConfig } from "../config/schema.ts";
import { Container } from "../container.ts";
import type { Variable } from "../engine/engine.ts";
import { learningViews } from "../data/view-group.ts";
import { errors } from "../errors.ts";
import { createHooks } from "../hooks.ts";
import type { Logger } from "../logger.ts";
import { BACKBONE, DATASET } from "../tokens.ts";
import { applyPlugin, type ResolvedPlugin } from "../trainer/apply-plugin.ts";
import { FolderCheckpoints, type Checkpoint } from "../trainer/checkpoint.ts";
import { STUDENT, TEACHER } from "../trainer/declarations.ts";
import { newestCheckpoint } from "../trainer/resume.ts";
import type { InitialWeights } from "../trainer/train.ts";
import type { RunFolder } from "./folder.ts";

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
    evaluation: { ...evaluation, knn: { ...evaluation.knn, everyEpochs } },
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
 * The backbone of a run's newest whole checkpoint.
 *
 * @param network "teacher" or "student"; by default the teacher where there is one
 * @throws CHECKPOINT_MISSING, CHECKPOINT_DAMAGED, NETWORK_MISSING; CHECKPOINT_MISMATCH when the backbone to be trained is another
 */
export async function backboneOf(
  folder: RunFolder,
  network: string | undefined,
  logger: Logger,
): Promise<InitialWeights> {
  const store = new FolderCheckpoints(folder.checkpoints, { keepLast: 1 });
  const checkpoint = (await newestCheckpoint(store, { folder: folder.path, orStart: false, logger }))!;
  const known = [TEACHER, STUDENT].filter((name) =>
    checkpoint.tensors.some((tensor) => tensor.name.startsWith(prefixOf(name))),
  );
  const from = network ?? known[0]!;
  if (!known.includes(from)) throw errors.networkMissing(folder.path, from, known);
  return {
    source: `${from} of ${folder.name} after ${checkpoint.step.toLocaleString("en-US")} steps`,
    values: (variables) => backboneValues(checkpoint, from, variables),
  };
}

const prefixOf = (network: string) => `${network}/backbone.`;

/** Every network's backbone takes the values of the one. */
function backboneValues(
  { tensors }: Checkpoint,
  network: string,
  variables: readonly Variable[],
): ReadonlyMap<string, Float32Array> {
  const prefix = prefixOf(network);
  const saved = new Map(
    tensors.flatMap((t) => (t.name.startsWith(prefix) ? [[t.name.slice(prefix.length), t] as const] : [])),
  );
  const own = variables.flatMap((variable) => {
    const parameter = /^[^/]+\/backbone\.(.+)$/.exec(variable.name)?.[1];
    return parameter === undefined ? [] : [{ variable, parameter }];
  });
  const wanted = new Set(own.map(({ parameter }) => parameter));
  const missing = own.filter(({ parameter }) => !saved.has(parameter)).map(({ variable }) => variable.name);
  const unexpected = [...saved.keys()].filter((parameter) => !wanted.has(parameter));
  const reshaped = own.flatMap(({ variable: { name, shape }, parameter }) => {
    const there = saved.get(parameter)?.shape ?? shape;
    return there.join() === shape.join() ? [] : [`${name} [${there.join(", ")}] here [${shape.join(", ")}]`];
  });
  if (missing.length + unexpected.length + reshaped.length > 0)
    throw errors.checkpointMismatch(missing, unexpected, reshaped);
  return new Map(own.map(({ variable, parameter }) => [variable.name, saved.get(parameter)!.values]));
}
