import { Command, InvalidArgumentError } from "commander";
import { number } from "../../core/report/format.ts";
import type { Replayed } from "../../core/run/replay.ts";
import { interruptible, type CliContext } from "../context.ts";
import { describeError, EXIT_FAILURE } from "../failure.ts";
import { ensureLibraryFor } from "../library.ts";
import { loadRun, type ConfigOptions } from "../load-run.ts";
import { tableLines } from "../table.ts";
import { theme } from "../theme.ts";
import { TrainView } from "../train-view.ts";
import { withConfigOptions } from "./train.ts";

interface ReplayCommandOptions extends ConfigOptions {
  readonly step?: number;
}

export function replayCommand(context: CliContext): Command {
  return withConfigOptions(new Command("replay"))
    .description(
      "run the step again at which a run stopped because it was not finite, and tell where that begins",
    )
    .argument("<run>", "the run's folder")
    .option(
      "--step <n>",
      "of several saved batches, that of this step (default: the latest that the run did not get past)",
      stepNumber,
    )
    .action(async (path: string, options: ReplayCommandOptions) => {
      const { RunFolder } = await import("../../core/run/folder.ts");
      const { terminal, argv } = context;
      const folder = RunFolder.open(path);
      const { config, plugins, baseDir } = await loadRun(undefined, options, folder);
      const view = new TrainView(terminal);
      const logger = {
        info: (message: string) => view.status(message),
        warn: (message: string) => view.warning(message),
      };
      const { step } = options;
      await interruptible(context, "press again to stop at once", async ({ signal }) => {
        await ensureLibraryFor(config, terminal, signal);
        const { replayStep } = await import("../../core/run/replay.ts");
        const replayed = await replayStep(folder, config, plugins, { baseDir, step, logger });
        terminal.clear();
        for (const line of replayLines(folder.name, replayed)) terminal.line(line);
        if (!replayed.problem) return;
        terminal.line(describeError(replayed.problem, { verbose: argv.includes("--verbose") }));
        context.exitCode = EXIT_FAILURE;
      });
    });
}

/** The step, its figures beside those that were recorded, and whether they are finite. */
export function replayLines(run: string, replayed: Replayed): string[] {
  const { step, epoch, micro, accumulation, scalars, recorded, problem } = replayed;
  const part = accumulation === 1 ? "" : `, micro-batch ${micro} of ${accumulation}`;
  const batch = recorded ? "the batch that was kept" : "no batch was kept: the next one of the run";
  const rows = Object.entries(scalars).map(([name, value]) => [
    name,
    recorded ? number(recorded[name] ?? NaN) : "",
    number(value),
  ]);
  const columns = [
    { title: "" },
    { title: "then", align: "right" },
    { title: "now", align: "right" },
  ] as const;
  const [titles, ...lines] = tableLines(columns, rows);
  return [
    theme.heading(`${run}, step ${step} (epoch ${number(epoch)}${part}): ${batch}`),
    theme.quiet(titles!),
    ...lines,
    ...(problem ? [] : [`${theme.good("✔")} the step is finite`]),
  ];
}

function stepNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("It must be a whole number from 0.");
  return Number(text);
}
