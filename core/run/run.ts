/** A whole run: the folder, the training, the records, whatever the end. */
import type { ResolvedConfig } from "../config/schema.ts";
import type { ResolvedPlugin } from "../trainer/assemble.ts";
import { errors } from "../errors.ts";
import type { NetworkRole } from "../weights/networks.ts";
import { train, type TrainObserver, type TrainSummary } from "../trainer/train.ts";
import { RunFolder } from "./folder.ts";
import { lockRun } from "./lock.ts";
import { Recorder } from "./recorder.ts";

export interface RunOptions {
  /** The config's folder, which its paths start from. */
  readonly baseDir: string;
  /** The run's folder (default: a new one in "runs"). */
  readonly out?: string;
  /** Go on with this run instead of starting one; "auto": with the run in `out`, where there is one already. */
  readonly resume?: RunFolder | "auto";
  /** Go on with what fits where the config, the images or the plugins have changed. */
  readonly force?: boolean;
  /** Weights to begin with: a safetensors or PyTorch file, a folder with one, a run, or a checkpoint of one. */
  readonly init?: string;
  /** Whose weights of those start every network (default: each network's own, as far as they are there). */
  readonly initNetwork?: NetworkRole;
  /** One step, one evaluation and one checkpoint; the folder is removed again unless `out` names it. */
  readonly dryRun?: boolean;
  /** Finishes the step, saves and returns; before the untrained network is evaluated its reason is thrown. */
  readonly signal?: AbortSignal;
  readonly observer?: TrainObserver;
  /** Noted in run.json and the report (default: "train()"). */
  readonly command?: string;
}

/** How a run ended. */
export interface RunSummary extends TrainSummary {
  /** Absent where the folder was removed. */
  readonly report?: string;
}

/**
 * Trains in a run folder and writes all that goes into it.
 *
 * @throws USAGE for `init` of a run that goes on, RUN_FOLDER_EXISTS, RUN_FOLDER_NOT_WRITABLE, RUN_DISK_FULL, RUN_BUSY, and what `train` throws. A run that
 *   fails after its first step keeps its folder, with the status "failed".
 */
export async function runTraining(
  config: ResolvedConfig,
  plugins: readonly ResolvedPlugin[],
  options: RunOptions,
): Promise<RunSummary> {
  const {
    baseDir,
    out,
    dryRun = false,
    force,
    init,
    initNetwork,
    signal,
    observer = {},
    command = "train()",
  } = options;
  const title = config.name ?? methodName(plugins);
  const resume = options.resume === "auto" ? runIn(out) : options.resume;
  if (resume && options.resume !== "auto" && init !== undefined)
    throw errors.usage(
      "a run that goes on has its weights",
      "leave out the weights to begin with, or start a new run",
    );
  const folder = resume ?? RunFolder.create({ name: dryRun ? `${title}-dry-run` : title, out });
  const unlock = lockRun(folder);
  const written = writtenConfig(config, plugins);
  const recorder = new Recorder(folder, {
    title,
    config: written,
    seed: config.seed,
    command,
    baseDir,
    keptCheckpoints: config.checkpoint.keepLast,
  });
  const removed = dryRun && out === undefined && !resume;
  try {
    if (!resume) folder.writeConfig(written); // a resumed run's stays until the trainer has accepted it
    const summary = await train(config, plugins, {
      baseDir,
      folder: folder.path,
      resume: options.resume === "auto" ? "auto" : resume !== undefined,
      force,
      init,
      initNetwork,
      dryRun,
      signal,
      observer: inTurn(recorder, observer),
    });
    await recorder.close(summary.status === "finished" ? "finished" : "stopped");
    await writePage(recorder, observer);
    return removed ? summary : { ...summary, report: folder.reportFile };
  } catch (error) {
    if (recorder.started) {
      await recorder.close("failed", { error }).catch(() => undefined); // the first error is the one to tell
      await writePage(recorder, observer);
    } else if (!resume) folder.remove();
    throw folder.explain(error);
  } finally {
    if (removed) folder.remove();
    unlock();
  }
}

/** The run in a folder, if there is one. Throws USAGE where no folder is named. */
function runIn(out: string | undefined): RunFolder | undefined {
  if (out === undefined) throw errors.usage("a run that may go on needs a folder", "name it: --out FOLDER");
  return RunFolder.at(out);
}

/** A report that cannot be written does not undo a run. */
async function writePage(recorder: Recorder, observer: TrainObserver): Promise<void> {
  try {
    await recorder.writePage();
  } catch (error) {
    observer.warning?.(
      `the report was not written: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** The plugins that make the method: "dino-ibot". */
function methodName(plugins: readonly ResolvedPlugin[]): string {
  const names = plugins
    .map(({ definition }) => definition.manifest.name)
    .filter((name) => name !== "multi-crop");
  return names.join("-") || "run";
}

/** The config as JSON, with all options of every plugin that has its name from relata. */
function writtenConfig(config: ResolvedConfig, plugins: readonly ResolvedPlugin[]): object {
  const entries = config.plugins.map((entry) => {
    const use = "use" in entry ? entry.use : entry.definition.manifest.name;
    const plugin = plugins.find(({ definition }) => definition.manifest.name === use);
    return { use, with: plugin?.options ?? ("with" in entry ? entry.with : {}) };
  });
  return { ...config, plugins: entries };
}

/** Tells each observer in turn; the first may refuse by throwing. */
function inTurn(...observers: readonly TrainObserver[]): TrainObserver {
  return {
    start: (info) => observers.forEach((o) => o.start?.(info)),
    status: (message) => observers.forEach((o) => o.status?.(message)),
    step: (report) => observers.forEach((o) => o.step?.(report)),
    evaluation: (evaluation, progress) => observers.forEach((o) => o.evaluation?.(evaluation, progress)),
    relations: (samples) => observers.forEach((o) => o.relations?.(samples)),
    views: (samples) => observers.forEach((o) => o.views?.(samples)),
    checkpoint: (path, step) => observers.forEach((o) => o.checkpoint?.(path, step)),
    warning: (message) => observers.forEach((o) => o.warning?.(message)),
  };
}
