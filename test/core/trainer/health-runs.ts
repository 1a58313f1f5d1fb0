/** Short runs of a small ViT on images that differ in the colours of their quarters, watched as a run is. */
import type { ViewBatch } from "../../../core/data/pipeline.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import { coreRules } from "../../../core/trainer/health-rules.ts";
import { HealthMonitor } from "../../../core/trainer/health.ts";
import type { PluginUse } from "../../../core/plugin.ts";
import { Random } from "../../../core/random.ts";
import type { Training } from "../../../core/trainer/training.ts";
import { tinyTraining } from "./tiny.ts";

const IMAGES = 16;

export interface WatchedRun {
  readonly engine: Engine;
  readonly method: readonly PluginUse[];
  readonly steps?: number;
  readonly lr?: number;
  readonly warmupSteps?: number;
}

export interface Watched {
  readonly warnings: readonly { readonly step: number; readonly told: string }[];
  /** By step. */
  readonly scalars: readonly Readonly<Record<string, number>>[];
}

export async function watchedRun({
  engine,
  method,
  steps = 60,
  lr = 2e-3,
  warmupSteps = 12,
}: WatchedRun): Promise<Watched> {
  const epochs = 10;
  const run = {
    batchSize: IMAGES,
    globalBatchSize: IMAGES,
    epochs,
    stepsPerEpoch: steps / epochs,
    totalSteps: steps,
  };
  const settings = {
    lr,
    warmupEpochs: warmupSteps / run.stepsPerEpoch,
    health: true,
    momentum: 0.95,
    clipGrad: 3,
  };
  const training = await tinyTraining(engine, method, { run, settings, outputGradients: false });
  const { backbone, healthRules } = training.declarations;
  const rules = [...coreRules(backbone.embedDim), ...healthRules];
  const monitor = new HealthMonitor(rules, { window: 12, fromStep: warmupSteps });
  const warnings: { step: number; told: string }[] = [];
  const scalars: Record<string, number>[] = [];
  for (let step = 0; step < steps; step++) {
    const progress = { step, epoch: step / run.stepsPerEpoch };
    const outcome = await training.step("train", quarters(training, step), progress);
    scalars.push({ ...outcome.scalars });
    const schedules = training.schedulesAt(progress);
    const judged = monitor.judge({ ...progress, scalars: outcome.scalars, schedules });
    warnings.push(...judged.warnings.map((told) => ({ step, told })));
  }
  return { warnings, scalars };
}

/** All images, each in views that differ by the light and by noise. */
function quarters({ declarations: { run, viewGroups } }: Training, step: number): ViewBatch {
  const pixels = viewGroups.map(({ group, size, count }) => {
    const bytes = new Uint8Array(count * run.batchSize * size * size * 3);
    for (let row = 0; row < count * run.batchSize; row++) {
      const image = row % run.batchSize;
      const colours = new Random(image, "colours");
      const colour = Array.from({ length: 12 }, () => colours.integer(20, 235));
      const view = new Random(step, "view", row);
      const light = view.integer(-15, 15);
      for (let i = 0; i < size * size * 3; i++) {
        const x = Math.floor(i / 3) % size;
        const y = Math.floor(i / 3 / size);
        const quarter = 2 * Number(y >= size / 2) + Number(x >= size / 2);
        bytes[row * size * size * 3 + i] = colour[3 * quarter + (i % 3)]! + light + view.integer(-4, 4);
      }
    }
    return [group, bytes] as const;
  });
  const rects = viewGroups.map(({ group, count }) => {
    const rows = Array.from({ length: count * run.batchSize }, () => [0, 0, 64, 64, 0]);
    return [group, Float32Array.from(rows.flat())] as const;
  });
  return {
    ...{ epoch: 0, step, replaced: [] },
    indices: Int32Array.from({ length: run.batchSize }, (_, i) => i),
    pixels: new Map(pixels),
    rects: new Map(rects),
    labels: new Int32Array(run.batchSize).fill(-1),
  };
}
