/** Runs the step again at which a run stopped, or the one that comes next. */
import type { ResolvedConfig } from "../config/schema.ts";
import type { Progress } from "../contexts.ts";
import type { ViewBatch } from "../data/pipeline.ts";
import type { Feeds } from "../engine/engine.ts";
import { errors, type RelataError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { CHECKPOINTS } from "../tokens.ts";
import { assemble, type Assembly, type ResolvedPlugin } from "../trainer/assemble.ts";
import { newestCheckpoint, valuesFor } from "../trainer/checkpoint.ts";
import { readReplay, replayFolder, savedReplays, type Replay } from "../trainer/replay-file.ts";
import { stepKind } from "../trainer/step.ts";
import { inputNames } from "../trainer/step-context.ts";
import type { StepOutcome, Training } from "../trainer/training.ts";
import type { RunFolder } from "./folder.ts";

export interface ReplayOptions {
  readonly baseDir: string;
  /** Of the batches that are kept, that of this step (default: the latest that the run did not get past). */
  readonly step?: number;
  readonly logger: Logger;
}

export interface Replayed extends Progress {
  /** Number of the micro-batch, from 1, of so many per update. */
  readonly micro: number;
  readonly accumulation: number;
  /** What the step gives now. */
  readonly scalars: Readonly<Record<string, number>>;
  /** What it gave when its batch was kept; undefined for a batch that was drawn anew. */
  readonly recorded: Readonly<Record<string, number>> | undefined;
  /** NOT_FINITE with the first op whose result is not finite; undefined where all is finite. */
  readonly problem: RelataError | undefined;
}

/**
 * From the batch's checkpoint, with the batch that was kept; where none was, or where the run got past it, from the newest
 * checkpoint with the batch that the run would go on with.
 * The schedules' values are those of the config at hand. Writes nothing.
 *
 * @throws CHECKPOINT_MISSING, CHECKPOINT_DAMAGED, CHECKPOINT_MISMATCH, REPLAY_MISSING, REPLAY_DAMAGED, REPLAY_STATE, REPLAY_MISMATCH
 */
export async function replayStep(
  folder: RunFolder,
  config: ResolvedConfig,
  plugins: readonly ResolvedPlugin[],
  { baseDir, step: wanted, logger }: ReplayOptions,
): Promise<Replayed> {
  const batches = replayFolder(folder.path);
  const steps = await savedReplays(batches);
  if (wanted !== undefined && !steps.includes(wanted)) throw errors.replayMissing(folder.path, wanted, steps);
  const status = (message: string) => logger.info(message);
  const { checkpoints } = folder;
  const assembly = await assemble(config, plugins, { baseDir, checkpoints, logger, status });
  try {
    const { training, container } = assembly;
    const checkpoint = await newestCheckpoint(container.get(CHECKPOINTS), logger, wanted);
    const at = wanted ?? steps.findLast((step) => step >= (checkpoint?.step ?? 0));
    const saved = at === undefined ? undefined : await readReplay(batches, at);
    // Where the state could not be saved at the first step: it began with the seed, unless it was given weights.
    const seeded = at === 0 && folder.readRun()?.init === undefined;
    if (!checkpoint && !seeded) throw errors.checkpointMissing(folder.path);
    await training.initialize(checkpoint && valuesFor(checkpoint, training.state.variables));
    status("running the step");
    const step = checkpoint?.step ?? 0;
    return await (saved ? runSaved(assembly, step, saved) : runNext(assembly, step));
  } finally {
    assembly.engine.close();
  }
}

async function runSaved(
  { training, accumulation, config }: Assembly,
  atStep: number,
  replay: Replay,
): Promise<Replayed> {
  const { step, epoch, micro } = replay;
  if (atStep !== step) throw errors.replayState(step, atStep);
  const { batchSize } = config.train;
  if (replay.accumulation !== accumulation || replay.batchSize !== batchSize) {
    const of = (samples: number, parts: number) => `updates of ${samples} samples in ${parts} micro-batches`;
    throw errors.replayMismatch(
      `${of(replay.batchSize, replay.accumulation)}, here ${of(batchSize, accumulation)}`,
    );
  }
  const progress = { step, epoch };
  if (micro > 1) {
    const apart = await training.loadBetweenUpdates(replay.state);
    if (apart.length > 0) throw errors.replayMismatch(`${apart[0]} is another here`);
  }
  const feeds = feedsOf(training, replay, progress);
  const outcome = await training.stepOn(stepKind(micro, accumulation), feeds, progress);
  return told(training, { ...progress, micro, accumulation, recorded: replay.scalars }, outcome);
}

/** What was fed then; of the config at hand are the schedules, and inputs that there were not. */
function feedsOf(training: Training, { feeds }: Replay, progress: Progress): Feeds {
  const under = <T>(prefix: string) =>
    new Map(
      Object.entries(feeds)
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, values]) => [name.slice(prefix.length), values as T]),
    );
  const batch: ViewBatch = {
    ...progress,
    indices: feeds[inputNames.indices] as Int32Array,
    pixels: under<Uint8Array>(inputNames.pixels("")),
    rects: under<Float32Array>(inputNames.rects("")),
    labels: feeds[inputNames.labels] as Int32Array,
    replaced: [],
  };
  const own = training.feeds(batch, progress);
  const schedules = training.declarations.schedules;
  const kept = Object.entries(feeds).filter(([name]) => !schedules.has(name));
  return { ...own, ...Object.fromEntries(kept) };
}

/** The update after the checkpoint, up to the first micro-batch that is not finite. */
async function runNext(assembly: Assembly, step: number): Promise<Replayed> {
  const { training, accumulation, run } = assembly;
  const progress = { step, epoch: step / run.stepsPerEpoch };
  const pipeline = assembly.pipeline();
  try {
    const batches = pipeline.batches(step * accumulation);
    for (let micro = 1; ; micro++) {
      const batch = (await batches.next()).value as ViewBatch;
      const outcome = await training.step(stepKind(micro, accumulation), batch, progress);
      if (outcome.finite && micro < accumulation) continue;
      return await told(training, { ...progress, micro, accumulation, recorded: undefined }, outcome);
    }
  } finally {
    await pipeline.close();
  }
}

async function told(
  training: Training,
  about: Omit<Replayed, "scalars" | "problem">,
  outcome: StepOutcome,
): Promise<Replayed> {
  const { step, epoch, micro, accumulation } = about;
  const kind = stepKind(micro, accumulation);
  const problem = outcome.finite ? undefined : await training.notFinite(kind, { step, epoch }, outcome);
  return { ...about, scalars: outcome.scalars, problem };
}
