/** Evaluates what a run has trained so far. */
import type { ResolvedConfig } from "../config/schema.ts";
import { errors } from "../errors.ts";
import type { Evaluation } from "../eval/evaluator.ts";
import type { Logger } from "../logger.ts";
import { CHECKPOINTS } from "../tokens.ts";
import { assemble, type ResolvedPlugin } from "../trainer/assemble.ts";
import { newestCheckpoint, valuesFor } from "../trainer/checkpoint.ts";
import { makeEvaluator, type EvaluatorOptions } from "../trainer/evaluate.ts";
import type { RunFolder } from "./folder.ts";

export interface EvaluateOptions extends EvaluatorOptions {
  readonly baseDir: string;
  readonly logger: Logger;
}

/**
 * The figures of the newest whole checkpoint, and after how many steps it was saved. Writes nothing.
 *
 * @throws CHECKPOINT_MISSING, CHECKPOINT_DAMAGED, CHECKPOINT_MISMATCH, EVAL_UNLABELLED
 */
export async function evaluateRun(
  folder: RunFolder,
  config: ResolvedConfig,
  plugins: readonly ResolvedPlugin[],
  { baseDir, logger, ...options }: EvaluateOptions,
): Promise<{ evaluation: Evaluation; step: number }> {
  const status = (message: string) => logger.info(message);
  const assembly = await assemble(config, plugins, {
    baseDir,
    checkpoints: folder.checkpoints,
    logger,
    status,
  });
  try {
    const { training, container } = assembly;
    const checkpoint = await newestCheckpoint(container.get(CHECKPOINTS), logger);
    if (!checkpoint) throw errors.checkpointMissing(folder.path);
    const values = valuesFor(checkpoint, training.state.variables);
    status("loading the images");
    const evaluator = await makeEvaluator(assembly, options);
    // Measured again: the images or the protocol may be others than the run's.
    status("evaluating the untrained backbone");
    await training.initialize();
    await evaluator.measureUntrained();
    await training.initialize(values);
    status("evaluating");
    return { evaluation: await evaluator.evaluate(), step: checkpoint.step };
  } finally {
    assembly.engine.close();
  }
}
