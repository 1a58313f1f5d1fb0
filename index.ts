/**
 * Trains runs from a program as the command line does.
 *
 * @module relata
 */
import type { RunOptions, RunSummary } from "./core/run/run.ts";
import { runTraining } from "./core/run/run.ts";
import { parseConfig } from "./core/config/parse.ts";
import type { RunConfig } from "./core/config/schema.ts";
import { openImages } from "./core/data/open-images.ts";
import { checkOutput, embedImages, type EmbedOptions, type EmbedSummary } from "./core/run/embed.ts";
import { exportRun as exportFolder, type ExportOptions, type ExportSummary } from "./core/run/export.ts";
import { RunFolder } from "./core/run/folder.ts";
import { networkSource, type NetworkOptions } from "./core/run/network-source.ts";
import { resolvePlugins } from "./registry/resolve.ts";

export { defineConfig, loadConfig, type LoadedConfig } from "./core/config/load.ts";
export { findPreset, presetNames } from "./core/config/presets.ts";
export type { ResolvedConfig, RunConfig } from "./core/config/schema.ts";
export { RelataError } from "./core/errors.ts";
export type {
  Baseline,
  BaselineName,
  EvalResult,
  Figure,
  ProtocolCard,
  SweepPoint,
} from "./core/eval/card.ts";
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
export type { NetworkRole, StoredRole } from "./core/weights/networks.ts";
export type { SkippedTensor } from "./core/weights/stored-tensor.ts";
export type { StepReport, TrainingStart, TrainObserver } from "./core/trainer/train.ts";
export type { EmbedProgress } from "./core/run/embed.ts";
export type { Pooling } from "./core/embeddings/pooling.ts";
export type { Logger } from "./core/logger.ts";
export type { EmbedOptions, EmbedSummary, ExportOptions, ExportSummary, NetworkOptions, RunSummary };

/** Of a run that a program starts. */
export interface TrainOptions extends Omit<RunOptions, "baseDir" | "resume" | "initial" | "command"> {
  /** Where paths in the config start (default: the current folder). */
  readonly baseDir?: string;
  /** Goes on with the run in this folder; "auto": with the one in `out`, and starts it where there is none yet. */
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
    resume: resume === undefined || resume === "auto" ? resume : RunFolder.open(resume),
  });
}

/**
 * Writes a run's backbone for timm: a folder with `model.safetensors` and `config.json`.
 *
 * @param run its folder, or its name in "runs"
 * @throws RelataError, with a code, what is wrong, and the fix.
 */
export function exportRun(run: string, options: ExportOptions = {}): Promise<ExportSummary> {
  return exportFolder(RunFolder.open(run), options);
}

/** Which network, how many of the images, and what is written. */
export interface EmbedNetworkOptions extends EmbedOptions, NetworkOptions {
  /** Use at most this many images, evenly spaced. */
  readonly limit?: number;
  /** Single values of the network's config, such as "train.device=cpu". */
  readonly set?: readonly string[];
}

/**
 * Writes the features of every image, as they come. libtensorflow is downloaded where it is missing.
 *
 * @param network a run, by its folder or its name in "runs"; or weights: a file, or the folder of a model
 * @param images a folder of images, or tar shards or parquet files, by their folder, a file or a pattern
 * @example
 * const { count } = await embed("runs/my-run", "./photos", { out: "photos.parquet" });
 * @throws RelataError, with a code, what is wrong, and the fix; the signal's reason.
 */
export async function embed(
  network: string,
  images: string,
  { limit, set, network: which, checkpoint, ...options }: EmbedNetworkOptions,
): Promise<EmbedSummary> {
  await checkOutput(options.out);
  const source = await networkSource(network, { set, network: which, checkpoint, resolvePlugins });
  const dataset = await openImages(images, { limit });
  const opened = await source.open(dataset);
  try {
    return await embedImages(opened, dataset, { background: source.config.data.background, ...options });
  } finally {
    opened.close();
  }
}
