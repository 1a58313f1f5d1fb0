import { Command } from "commander";
import { relative } from "node:path";
import type { CliContext } from "../context.ts";
import { theme } from "../theme.ts";

interface ExportCommandOptions {
  readonly out?: string;
  readonly network?: string;
  readonly checkpoint?: string;
}

export function exportCommand(context: CliContext): Command {
  return withNetworkOptions(new Command("export"))
    .description("write a run's backbone for timm: model.safetensors and config.json")
    .argument("<run>", "the run's folder")
    .option("--out <folder>", "the folder to make (default: export-NETWORK-STEP in the run's)")
    .action(async (path: string, options: ExportCommandOptions) => {
      const { RunFolder } = await import("../../core/run/folder.ts");
      const { exportRun } = await import("../../core/run/export.ts");
      const { terminal } = context;
      const warn = (message: string) => terminal.line(`${theme.warning("warning:")} ${message}`);
      const { folder, architecture, network, step, parameters } = await exportRun(RunFolder.open(path), {
        ...options,
        logger: { info: (message) => terminal.line(message), warn },
      });
      const count = (value: number) => value.toLocaleString("en-US");
      const place = relative("", folder) || ".";
      terminal.line(
        `${theme.good("✔")} ${place}: ${architecture}, ${count(parameters)} weights of the ${network} after ${count(step)} steps`,
      );
      terminal.line(
        `  ${theme.quiet("in Python")}  timm.create_model("local-dir:${place}", pretrained=True)`,
      );
    });
}

/** The options of commands that take one network out of a run. */
export function withNetworkOptions(command: Command): Command {
  return command
    .option(
      "--network <name>",
      "whose weights: teacher or student (default: the teacher's, where there is one)",
    )
    .option("--checkpoint <step>", "a step, best, or the path of a checkpoint (default: the newest)");
}
