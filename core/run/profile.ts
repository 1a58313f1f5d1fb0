/** How long one training step of a config takes, and where the time goes. */
import type { ResolvedConfig } from "../config/schema.ts";
import { GraphEngine } from "../engine/graph-engine.ts";
import { timeByHook, type TimeShare } from "../engine/timings.ts";
import { errors } from "../errors.ts";
import { silentLogger } from "../logger.ts";
import { assemble, firstBatch, type ResolvedPlugin } from "../trainer/assemble.ts";

/** TensorFlow optimises the graph in the first steps. */
const WARMUP = 2;
const STEPS = 3;

export interface ProfileOptions {
  readonly baseDir: string;
  readonly status?: (message: string) => void;
}

export interface StepProfile {
  /** Images of the step: of one micro-batch. */
  readonly images: number;
  /** Median of the steps. */
  readonly seconds: number;
  /** Thread time by plugin and hook, gradients with what they belong to; the longest first. */
  readonly shares: readonly TimeShare[];
}

/**
 * Steps of the last epoch, in which all has started that starts late. Writes nothing.
 *
 * @throws USAGE for the eager engine, BATCH_TOO_LARGE, and what assembling and capturing throw
 */
export async function profileStep(
  config: ResolvedConfig,
  plugins: readonly ResolvedPlugin[],
  { baseDir, status }: ProfileOptions,
): Promise<StepProfile> {
  const assembly = await assemble(config, plugins, {
    baseDir,
    checkpoints: "",
    logger: silentLogger,
    status,
  });
  const { engine, training, run, trained, accumulation } = assembly;
  try {
    if (!(engine instanceof GraphEngine))
      throw errors.usage("the eager engine has no profile", "set train.engine to graph");
    if (run.stepsPerEpoch === 0) throw errors.batchTooLarge(run.globalBatchSize, trained.name, trained.size);
    await training.initialize();
    const batch = await firstBatch(assembly);
    const progress = { step: (run.epochs - 1) * run.stepsPerEpoch, epoch: run.epochs - 1 };
    const feeds = training.feeds(batch, progress);
    status?.("capturing the step");
    const kind = accumulation === 1 ? "train" : "apply";
    const program = await training.program(kind, progress.epoch, feeds);
    status?.("timing");
    const seconds: number[] = [];
    for (let i = 0; i < WARMUP + STEPS; i++) {
      const start = performance.now();
      await program.run(feeds);
      if (i >= WARMUP) seconds.push((performance.now() - start) / 1000);
    }
    const names = plugins.map(({ definition }) => definition.manifest.name);
    return {
      images: run.batchSize,
      seconds: seconds.sort((a, b) => a - b)[STEPS >> 1]!,
      shares: timeByHook(engine.profile(program, feeds).timings, names),
    };
  } finally {
    engine.close();
  }
}
