/**
 * npm run bench:precision -- --preset sere-emoji --steps 300 --seeds 3 [--set train.batchSize=32 …] [--out result.json]
 *
 * Trains a recipe in fp32 and in bf16 over the same seeds (so the same images, crops and masks) and prints one JSON
 * result (result.ts): for each loss the mean over the last steps of each run, and how far bf16's mean is from fp32's in
 * standard deviations of fp32's over the seeds.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../core/config/load.ts";
import { applyOverrides } from "../core/config/overrides.ts";
import { parseConfig } from "../core/config/parse.ts";
import { findPreset } from "../core/config/presets.ts";
import { deviceName } from "../core/run/provenance.ts";
import { train, type TrainingStart } from "../core/trainer/train.ts";
import { resolvePlugins } from "../registry/resolve.ts";
import { command, parseFlags, progress, wholeOf } from "./command.ts";
import { emit, makeResult } from "./make-result.ts";
import type { BenchResult, Figure } from "./result.ts";

const precisions = ["fp32", "bf16"] as const;
type Precision = (typeof precisions)[number];

interface Settings {
  readonly preset: string;
  readonly steps: number;
  /** Steps at the end that are averaged. */
  readonly last: number;
  readonly seeds: number;
  readonly overrides: readonly string[];
}

/** Mean of each loss over the last steps of a run. */
type Losses = Readonly<Record<string, number>>;

await command(async () => {
  const { values: flags } = parseFlags({
    options: {
      preset: { type: "string", default: "sere-emoji" },
      steps: { type: "string", default: "300" },
      last: { type: "string", default: "50" },
      seeds: { type: "string", default: "3" },
      set: { type: "string", multiple: true, default: [] },
      out: { type: "string" },
    },
  });
  const last = wholeOf("last", flags.last, 1);
  const settings = {
    preset: flags.preset,
    steps: wholeOf("steps", flags.steps, last),
    last,
    seeds: wholeOf("seeds", flags.seeds, 2),
    overrides: flags.set,
  };
  const runs: Record<Precision, Losses[]> = { fp32: [], bf16: [] };
  let start: TrainingStart | undefined;
  for (let seed = 0; seed < settings.seeds; seed++) {
    for (const precision of precisions)
      runs[precision].push(await lossesOf(settings, precision, seed, (info) => (start = info)));
  }
  return emit(precisionResult(settings, runs, start!), flags.out);
});

async function lossesOf(
  { preset, steps, last, overrides }: Settings,
  precision: Precision,
  seed: number,
  start: (info: TrainingStart) => void,
): Promise<Losses> {
  const { config: written } = await loadConfig(findPreset(preset));
  const all = [
    ...[`seed=${seed}`, `train.precision=${precision}`, `train.maxSteps=${steps}`],
    ...["evaluation.limit=64", "evaluation.dense=false", "report.samples=0", "checkpoint.everyEpochs=1000"],
    ...overrides,
  ];
  const config = parseConfig(applyOverrides(written, all), process.cwd());
  const folder = await mkdtemp(join(tmpdir(), "relata-precision-"));
  const sums: Record<string, number> = {};
  try {
    await train(config, await resolvePlugins(config.plugins, process.cwd()), {
      baseDir: process.cwd(),
      folder,
      observer: {
        start,
        step: ({ step, scalars }) => {
          if (step % 25 === 0) progress(`${precision} seed ${seed} step ${step}`);
          if (step < steps - last) return;
          for (const [name, value] of Object.entries(scalars)) {
            if (/^loss/.test(name)) sums[name] = (sums[name] ?? 0) + value / last;
          }
        },
      },
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return sums;
}

function precisionResult(
  { preset, steps, last, seeds, overrides }: Settings,
  runs: Readonly<Record<Precision, readonly Losses[]>>,
  { device, library }: TrainingStart,
): BenchResult {
  const names = Object.keys(runs.fp32[0]!);
  const of = (precision: Precision, name: string) => runs[precision].map((losses) => losses[name]!);
  const samples = names.flatMap((name) =>
    precisions.map((precision) => [`${precision} ${name}`, [of(precision, name)]] as const),
  );
  const apart = names.map((name): [string, Figure] => {
    const [fp32, bf16] = [of("fp32", name), of("bf16", name)];
    const unit = "standard deviations of fp32";
    return [`${name} apart`, { unit, value: (mean(bf16) - mean(fp32)) / deviation(fp32) }];
  });
  return makeResult({
    subject: { preset, steps, last, seeds, set: overrides.join(" "), device: deviceName(device) },
    samples: Object.fromEntries(samples),
    formulas: {},
    fitted: Object.fromEntries(apart),
    library,
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Of a sample: over n - 1. */
function deviation(values: readonly number[]): number {
  const center = mean(values);
  return Math.sqrt(values.reduce((sum, v) => sum + (v - center) ** 2, 0) / (values.length - 1));
}
