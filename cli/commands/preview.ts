import { Command } from "commander";
import { writeFile } from "node:fs/promises";
import { relative, resolve } from "node:path";
import type { ViewSample } from "../../core/report/report-data.ts";
import type { CliContext } from "../context.ts";
import { loadRun, type ConfigOptions } from "../load-run.ts";
import { theme } from "../theme.ts";
import { presetOption, wholeNumber, withConfigOptions } from "./train.ts";

interface PreviewOptions extends ConfigOptions {
  readonly samples: number;
  readonly out: string;
}

export function previewCommand(context: CliContext): Command {
  return withConfigOptions(new Command("preview"))
    .description(
      "draw what the networks would see: each image with its crops, and the augmented views with their masks",
    )
    .argument("[config]", "a config file")
    .addOption(presetOption())
    .option("--samples <n>", "images", wholeNumber, 6)
    .option("--out <file>", "the picture", "preview.png")
    .action(async (file: string | undefined, options: PreviewOptions) => {
      const { terminal } = context;
      const { config, plugins, baseDir } = await loadRun(file, options);
      const { previewViews } = await import("../../core/run/preview.ts");
      const samples = await previewViews(config, plugins, {
        baseDir,
        samples: options.samples,
        status: (message) => terminal.live(theme.quiet(`${message} …`)),
      });
      const { encodeGrid } = await import("../../core/report/images.ts");
      const path = resolve(options.out);
      await writeFile(path, await encodeGrid(samples.map(row)));
      terminal.clear();
      terminal.line(`${theme.good("✔")} ${relative("", path)}: ${columns(samples)}`);
    });
}

/** An image, its views beside it. */
function row({ source, views }: ViewSample) {
  return [source, ...views];
}

function columns(samples: readonly ViewSample[]): string {
  const views = samples[0]?.views.map(({ name }) => name) ?? [];
  return `one row per image: the whole image, ${views.join(", ")}`;
}
