import { Argument, Command } from "commander";
import { errors } from "../../core/errors.ts";
import { interruptible, type CliContext } from "../context.ts";
import { ensureLibraryFor } from "../library.ts";
import { loadRun, type ConfigOptions } from "../load-run.ts";
import { theme } from "../theme.ts";
import { resultLines, TrainView } from "../train-view.ts";
import { withConfigOptions } from "./train.ts";

interface EvalOptions extends ConfigOptions {
  readonly weights?: string;
}

export function evalCommand(context: CliContext): Command {
  return withConfigOptions(new Command("eval"))
    .description("evaluate the newest checkpoint of a run, or a file of weights")
    .addArgument(
      new Argument(
        "<protocol>",
        "knn: nearest neighbours, with retrieval and foreground where they fit",
      ).choices(["knn"]),
    )
    .argument("[run]", "the run's folder")
    .option("--weights <file>", "evaluate a .safetensors or .pth file, without a run")
    .action(async (_protocol: string, path: string | undefined, options: EvalOptions) => {
      const { weights } = options;
      if ((path === undefined) === (weights === undefined))
        throw errors.usage("one network is evaluated", "name a run, or a file with --weights");
      if (weights !== undefined)
        return (await import("../eval-weights.ts")).evalWeights(context, weights, options);
      const { RunFolder } = await import("../../core/run/folder.ts");
      const { terminal } = context;
      const folder = RunFolder.open(path!);
      const { config, plugins, baseDir } = await loadRun(undefined, options, folder);
      const view = new TrainView(terminal);
      const logger = {
        info: (message: string) => view.status(message),
        warn: (message: string) => view.warning(message),
      };
      await interruptible(context, "press again to stop at once", async ({ signal }) => {
        await ensureLibraryFor(config, terminal, signal);
        const { evaluateRun } = await import("../../core/run/evaluate.ts");
        const { evaluation, step } = await evaluateRun(folder, config, plugins, { baseDir, logger });
        terminal.clear();
        terminal.line(theme.heading(`${folder.name} after ${step.toLocaleString("en-US")} steps`));
        for (const line of resultLines(evaluation.results)) terminal.line(line);
      });
    });
}
