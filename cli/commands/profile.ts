import { Command } from "commander";
import type { StepProfile } from "../../core/run/profile.ts";
import { interruptible, type CliContext } from "../context.ts";
import { ensureLibraryFor } from "../library.ts";
import { loadRun, type ConfigOptions } from "../load-run.ts";
import { tableLines } from "../table.ts";
import { theme } from "../theme.ts";
import { presetOption, withConfigOptions } from "./train.ts";

export function profileCommand(context: CliContext): Command {
  return withConfigOptions(new Command("profile"))
    .description("time one training step, and tell which plugin and hook the time goes to")
    .argument("[config]", "a config file")
    .addOption(presetOption())
    .action(async (file: string | undefined, options: ConfigOptions) => {
      const { terminal } = context;
      const { config, plugins, baseDir } = await loadRun(file, options);
      await interruptible(context, "press again to stop at once", async ({ signal }) => {
        await ensureLibraryFor(config, terminal, signal);
        const { profileStep } = await import("../../core/run/profile.ts");
        const status = (message: string) => terminal.live(theme.quiet(`${message} …`));
        const profile = await profileStep(config, plugins, { baseDir, status });
        terminal.clear();
        for (const line of profileLines(profile)) terminal.line(line);
      });
    });
}

/** What the step takes, then a row for each hook of a plugin that is in the graph. */
export function profileLines({ images, seconds, shares }: StepProfile): string[] {
  const total = shares.reduce((sum, { microseconds }) => sum + microseconds, 0);
  const rows = shares.map(({ name, microseconds }) => {
    const [plugin = "", hook = ""] = name.split("/");
    return [plugin, hook, (microseconds / 1000).toFixed(1), `${((100 * microseconds) / total).toFixed(1)} %`];
  });
  const [titles, ...lines] = tableLines(
    [
      { title: "plugin" },
      { title: "hook" },
      { title: "thread ms", align: "right" },
      { title: "share", align: "right" },
    ],
    rows,
  );
  const head = `one step of ${images} ${images === 1 ? "image" : "images"} takes ${seconds.toPrecision(3)} s`;
  return [head, theme.heading(titles!), ...lines];
}
