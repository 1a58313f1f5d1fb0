import { Command, InvalidArgumentError, Option } from "commander";
import { relative } from "node:path";
import { presetNames } from "../../core/config/presets.ts";
import { errors } from "../../core/errors.ts";
import type { RunFolder } from "../../core/run/folder.ts";
import type { RunSummary } from "../../core/run/run.ts";
import { interruptible, typedCommand, type CliContext } from "../context.ts";
import { ensureLibraryFor } from "../library.ts";
import { loadRun, type ConfigOptions } from "../load-run.ts";
import { theme } from "../theme.ts";
import { TrainView } from "../train-view.ts";

export interface TrainCommandOptions extends ConfigOptions {
  readonly dryRun?: boolean;
  /** True without a name: the newest run that can go on. "auto": the one in `out`, if it has begun. */
  readonly resume?: string | true;
  readonly force?: boolean;
  readonly out?: string;
  /** A file of weights, or a run. */
  readonly init?: string;
}

export function trainCommand(context: CliContext): Command {
  return withTrainOptions(new Command("train"))
    .description("train a run, and write its folder: config, metrics, checkpoints, evaluation, report")
    .argument("[config]", "a config file: .yaml, .json, .ts or .js")
    .addOption(presetOption())
    .addOption(initOption())
    .option(
      "--resume [run]",
      "go on with the run in this folder (default: the newest that did not finish); auto: with the one in --out, started where there is none",
    )
    .option("--force", "with --resume: go on with what fits where the config, images or plugins have changed")
    .action((config: string | undefined, options: TrainCommandOptions) => runTrain(context, config, options));
}

export function presetOption(): Option {
  return new Option("--preset <name>", `a config that comes with relata: ${presetNames().join(", ")}`);
}

export function initOption(): Option {
  return new Option("--init <weights>", "begin with these weights: a .safetensors or .pth file, or a run");
}

/** The options that every command has that takes a config. */
export function withConfigOptions(command: Command): Command {
  return withImageOptions(
    command.option(
      "--data <folder>",
      "a folder of images, tar shards or parquet files, instead of the config's",
    ),
  );
}

/** Of the commands that take images and compute. */
export function withImageOptions(command: Command): Command {
  return command
    .option("--limit <n>", "use at most this many images", wholeNumber)
    .option(
      "--set <key=value>",
      "change one value of the config, such as train.epochs=50; may be repeated",
      collect,
    );
}

export function withTrainOptions(command: Command): Command {
  return withConfigOptions(command)
    .option("--dry-run", "one step, one evaluation and one checkpoint, and keep nothing")
    .option("--out <folder>", "the run's folder (default: a new one in runs)");
}

export async function runTrain(
  context: CliContext,
  file: string | undefined,
  options: TrainCommandOptions,
): Promise<void> {
  const { terminal } = context;
  const { RunFolder } = await import("../../core/run/folder.ts");
  const { out, dryRun, resume, force, init } = options;
  const auto = resume === "auto";
  if (resume !== undefined && (dryRun === true || (out !== undefined && !auto)))
    throw errors.usage("a run that goes on has its folder and its plan", "leave out --out and --dry-run");
  if (force && resume === undefined)
    throw errors.usage("--force is for a run that goes on", "add --resume, or leave it out");
  const run =
    resume === undefined || auto
      ? undefined
      : RunFolder.open(resume === true ? await newestUnfinished() : resume);
  const begun = auto && out !== undefined ? RunFolder.at(out) : run;
  const { config, plugins, baseDir } = await loadRun(file, options, begun);

  const summary = await interruptible(context, STOPPING, async ({ signal }) => {
    await ensureLibraryFor(config, terminal, signal);
    const { runTraining } = await import("../../core/run/run.ts");
    return runTraining(config, plugins, {
      baseDir,
      out,
      resume: auto ? "auto" : run,
      force,
      init,
      dryRun,
      signal,
      observer: new TrainView(terminal),
      command: typedCommand(context),
    });
  });
  if (summary) for (const line of endLines(summary, run)) terminal.line(line);
}

/** Told at the first Ctrl-C. */
export const STOPPING = "stopping: the step is finished and saved; press again to stop at once";

/** What is told when a run has ended. */
export function endLines({ status, step, folder, report }: RunSummary, run: RunFolder | undefined): string[] {
  const steps = `${step.toLocaleString("en-US")} ${step === 1 ? "step" : "steps"}`;
  if (report === undefined && status === "finished")
    return [`${theme.good("✔")} the dry run went through; nothing was kept`];
  const place = relative("", folder) || ".";
  const saved = report === undefined ? [] : [`  ${theme.quiet("report")} ${relative("", report)}`];
  if (status === "finished") return [`${theme.good("✔")} finished after ${steps}`, ...saved];
  const again = `  ${theme.quiet("go on")}  npx relata train --resume ${place}`;
  return [`${theme.warning("■")} stopped after ${steps}${run ? " in all" : ""}`, ...saved, again];
}

/** The folder of the newest run in "runs" that has not finished and is not going on. */
async function newestUnfinished(): Promise<string> {
  const { listRuns } = await import("../../core/report/runs.ts");
  const { RunFolder, RUNS_FOLDER } = await import("../../core/run/folder.ts");
  const waits = (run: RunFolder) => run.readRun()?.status !== "finished" && run.writer !== "alive";
  const run = listRuns(RUNS_FOLDER)
    .filter(({ problems }) => problems.length === 0)
    .findLast(({ folder }) => waits(RunFolder.open(folder)));
  if (!run) throw errors.usage(`no run in ${RUNS_FOLDER} waits to go on`, "name its folder: --resume FOLDER");
  return run.folder;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError("It must be a whole number from 1.");
  return value;
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
