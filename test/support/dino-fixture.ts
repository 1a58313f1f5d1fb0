/** The tiny DINO step of test/fixtures/parity/dino.*, assembled from relata's own parts. */
import dino from "../../plugins/dino/index.ts";
import type { Initializer, RunInfo, ViewGroupSpec } from "../../core/contexts.ts";
import type { ViewBatch } from "../../core/data/pipeline.ts";
import type { Engine } from "../../core/engine/engine.ts";
import { createHooks } from "../../core/hooks.ts";
import { definePlugin, z, type tf } from "../../core/plugin.ts";
import { AdamW } from "../../core/trainer/optimizer.ts";
import { Training, type TrainingSettings } from "../../core/trainer/training.ts";
import { VisionTransformer } from "../../core/vit/vit.ts";
import { readFixture, readFixtureJson } from "./safetensors-fixture.ts";

export const fixture = readFixture("parity/dino.safetensors");
export const golden = readFixtureJson<{
  config: { epoch: number; it: number };
  step: { cls: number };
  trajectory: { cls: number }[];
}>("parity/dino.json");

const BATCH = 2;
const groups: ViewGroupSpec[] = [
  { group: "global", count: 2, size: 64, scale: [0.4, 1], ratio: [3 / 4, 4 / 3], flip: 0.5 },
  { group: "local", count: 3, size: 32, scale: [0.05, 0.4], ratio: [3 / 4, 4 / 3], flip: 0.5 },
];

/** The fixture's images [count * B, S, S, 3]: they are stored as NCHW, normalised. */
function images({ group, count, size }: ViewGroupSpec): Float32Array {
  const out = new Float32Array(count * BATCH * size * size * 3);
  for (let view = 0; view < count; view++) {
    const { values } = fixture(`sere/in.${group}.${view}`);
    for (let b = 0; b < BATCH; b++) {
      for (let c = 0; c < 3; c++) {
        for (let i = 0; i < size * size; i++) {
          out[((view * BATCH + b) * size * size + i) * 3 + c] = values[(b * 3 + c) * size * size + i]!;
        }
      }
    }
  }
  return out;
}

/** Puts the fixture's images in the place of the pipeline's. */
const fixtureViews = definePlugin(
  { name: "fixture-views", api: "^1", summary: "the fixture's views", options: z.strictObject({}) },
  (hooks, { name }) => {
    hooks.views.tap(name, (views) => [...views, ...groups]);
    hooks.setup.tap(name, (setup) => {
      const inputs = new Map(
        groups.map((spec) => {
          const shape = [spec.count * BATCH, spec.size, spec.size, 3];
          return [spec.group, setup.input(spec.group, { shape, sample: () => images(spec) })] as const;
        }),
      );
      hooks.augment.tap(name, (_, step) => step.value(inputs.get(step.views.group)!) as tf.Tensor4D);
    });
  },
);

export const run: RunInfo = {
  seed: 0,
  epochs: 10,
  stepsPerEpoch: 4,
  totalSteps: 40,
  batchSize: BATCH,
  globalBatchSize: BATCH,
  channels: 3,
  numClasses: undefined,
};

export const settings: TrainingSettings = {
  lr: 0.001,
  minLr: 1e-6,
  warmupEpochs: 2,
  weightDecay: 0.04,
  weightDecayEnd: 0.4,
  momentum: 0.9,
  momentumEnd: 1,
  clipGrad: 0.3,
  accumulation: 1,
  normalisation: { mean: [0, 0, 0], std: [1, 1, 1] },
};

export const dinoOptions = {
  outDim: 128,
  hiddenDim: 64,
  bottleneckDim: 32,
  normLastLayer: false,
  teacherTemp: 0.07,
  warmupTeacherTemp: 0.04,
  warmupTeacherTempEpochs: 5,
};

export const batch: ViewBatch = {
  epoch: 3,
  step: 12,
  indices: Int32Array.of(0, 1),
  pixels: new Map(groups.map((g) => [g.group, new Uint8Array(g.count * BATCH * g.size * g.size * 3)])),
  rects: new Map(groups.map((g) => [g.group, new Float32Array(g.count * BATCH * 5)])),
  labels: Int32Array.of(-1, -1),
  replaced: [],
};

/** The official name of a variable: "student/projection.mlp.0.weight" -> "student.head.mlp.0.weight". */
export function officialName(variable: string): string {
  return variable
    .replace("/projection.cls.", ".head.")
    .replace("/projection.", ".head.")
    .replace("/backbone.", ".backbone.");
}

export interface FixtureTrainingOptions {
  readonly settings?: Partial<TrainingSettings>;
  readonly dropPathRate?: number;
  readonly init?: Initializer;
}

/** The fixture's method on an engine, with the fixture's initial weights. */
export async function fixtureTraining(
  engine: Engine,
  options: FixtureTrainingOptions = {},
): Promise<Training> {
  const hooks = createHooks();
  for (const use of [fixtureViews(), dino(dinoOptions)]) {
    const { manifest, apply } = use.definition;
    apply(hooks, { name: manifest.name, options: manifest.options.parse(use.options) });
  }
  const training = await Training.create({
    hooks,
    views: hooks.views.call([]),
    run,
    backbone: new VisionTransformer({
      imageSize: 64,
      patchSize: 16,
      channels: 3,
      embedDim: 64,
      depth: 2,
      numHeads: 4,
      mlpRatio: 4,
      qkvBias: true,
      dropPathRate: options.dropPathRate ?? 0,
      registerTokens: 0,
    }),
    engine,
    optimizer: new AdamW({ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decayBiases: false }),
    settings: { ...settings, ...options.settings },
    outputGradients: true,
  });
  const values = new Map<string, Float32Array>();
  for (const { name, size } of training.state.variables) {
    if (name === "state/dino.center") values.set(name, fixture("init/center").values);
    else if (name.startsWith("adam.")) values.set(name, new Float32Array(size));
    else values.set(name, fixture(`init/${officialName(name)}`).values);
  }
  await training.initialize(values);
  return training;
}
