/**
 * Trains runs from a program as the command line does.
 *
 * @module relata
 */
import type { RunOptions, RunSummary } from "./core/run/run.ts";
import { runTraining } from "./core/run/run.ts";
import { parseConfig } from "./core/config/parse.ts";
import type { RunConfig } from "./core/config/schema.ts";
import { RunFolder } from "./core/run/folder.ts";
import { resolvePlugins } from "./registry/resolve.ts";

export { defineConfig, loadConfig, type LoadedConfig } from "./core/config/load.ts";
export { findPreset, presetNames } from "./core/config/presets.ts";
export type { ResolvedConfig, RunConfig } from "./core/config/schema.ts";
export { RelataError } from "./core/errors.ts";
export type { Baseline, BaselineName, EvalResult, Figure, ProtocolCard } from "./core/eval/card.ts";
export type { PluginDefinition, PluginUse } from "./core/plugin.ts";
export type { Evaluation } from "./core/eval/evaluator.ts";
export type { RelationSample, RunStatus, ViewSample } from "./core/report/report-data.ts";
export {
  compareRuns,
  listRuns,
  type RunComparison,
  type RunSummary as RunListing,
} from "./core/report/runs.ts";
export type { NetworkOrigin, WeightsOrigin } from "./core/trainer/initial-weights.ts";
export type { StoredRole } from "./core/weights/networks.ts";
export type { SkippedTensor } from "./core/weights/stored-tensor.ts";
export type { StepReport, TrainingStart, TrainObserver } from "./core/trainer/train.ts";
export type { RunSummary };

/** Of a run that a program starts. */
export interface TrainOptions extends Omit<RunOptions, "baseDir" | "resume" | "command"> {
  /** Where paths in the config start (default: the current folder). */
  readonly baseDir?: string;
  /** Goes on with the run in this folder. */
  readonly resume?: string;
}

/**
 * Trains and writes the run's folder. libtensorflow is downloaded where it is missing.
 *
 * @example
 * const { folder, evaluations } = await train({
 *   data: { path: "./photos" },
 *   train: { epochs: 100, batchSize: 64 },
 *   plugins: ["multi-crop", "dino"],
 * });
 * @throws RelataError, with a code, what is wrong, and the fix.
 */
export async function train(config: RunConfig, options: TrainOptions = {}): Promise<RunSummary> {
  const { baseDir = process.cwd(), resume, ...rest } = options;
  const resolved = parseConfig(config, baseDir);
  return runTraining(resolved, await resolvePlugins(resolved.plugins, baseDir), {
    ...rest,
    baseDir,
    resume: resume === undefined ? undefined : RunFolder.open(resume),
  });
}
