import { accessSync, constants } from "node:fs";
import { dirname, resolve } from "node:path";
import { Argument, Command, InvalidArgumentError } from "commander";
import { errors } from "../../core/errors.ts";
import { PROTOCOL_SUMMARIES, PROTOCOLS, type Protocol } from "../../core/eval/protocols.ts";
import { interruptible, type CliContext } from "../context.ts";
import { ensureLibraryFor } from "../library.ts";
import { loadRun, type ConfigOptions } from "../load-run.ts";
import { theme } from "../theme.ts";
import { protocolLines, TrainView } from "../train-view.ts";
import { withConfigOptions } from "./train.ts";

const ALL = "all";

export interface EvalCommandOptions extends ConfigOptions {
  readonly out?: string;
}

export function evalCommand(context: CliContext): Command {
  const told = PROTOCOLS.map((protocol) => `${protocol}: ${PROTOCOL_SUMMARIES[protocol]}`).join("; ");
  return withConfigOptions(new Command("eval"))
    .description("evaluate the newest checkpoint of a run")
    .addArgument(
      new Argument("<protocols>", `one or more, as knn,linear, or ${ALL}. ${told}`).argParser(parse),
    )
    .argument("<run>", "the run's folder")
    .option("--out <file>", "also write the figures with their protocol cards, as JSON")
    .action(async (protocols: readonly Protocol[], path: string, options: EvalCommandOptions) => {
      const { RunFolder } = await import("../../core/run/folder.ts");
      const { terminal } = context;
      const { out } = options;
      if (out !== undefined) checkOut(out);
      const folder = RunFolder.open(path);
      const { config, plugins, baseDir } = await loadRun(undefined, options, folder);
      const view = new TrainView(terminal);
      const logger = {
        info: (message: string) => view.status(message),
        warn: (message: string) => view.warning(message),
      };
      await interruptible(context, "press again to stop at once", async ({ signal }) => {
        await ensureLibraryFor(config, terminal, signal);
        const progress = (message: string) => {
          signal.throwIfAborted();
          view.progress(message);
        };
        const { evaluateRun } = await import("../../core/run/evaluate.ts");
        const asked = { baseDir, logger, protocols, progress };
        const { evaluation, step } = await evaluateRun(folder, config, plugins, asked);
        terminal.clear();
        terminal.line(theme.heading(`${folder.name} after ${step.toLocaleString("en-US")} steps`));
        for (const line of protocolLines(evaluation.results)) terminal.line(line);
        if (out === undefined) return;
        const { writeJsonAtomic } = await import("../../core/run/atomic-file.ts");
        writeJsonAtomic(out, { run: folder.path, step, results: evaluation.results });
        terminal.line(`  ${theme.quiet("figures")} ${out}`);
      });
    });
}

function parse(text: string): readonly Protocol[] {
  if (text === ALL) return PROTOCOLS;
  const names = text.split(",");
  const isProtocol = (name: string): name is Protocol => (PROTOCOLS as readonly string[]).includes(name);
  if (names.every(isProtocol)) return [...new Set(names)];
  throw new InvalidArgumentError(`Allowed are ${PROTOCOLS.join(", ")}, several as knn,linear, and ${ALL}.`);
}

/** Before an evaluation that may take long. */
function checkOut(out: string): void {
  try {
    accessSync(dirname(resolve(out)), constants.W_OK);
  } catch (cause) {
    throw errors
      .usage(`${out} cannot be written`, "name a file in a folder that is there and may be written to")
      .because(cause);
  }
}
