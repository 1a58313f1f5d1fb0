/** The tiny steps of test/fixtures/parity, made by the official code, assembled from relata's own parts. */
import assert from "node:assert/strict";
import { Container } from "../../core/container.ts";
import type { RunInfo, ViewGroupSpec } from "../../core/contexts.ts";
import type { ViewBatch } from "../../core/data/pipeline.ts";
import type { Engine, Variable } from "../../core/engine/engine.ts";
import { createHooks } from "../../core/hooks.ts";
import { definePlugin, squaredNorm, tf, z, type PluginUse } from "../../core/plugin.ts";
import { CENTERING } from "../../core/tokens.ts";
import { MovingCenter } from "../../core/trainer/centering.ts";
import { AdamW, clipByNorm } from "../../core/trainer/optimizer.ts";
import { Training, type TrainingSettings } from "../../core/trainer/training.ts";
import { VisionTransformer } from "../../core/vit/vit.ts";
import { readFixture, readFixtureJson } from "./safetensors-fixture.ts";

/** A tensor of either file, by its name. */
export const fixture = readFixture("parity/dino.safetensors", "parity/sere.safetensors");

const BATCH = 2;
const GLOBALS = 2;
const LOCALS = 3;

/** x, y, width, height, flip of g1, g2, l0, l1, l2, by sample. */
const crops = readFixtureJson<{ config: { mappings_xywhf: number[][][] } }>("parity/sere.json").config
  .mappings_xywhf;

