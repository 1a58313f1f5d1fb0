import { Command, Option } from "commander";
import { relative } from "node:path";
import type { Pooling } from "../../core/embeddings/pooling.ts";
import type { EmbedSummary } from "../../core/run/embed.ts";
import { interruptible, type CliContext } from "../context.ts";
import { EmbedView } from "../embed-view.ts";
import { ensureLibraryFor } from "../library.ts";
import { theme } from "../theme.ts";
import { withNetworkOptions } from "./export.ts";
import { withImageOptions, wholeNumber } from "./train.ts";

interface EmbedCommandOptions {
  readonly out: string;
  readonly pooling?: Pooling;
  readonly size?: number;
  readonly batch?: number;
  readonly network?: string;
  readonly checkpoint?: string;
  readonly limit?: number;
  readonly set?: readonly string[];
}

export function embedCommand(context: CliContext): Command {
  return withImageOptions(withNetworkOptions(new Command("embed")))
    .description("write the features of every image, as they come")
    .argument("<network>", "a run, or weights: a file, or the folder of a model")
    .argument("<images>", "a folder of images, tar shards or parquet")
    .requiredOption("--out <file>", "a file that ends in .parquet, .npy or .safetensors")
    .addOption(
      new Option(
        "--pooling <tokens>",
        "the class token, the mean of the patch tokens, or all of them (default: what evaluations take)",
      ).choices(["cls", "mean", "patches"]),
    )
    .option("--size <px>", "side of the images as the network sees them (default: its own)", wholeNumber)
    .option("--batch <n>", "images at a time", wholeNumber, 64)
    .action((network: string, images: string, options: EmbedCommandOptions) =>
      runEmbed(context, network, images, options),
    );
}

async function runEmbed(
  context: CliContext,
  named: string,
  images: string,
  { out, pooling, size, batch, network, checkpoint, limit, set }: EmbedCommandOptions,
): Promise<void> {
  const { terminal } = context;
  const { networkSource } = await import("../../core/run/network-source.ts");
  const { openImages } = await import("../../core/data/open-images.ts");
  const { checkOutput, embedImages } = await import("../../core/run/embed.ts");
  const { resolvePlugins } = await import("../../registry/resolve.ts");
  const logger = {
    info: (message: string) => terminal.live(theme.quiet(`${message} …`)),
    warn: (message: string) => terminal.line(`${theme.warning("warning:")} ${message}`),
  };
  await checkOutput(out);
  const source = await networkSource(named, { set, network, checkpoint, logger, resolvePlugins });
  logger.info("listing the images");
  const dataset = await openImages(images, { limit });
  const stopping = "stopping: nothing is kept; press again to stop at once";
  const summary = await interruptible(context, stopping, async ({ signal }) => {
    await ensureLibraryFor(source.config, terminal, signal);
    logger.info("opening the network");
    const opened = await source.open(dataset);
    const view = new EmbedView(terminal);
    try {
      return await embedImages(opened, dataset, {
        ...{ out, pooling, size, batchSize: batch, signal },
        background: source.config.data.background,
        onProgress: (progress) => view.progress(progress),
        onSkipped: (error) => view.leftOut(error),
      });
    } finally {
      opened.close();
    }
  });
  if (summary) for (const line of endLines(summary)) terminal.line(line);
}

function endLines({ path, count, skipped, shape, seconds, networkSeconds }: EmbedSummary): string[] {
  const number = (value: number) => value.toLocaleString("en-US");
  const rate = (count / seconds).toFixed(1);
  const share = Math.round((100 * networkSeconds) / seconds);
  const left = `${number(skipped)} ${skipped === 1 ? "image" : "images"} could not be read and left out`;
  return [
    `${theme.good("✔")} ${relative("", path)}: ${number(count)} × ${shape.join(" × ")}`,
    theme.quiet(`  ${rate} images/s, ${share} % of the time in the network`),
    ...(skipped > 0 ? [`  ${theme.warning(left)}`] : []),
  ];
}
