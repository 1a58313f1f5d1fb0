/** A tiny run, put together from plugins without config or files: what a plugin is tested in. */
import * as tf from "@tensorflow/tfjs-core";
import { Container } from "../container.ts";
import type { RunInfo, ViewGroupSpec } from "../contexts.ts";
import type { ViewBatch } from "../data/pipeline.ts";
import type { Engine } from "../engine/engine.ts";
import { createHooks } from "../hooks.ts";
import type { PluginUse } from "../plugin.ts";
import { Random } from "../random.ts";
import { BACKBONE, CENTERING, OPTIMIZER, RUN } from "../tokens.ts";
import { applyPlugin } from "../trainer/apply-plugin.ts";
import { MovingCenter } from "../trainer/centering.ts";
import { AdamW, type Optimizer } from "../trainer/optimizer.ts";
import { Training, type TrainingSettings } from "../trainer/training.ts";
import { VisionTransformer } from "../vit/vit.ts";

const crops = { scale: [0.2, 1], ratio: [3 / 4, 4 / 3], flip: 0.5 } as const;
/** 4 patches. */
export const globalViews: ViewGroupSpec = { group: "global", count: 2, size: 16, ...crops };
/** 1 patch. */
export const localViews: ViewGroupSpec = { group: "local", count: 2, size: 8, ...crops };

export const tinyRun: RunInfo = {
  seed: 7,
  epochs: 4,
  stepsPerEpoch: 5,
  totalSteps: 20,
  batchSize: 2,
  globalBatchSize: 2,
  channels: 3,
  numClasses: undefined,
};

export const tinySettings: TrainingSettings = {
  lr: 1e-3,
  minLr: 1e-6,
  warmupEpochs: 0,
  weightDecay: 0.04,
  weightDecayEnd: 0.4,
  momentum: 0.9,
  momentumEnd: 1,
  clipGrad: 0,
  accumulation: 1,
  normalisation: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
};

/** What a tiny run can be asked for. */
export interface TinyOptions {
  readonly views?: readonly ViewGroupSpec[];
  readonly run?: Partial<RunInfo>;
  readonly settings?: Partial<TrainingSettings>;
  readonly dropPathRate?: number;
  /** Steps give every gradient; left out, they do. */
  readonly outputGradients?: boolean;
  /** In the place of AdamW and of what plugins bind. */
  readonly optimizer?: Optimizer;
}

/** Plain gradient descent: unlike Adam, it does not turn rounding of small gradients into whole steps. */
export const descent: Optimizer = {
  name: "descent",
  declare: () => undefined,
  apply({ tracer, gradients }) {
    for (const { parameter, gradient } of gradients) {
      tracer.assign(parameter.variable, tf.sub(tracer.read(parameter.variable), gradient));
    }
  },
};

export const tinyBackbone = (dropPathRate = 0, channels = 3): VisionTransformer =>
  new VisionTransformer({
    imageSize: 16,
    patchSize: 8,
    channels,
    embedDim: 32,
    depth: 2,
    numHeads: 2,
    mlpRatio: 2,
    qkvBias: true,
    dropPathRate,
    registerTokens: 0,
  });

/** The plugins' training with its initial values. */
export async function tinyTraining(
  engine: Engine,
  plugins: readonly PluginUse[],
  options: TinyOptions = {},
): Promise<Training> {
  const hooks = createHooks();
  hooks.views.tap("test", (views) => [...views, ...(options.views ?? [globalViews])]);
  const run = { ...tinyRun, ...options.run };
  const container = new Container();
  container.bind(RUN, () => run);
  container.bind(BACKBONE, () => tinyBackbone(options.dropPathRate, run.channels));
  container.bind(CENTERING, () => new MovingCenter());
  container.bind(OPTIMIZER, () => new AdamW({ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decayBiases: false }));
  for (const { definition, options: given } of plugins) {
    const own = definition.manifest.options.parse(given);
    applyPlugin({ definition, options: own }, hooks, container);
  }
  const training = await Training.create({
    hooks,
    views: hooks.views.call([]),
    run,
    backbone: container.get(BACKBONE),
    engine,
    optimizer: options.optimizer ?? container.get(OPTIMIZER),
    services: container,
    settings: { ...tinySettings, ...options.settings },
    outputGradients: options.outputGradients ?? true,
  });
  await training.initialize();
  return training;
}

/** Random pixels, random crops of a picture of 64 x 64, and a label where the run has classes; each `key` its own. */
export function tinyBatch({ declarations: { run, viewGroups: views } }: Training, key = 0): ViewBatch {
  const random = new Random(run.seed, "test batch", key);
  const rows = ({ count }: ViewGroupSpec) => count * run.batchSize;
  const pixels = views.map((group) => {
    const bytes = new Uint8Array(rows(group) * group.size ** 2 * run.channels);
    return [group.group, bytes.map(() => random.integer(0, 255))] as const;
  });
  const rects = views.map((group) => {
    const values = Array.from({ length: rows(group) }, () => {
      const [width, height] = [random.uniform(10, 60), random.uniform(10, 60)];
      return [
        random.uniform(0, 64 - width),
        random.uniform(0, 64 - height),
        width,
        height,
        random.integer(0, 1),
      ];
    });
    return [group.group, Float32Array.from(values.flat())] as const;
  });
  return {
    epoch: 0,
    step: 0,
    indices: Int32Array.from({ length: run.batchSize }, (_, i) => i + 10 * key),
    pixels: new Map(pixels),
    rects: new Map(rects),
    labels: new Int32Array(run.batchSize).map(() =>
      run.numClasses === undefined ? -1 : random.integer(0, run.numClasses - 1),
    ),
    replaced: [],
  };
}

/** Progress at a step of `tinyRun`. */
export const at = (step: number) => ({ step, epoch: step / tinyRun.stepsPerEpoch });

/** Every variable by name. */
export async function valuesOf({ engine, state }: Training): Promise<Map<string, Float32Array>> {
  const values = await engine.save(state.variables);
  return new Map(state.variables.map(({ name }, i) => [name, values[i]!]));
}

/** What a step's program gives, without writing less or more than a step does. */
export async function outputsOf(training: Training, step = 0, batch = tinyBatch(training)) {
  const feeds = training.feeds(batch, at(step));
  return (await training.program("train", at(step).epoch, feeds)).run(feeds);
}

/** Largest absolute difference of two equally long lists. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}

/** Samples `from` to `to` of a batch of `samples`. */
export function partOf(
  batch: ViewBatch,
  views: readonly ViewGroupSpec[],
  samples: number,
  from: number,
  to: number,
): ViewBatch {
  const rows = <T extends Float32Array | Uint8Array>(values: T, count: number): T => {
    const length = values.length / (count * samples);
    const own = Array.from({ length: count }, (_, view) =>
      values.subarray((view * samples + from) * length, (view * samples + to) * length),
    );
    return new (values.constructor as new (values: number[]) => T)(own.flatMap((row) => [...row]));
  };
  const of = <T extends Float32Array | Uint8Array>(byGroup: ReadonlyMap<string, T>) =>
    new Map(views.map(({ group, count }) => [group, rows(byGroup.get(group)!, count)]));
  return {
    ...batch,
    indices: batch.indices.slice(from, to),
    labels: batch.labels.slice(from, to),
    pixels: of(batch.pixels),
    rects: of(batch.rects),
  };
}
