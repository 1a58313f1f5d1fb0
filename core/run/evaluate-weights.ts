/** Evaluates a file of weights, without a run. */
import type { WeightsConfig } from "../config/weights-config.ts";
import type { Evaluation } from "../eval/evaluator.ts";
import { openDataset } from "../trainer/assemble.ts";
import { evaluatorOf } from "../trainer/evaluate.ts";
import { openFrozenNetwork, type FrozenNetwork } from "../trainer/frozen-network.ts";
import { errors } from "../errors.ts";
import type { EvaluateOptions } from "./evaluate.ts";

/** The figures, beside those of the same backbone with random weights, and what was evaluated. */
export interface WeightsEvaluation {
  readonly evaluation: Evaluation;
  readonly network: Pick<FrozenNetwork, "name" | "path" | "size" | "config" | "match">;
}

/**
 * @param weights what `openWeights` takes
 * @throws what `openFrozenNetwork` throws, and what opening the images does
 */
export async function evaluateWeights(
  weights: string,
  config: WeightsConfig,
  { baseDir, logger, ...options }: EvaluateOptions,
): Promise<WeightsEvaluation> {
  const { data, train, backbone, normalisation } = config;
  logger.info("opening the images");
  const dataset = await openDataset(config, baseDir);
  if (!dataset) throw errors.datasetUnknown(data.dataset);
  logger.info("opening the weights");
  const network = await openFrozenNetwork({ weights, train, backbone, ...normalisation, logger });
  try {
    logger.info("loading the images");
    const images = { config: { ...config, data: { ...data, channels: network.channels } }, dataset };
    const evaluator = await evaluatorOf({ ...images, network, size: network.size, logger }, options);
    logger.info("evaluating the untrained backbone");
    await network.initialize(config.seed);
    await evaluator.measureUntrained();
    await network.load();
    logger.info("evaluating");
    return { evaluation: await evaluator.evaluate(), network };
  } finally {
    network.close();
  }
}
