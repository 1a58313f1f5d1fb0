import { Command, Option } from "commander";
import type { NetworkRole } from "../../core/weights/networks.ts";
import { interruptible, typedCommand, type CliContext } from "../context.ts";
import { ensureLibraryFor } from "../library.ts";
import { checkedRun, loadRun, type ConfigOptions } from "../load-run.ts";
import { TrainView } from "../train-view.ts";
import { endLines, STOPPING, wholeNumber, withTrainOptions } from "./train.ts";

interface FinetuneCommandOptions extends ConfigOptions {
  readonly epochs?: number;
  readonly fromScratch?: boolean;
  readonly network?: NetworkRole;
  readonly dryRun?: boolean;
  readonly out?: string;
}

export function finetuneCommand(context: CliContext): Command {
  return withTrainOptions(new Command("finetune"))
    .description("train a run's backbone on labels, and test it on images held back: top-1, top-5")
    .argument("<run>", "the folder of the run whose newest checkpoint is started from")
    .option("--epochs <n>", "passes over the images (default: 50)", wholeNumber)
    .option("--from-scratch", "the same from random weights, to compare with")
    .addOption(
      new Option(
        "--network <name>",
        "whose weights to start from (default: the teacher's, where there is one)",
      )
        .choices(["teacher", "student"])
        .conflicts("fromScratch"),
    )
    .action((path: string, options: FinetuneCommandOptions) => runFinetune(context, path, options));
}

async function runFinetune(
  context: CliContext,
  path: string,
  options: FinetuneCommandOptions,
): Promise<void> {
  const { terminal } = context;
  const { RunFolder } = await import("../../core/run/folder.ts");
  const { backboneToTune, finetuneConfig } = await import("../../core/run/finetune.ts");
  const { epochs, fromScratch, network, dryRun, out, ...changes } = options;
  const folder = RunFolder.open(path);
  const run = await loadRun(undefined, {}, folder);
  const written = finetuneConfig(folder.name, run.config, run.plugins, { epochs, fromScratch });
  const { config, plugins, baseDir } = await checkedRun(written, changes, run.baseDir);
  const view = new TrainView(terminal);
  const logger = {
    info: (message: string) => view.status(message),
    warn: (message: string) => view.warning(message),
  };
  const start = fromScratch ? {} : await backboneToTune(folder, network, logger);
  const summary = await interruptible(context, STOPPING, async ({ signal }) => {
    await ensureLibraryFor(config, terminal, signal);
    const { runTraining } = await import("../../core/run/run.ts");
    const command = typedCommand(context);
    return runTraining(config, plugins, { ...start, baseDir, out, dryRun, signal, observer: view, command });
  });
  if (summary) for (const line of endLines(summary, undefined)) terminal.line(line);
}
