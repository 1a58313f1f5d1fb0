import { accessSync, constants } from "node:fs";
import { dirname, resolve } from "node:path";
import { Argument, Command, InvalidArgumentError } from "commander";
import { errors } from "../../core/errors.ts";
import { PROTOCOL_SUMMARIES, PROTOCOLS, type Protocol } from "../../core/eval/protocols.ts";
import { interruptible, type CliContext } from "../context.ts";
import type { ShowFigures } from "../eval-weights.ts";
import { ensureLibraryFor } from "../library.ts";
import { loadRun, type ConfigOptions } from "../load-run.ts";
import { theme } from "../theme.ts";
import { protocolLines, TrainView } from "../train-view.ts";
import { withConfigOptions } from "./train.ts";

const ALL = "all";

export interface EvalCommandOptions extends ConfigOptions {
  readonly out?: string;
  readonly weights?: string;
}

export function evalCommand(context: CliContext): Command {
  const told = PROTOCOLS.map((protocol) => `${protocol}: ${PROTOCOL_SUMMARIES[protocol]}`).join("; ");
  return withConfigOptions(new Command("eval"))
    .description("evaluate the newest checkpoint of a run, or a file of weights")
    .addArgument(
      new Argument("<protocols>", `one or more, as knn,linear, or ${ALL}. ${told}`).argParser(parse),
    )
    .argument("[run]", "the run's folder")
    .option("--weights <file>", "evaluate a .safetensors or .pth file, without a run")
    .option("--out <file>", "also write the figures with their protocol cards, as JSON")
    .action(async (protocols: readonly Protocol[], path: string | undefined, options: EvalCommandOptions) => {
      const { weights, out } = options;
      if ((path === undefined) === (weights === undefined))
        throw errors.usage("one network is evaluated", "name a run, or a file with --weights");
      if (out !== undefined) checkOut(out);
      const { writeJsonAtomic } = await import("../../core/run/atomic-file.ts");
      const { terminal } = context;
      const show: ShowFigures = (heading, results, about) => {
        terminal.clear();
        terminal.line(theme.heading(heading[0]!));
        for (const line of [...heading.slice(1), ...protocolLines(results)]) terminal.line(line);
        if (out === undefined) return;
        writeJsonAtomic(out, { ...about, results });
        terminal.line(`  ${theme.quiet("figures")} ${out}`);
      };
      if (path !== undefined) await evalRun(context, path, protocols, options, show);
      else {
        const { evalWeights } = await import("../eval-weights.ts");
        await evalWeights(context, weights!, protocols, options, show);
      }
    });
}

async function evalRun(
  context: CliContext,
  path: string,
  protocols: readonly Protocol[],
  options: ConfigOptions,
  show: ShowFigures,
): Promise<void> {
  const { terminal } = context;
  const { RunFolder } = await import("../../core/run/folder.ts");
  const folder = RunFolder.open(path);
  const { config, plugins, baseDir } = await loadRun(undefined, options, folder);
  const view = new TrainView(terminal);
  await interruptible(context, "press again to stop at once", async ({ signal }) => {
    await ensureLibraryFor(config, terminal, signal);
    const { evaluateRun } = await import("../../core/run/evaluate.ts");
    const asked = { baseDir, protocols, signal, ...view.evaluating };
    const { evaluation, step } = await evaluateRun(folder, config, plugins, asked);
    const heading = `${folder.name} after ${step.toLocaleString("en-US")} steps`;
    show([heading], evaluation.results, { run: folder.path, step });
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
