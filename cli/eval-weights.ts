/** `relata eval … --weights`: a file of weights without a run. */
import { resolve } from "node:path";
import { errors } from "../core/errors.ts";
import { interruptible, type CliContext } from "./context.ts";
import { ensureLibraryFor } from "./library.ts";
import { withData, type ConfigOptions } from "./load-run.ts";
import { theme } from "./theme.ts";
import { resultLines, TrainView } from "./train-view.ts";
import { keptText, leftLines } from "./weights-view.ts";

export async function evalWeights(
  context: CliContext,
  weights: string,
  options: ConfigOptions,
): Promise<void> {
  const { applyOverrides } = await import("../core/config/overrides.ts");
  const { parseWeightsConfig } = await import("../core/config/weights-config.ts");
  const { terminal } = context;
  const written = applyOverrides(withData({}, options), options.set ?? []) as { data?: object };
  if (written.data === undefined)
    throw errors.usage(
      "there are no images to evaluate on",
      "name a folder with --data, or --set data.dataset=emoji",
    );
  const config = parseWeightsConfig(written);
  const view = new TrainView(terminal);
  const logger = {
    info: (message: string) => view.status(message),
    warn: (message: string) => view.warning(message),
  };
  await interruptible(context, "press again to stop at once", async ({ signal }) => {
    await ensureLibraryFor(config, terminal, signal);
    const { evaluateWeights } = await import("../core/run/evaluate-weights.ts");
    const { evaluation, network } = await evaluateWeights(weights, config, { baseDir: resolve("."), logger });
    const { numHeads, embedDim, depth, patchSize } = network.config;
    terminal.clear();
    terminal.line(theme.heading(network.name));
    terminal.line(
      theme.quiet(
        `  ${keptText(network.match.kept.length, network.match)}: ${depth} blocks ${embedDim} wide with ${numHeads} heads, patches of ${patchSize} px, images of ${network.size} px`,
      ),
    );
    for (const line of leftLines(network.match)) terminal.line(line);
    for (const line of resultLines(evaluation.results)) terminal.line(line);
  });
}
