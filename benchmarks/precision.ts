/**
 * npm run bench:precision -- --preset sere-emoji --steps 300 --seeds 3 [--set train.batchSize=32 …]
 *
 * Trains a recipe in fp32 and in bf16 over the same seeds (so the same images, crops and masks) and prints one JSON line:
 * for each loss the mean over the last steps of each run, and how far bf16's mean is from fp32's in standard deviations
 * of fp32's over the seeds.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadConfig } from "../core/config/load.ts";
import { applyOverrides } from "../core/config/overrides.ts";
import { parseConfig } from "../core/config/parse.ts";
import { findPreset } from "../core/config/presets.ts";
import { train } from "../core/trainer/train.ts";
import { resolvePlugins } from "../registry/resolve.ts";

const { values: flags } = parseArgs({
  options: {
    preset: { type: "string", default: "sere-emoji" },
    steps: { type: "string", default: "300" },
    /** Steps at the end that are averaged. */
    last: { type: "string", default: "50" },
    seeds: { type: "string", default: "3" },
    set: { type: "string", multiple: true, default: [] },
  },
});
const precisions = ["fp32", "bf16"] as const;
type Precision = (typeof precisions)[number];

/** Mean of each loss over the last steps of a run. */
async function lossesOf(precision: Precision, seed: number): Promise<Record<string, number>> {
  const { config: written } = await loadConfig(findPreset(flags.preset));
  const overrides = [
    ...[`seed=${seed}`, `train.precision=${precision}`, `train.maxSteps=${flags.steps}`],
    ...["evaluation.limit=64", "evaluation.dense=false", "report.samples=0", "checkpoint.everyEpochs=1000"],
    ...flags.set,
  ];
  const config = parseConfig(applyOverrides(written, overrides), process.cwd());
  const folder = await mkdtemp(join(tmpdir(), "relata-precision-"));
  const sums: Record<string, number> = {};
  const first = Number(flags.steps) - Number(flags.last);
  try {
    await train(config, await resolvePlugins(config.plugins, process.cwd()), {
      baseDir: process.cwd(),
      folder,
      observer: {
        step: ({ step, scalars }) => {
          if (step % 25 === 0) process.stderr.write(`${precision} seed ${seed} step ${step}\n`);
          if (step < first) return;
          for (const [name, value] of Object.entries(scalars)) {
            if (/^loss/.test(name)) sums[name] = (sums[name] ?? 0) + value / Number(flags.last);
          }
        },
      },
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return sums;
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const deviation = (values: readonly number[]) =>
  Math.sqrt(values.reduce((sum, v) => sum + (v - mean(values)) ** 2, 0) / (values.length - 1));

const runs: Record<Precision, Record<string, number>[]> = { fp32: [], bf16: [] };
for (let seed = 0; seed < Number(flags.seeds); seed++) {
  for (const precision of precisions) runs[precision].push(await lossesOf(precision, seed));
}
const losses = Object.fromEntries(
  Object.keys(runs.fp32[0]!).map((name) => {
    const [fp32, bf16] = precisions.map((p) => runs[p].map((run) => run[name]!)) as [number[], number[]];
    const spread = deviation(fp32);
    return [name, { fp32, bf16, deviation: spread, apart: (mean(bf16) - mean(fp32)) / spread }];
  }),
);
process.stdout.write(`${JSON.stringify({ ...flags, losses })}\n`);
process.exit(0); // libtensorflow's threads do not end by themselves