function viewGroups(locals: number): ViewGroupSpec[] {
  const common = { ratio: [3 / 4, 4 / 3], flip: 0.5 } as const;
  const global: ViewGroupSpec = { group: "global", count: GLOBALS, size: 64, scale: [0.4, 1], ...common };
  const local: ViewGroupSpec = { group: "local", count: locals, size: 32, scale: [0.05, 0.4], ...common };
  return locals > 0 ? [global, local] : [global];
}

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
  {
    name: "fixture-views",
    api: "^1",
    summary: "the fixture's views",
    options: z.strictObject({ locals: z.int() }),
  },
  (hooks, { name, options: { locals } }) => {
    const groups = viewGroups(locals);
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

/** Head and temperature options of the fixtures, for dino and ibot. */
export const headOptions = {
  outDim: 128,
  hiddenDim: 64,
  bottleneckDim: 32,
  normLastLayer: false,
  teacherTemp: 0.07,
  warmupTeacherTemp: 0.04,
  warmupTeacherTempEpochs: 5,
};

/** The batch's crops; its pixels are not looked at. */
export function fixtureBatch(locals = LOCALS): ViewBatch {
  const groups = viewGroups(locals);
  const rects = (group: string, count: number) => {
    const first = group === "global" ? 0 : GLOBALS;
    const rows = Array.from({ length: count }, (_, view) => crops.map((views) => views[first + view]!));
    return Float32Array.from(rows.flat(2));
  };
  return {
    epoch: 3,
    step: 12,
    indices: Int32Array.of(0, 1),
    pixels: new Map(groups.map((g) => [g.group, new Uint8Array(g.count * BATCH * g.size * g.size * 3)])),
    rects: new Map(groups.map(({ group, count }) => [group, rects(group, count)])),
    labels: Int32Array.of(-1, -1),
    replaced: [],
  };
}

/** The masks of both global views, [2 * B, 16]. */
export function fixtureMasks(): Float32Array {
  return Float32Array.from([0, 1].flatMap((view) => [...fixture(`sere/in.mask.${view}`).values]));
}

/** The official name of a variable: "student/projection.mlp.0.weight" -> "student.head.mlp.0.weight". */
export function officialName(variable: string): string {
  return variable
    .replace("/projection.cls.", ".head.")
    .replace("/projection.", ".head.")
    .replace(/\/(ibot|masks-only)\.maskToken/, ".backbone.masked_embed")
    .replace(/\/(pixel|channel)-relation\.head\./, ".backbone.$1_sere.")
    .replace(/\/(pixel|channel)-relation\.localHead\./, ".backbone.$1_sere_local.")
    .replace("/backbone.", ".backbone.");
}

const officialState: Record<string, string> = {
  "state/dino.center": "init/center",
  "state/ibot.center": "init/center2",
};

export interface FixtureTrainingOptions {
  readonly settings?: Partial<TrainingSettings>;
  readonly locals?: number;
  readonly decayBiases?: boolean;
}

/** The tiny ViT that the official code was run with. */
export const fixtureBackbone = () =>
  new VisionTransformer({
    imageSize: 64,
    patchSize: 16,
    channels: 3,
    embedDim: 64,
    depth: 2,
    numHeads: 4,
    mlpRatio: 4,
    qkvBias: true,
    dropPathRate: 0,
    registerTokens: 0,
  });

/** A method over the fixture's views on an engine, with the fixture's initial weights. */
export async function fixtureTraining(
  engine: Engine,
  method: readonly PluginUse[],
  { settings: changed, locals = LOCALS, decayBiases = false }: FixtureTrainingOptions = {},
): Promise<Training> {
  const hooks = createHooks();
  for (const { definition, options } of [fixtureViews({ locals }), ...method]) {
    const { manifest, apply } = definition;
    apply(hooks, { name: manifest.name, options: manifest.options.parse(options) });
  }
  const training = await Training.create({
    hooks,
    views: hooks.views.call([]),
    run,
    backbone: fixtureBackbone(),
    engine,
    optimizer: new AdamW({ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decayBiases }),
    services: new Container().bind(CENTERING, () => new MovingCenter()),
    settings: { ...settings, ...changed },
    outputGradients: true,
  });
  const values = new Map<string, Float32Array>();
  for (const { name, size } of training.state.variables) {
    if (name.startsWith("adam.")) values.set(name, new Float32Array(size));
    else values.set(name, fixture(officialState[name] ?? `init/${officialName(name)}`).values);
  }
  await training.initialize(values);
  return training;
}

/** Every variable by name. */
export async function saved({ engine, state }: Training): Promise<Map<string, Float32Array>> {
  const values = await engine.save(state.variables);
  return new Map(state.variables.map((v, i) => [v.name, values[i]!]));
}

/** Largest absolute difference, and the largest golden magnitude. */
export function compare(got: ArrayLike<number>, want: Float32Array): { error: number; max: number } {
  assert.equal(got.length, want.length);
  let error = 0;
  let max = 0;
  for (let i = 0; i < want.length; i++) {
    error = Math.max(error, Math.abs(got[i]! - want[i]!));
    max = Math.max(max, Math.abs(want[i]!));
  }
  return { error, max };
}

/** Within `tolerance` of the golden tensor's largest value. */
export function assertWithin(
  name: string,
  got: ArrayLike<number>,
  want: Float32Array,
  tolerance: number,
): void {
  const { error, max } = compare(got, want);
  assert.ok(error <= tolerance * max, `${name}: ${error} of ${max}`);
}

/** Within `tolerance` of a golden number, relative to it. */
export function assertNear(name: string, got: number, want: number, tolerance: number): void {
  assert.ok(Math.abs(got - want) <= tolerance * Math.abs(want), `${name}: ${got}, official ${want}`);
}

/** The name of a parameter in the official gradients: "projection.mlp.0.weight" -> "head.mlp.0.weight". */
export function officialParameter(name: string): string {
  return officialName(`x/${name}`).slice("x.".length);
}

/** Clips and updates from the official gradients of a case: the student's variables are the official ones within 1e-6. */
export async function assertOfficialUpdate(
  fixtureCase: "dino" | "sere",
  training: Training,
  optimizer: AdamW,
  { lr, weightDecay }: { readonly lr: number; readonly weightDecay: number },
): Promise<void> {
  const { engine, state } = training;
  const moments: Variable[] = [];
  optimizer.declare(state.trainable, (name, shape) => {
    moments.push(engine.variable(`check/${name}`, shape));
    return moments.at(-1)!;
  });
  await engine.load(moments.map((v) => [v, new Float32Array(v.size)] as const));
  const program = await engine.program("optimizer", (tracer) => {
    const scalar = (name: string) => tracer.input(name, [], "float32") as tf.Scalar;
    const numbers = { lr: scalar("lr"), weightDecay: scalar("weightDecay") };
    const gradients = state.trainable.map((parameter) => {
      const gradient = tracer.input(parameter.name, parameter.shape, "float32");
      return {
        parameter,
        ...clipByNorm(gradient, squaredNorm(gradient), settings.clipGrad),
        ...numbers,
      };
    });
    optimizer.apply({ tracer, gradients, gate: () => tf.scalar(1) });
  });
  const official = (prefix: string, name: string) =>
    fixture(`${fixtureCase}/${prefix}.${officialParameter(name)}`).values;
  await program.run({
    ...Object.fromEntries(state.trainable.map(({ name }) => [name, official("grad", name)])),
    lr: Float32Array.of(lr),
    weightDecay: Float32Array.of(weightDecay),
  });
  const after = await saved(training);
  for (const { name } of state.trainable) {
    const { error } = compare(after.get(`student/${name}`)!, official("after.student", name));
    assert.ok(error <= 1e-6, `${name}: ${error}`);
  }
}
