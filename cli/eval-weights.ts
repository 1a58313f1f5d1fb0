/** `relata eval … --weights`: a file of weights without a run. */
import { resolve } from "node:path";
import { errors } from "../core/errors.ts";
import type { EvalResult } from "../core/eval/card.ts";
import type { Protocol } from "../core/eval/protocols.ts";
import { interruptible, type CliContext } from "./context.ts";
import { ensureLibraryFor } from "./library.ts";
import { withData, type ConfigOptions } from "./load-run.ts";
import { theme } from "./theme.ts";
import { TrainView } from "./train-view.ts";
import { keptText, leftLines } from "./weights-view.ts";

/** Tells figures under a heading, and writes them with what they are about. */
export type ShowFigures = (heading: readonly string[], results: readonly EvalResult[], about: object) => void;

export async function evalWeights(
  context: CliContext,
  weights: string,
  protocols: readonly Protocol[],
  options: ConfigOptions,
  show: ShowFigures,
): Promise<void> {
  const { applyOverrides } = await import("../core/config/overrides.ts");
  const { parseWeightsConfig } = await import("../core/config/weights-config.ts");
  const { terminal } = context;
  const written = applyOverrides(await withData({}, options), options.set ?? []) as { data?: object };
  if (written.data === undefined)
    throw errors.usage(
      "there are no images to evaluate on",
      "name a folder with --data, or --set data.dataset=emoji",
    );
  const config = parseWeightsConfig(written);
  const view = new TrainView(terminal);
  await interruptible(context, "press again to stop at once", async ({ signal }) => {
    await ensureLibraryFor(config, terminal, signal);
    const { evaluateWeights } = await import("../core/run/evaluate-weights.ts");
    const asked = { baseDir: resolve("."), protocols, signal, ...view.evaluating };
    const { evaluation, network } = await evaluateWeights(weights, config, asked);
    const { name, path, size, match } = network;
    const { numHeads, embedDim, depth, patchSize } = network.config;
    const shape = `${depth} blocks ${embedDim} wide with ${numHeads} heads, patches of ${patchSize} px, images of ${size} px`;
    const kept = theme.quiet(`  ${keptText(match.kept.length, match)}: ${shape}`);
    show([name, kept, ...leftLines(match)], evaluation.results, { weights: path });
  });
}
