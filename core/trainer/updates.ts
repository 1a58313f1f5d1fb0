/** The updates of a run, one after the other: batches, micro-batches, and the way back where one cannot be finished. */
import type { Progress } from "../contexts.ts";
import type { ViewBatch } from "../data/pipeline.ts";
import { UnreadableImages } from "../data/unreadable-images.ts";
import { TensorFlowError } from "../engine/c-api.ts";
import { RelataError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Assembly } from "./assemble.ts";
import { replayFolder, writeReplay } from "./replay-file.ts";
import type { StepClock } from "./step-clock.ts";
import { stepKind, stepOutputs } from "./step.ts";
import type { StepOutcome } from "./training.ts";

export interface UpdatesOptions {
  /** The run folder, where the batch of a step that is not finite is kept; undefined keeps none. */
  readonly folder: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly logger: Logger;
}

export class Updates {
  private readonly assembly: Assembly;
  private readonly batches: AsyncGenerator<ViewBatch>;
  private readonly clock: StepClock;
  private readonly options: UpdatesOptions;
  private readonly unreadable: UnreadableImages;

  constructor(
    assembly: Assembly,
    batches: AsyncGenerator<ViewBatch>,
    clock: StepClock,
    options: UpdatesOptions,
  ) {
    this.assembly = assembly;
    this.batches = batches;
    this.clock = clock;
    this.options = options;
    const { trained, config } = assembly;
    this.unreadable = new UnreadableImages(trained, config.data.maxUnreadable, options.logger);
  }

  /**
   * Every micro-batch of the next update. Undefined when it was stopped before the last one, with nothing changed.
   *
   * @throws NOT_FINITE, and what the pipeline and plugins throw; see `isBetweenUpdates`
   */
  async next(progress: Progress): Promise<StepOutcome | undefined> {
    const { training, accumulation } = this.assembly;
    const { clock, options } = this;
    const outcomes: StepOutcome[] = [];
    const undo = await training.beginUpdate();
    try {
      for (let micro = 1; ; micro++) {
        const batch = await clock.waiting(async () => (await this.batches.next()).value as ViewBatch);
        this.unreadable.add(batch);
        const kind = stepKind(micro, accumulation);
        const onCapture = () => options.logger.info("capturing the step");
        const outcome = await clock.computing(() => training.step(kind, batch, progress, onCapture));
        if (!outcome.finite) {
          const kept = await this.saveBatch(micro, progress, outcome);
          throw await training.notFinite(kind, progress, outcome, kept);
        }
        outcomes.push(outcome);
        if (micro === accumulation) return meanOf(outcomes);
        if (this.options.signal?.aborted) {
          await undo();
          return undefined;
        }
      }
    } catch (error) {
      if (isBetweenUpdates(error)) await undo();
      throw error;
    }
  }

  /** Keeps what the step was fed; what was wrong with it is worth telling where that cannot be kept. */
  private async saveBatch(micro: number, progress: Progress, { scalars, feeds }: StepOutcome) {
    const { training, accumulation, config } = this.assembly;
    const { folder, logger } = this.options;
    if (folder === undefined) return undefined;
    try {
      const state = await training.saveBetweenUpdates();
      const { batchSize } = config.train;
      const replay = { ...progress, micro, accumulation, batchSize, scalars, feeds, state };
      return { file: await writeReplay(replayFolder(folder), replay), command: `relata replay ${folder}` };
    } catch (error) {
      logger.warn(`the batch of step ${progress.step} is not kept for replay: ${String(error)}`);
      return undefined;
    }
  }

  /** Tells how many images of the epoch that ends could not be read. */
  endEpoch(epoch: number): void {
    this.unreadable.endEpoch(epoch);
  }
}

/** An update's figures: means over its micro-batches, but the norm of the summed gradient. */
function meanOf(outcomes: readonly StepOutcome[]): StepOutcome {
  const last = outcomes.at(-1)!;
  const scalars = Object.entries(last.scalars).map(([name, value]) => {
    if (name === stepOutputs.gradientNorm) return [name, value] as const;
    return [name, outcomes.reduce((sum, { scalars }) => sum + scalars[name]!, 0) / outcomes.length] as const;
  });
  return { ...last, scalars: Object.fromEntries(scalars) };
}

/** Whether the state is, or can be made, that of the last whole update: not what TensorFlow began, and not the saving itself. */
export function isBetweenUpdates(error: unknown): boolean {
  return (
    !(error instanceof TensorFlowError) && !["OP_FAILED", "CHECKPOINT_WRITE"].includes(codeOf(error) ?? "")
  );
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof RelataError ? error.code : undefined;
}
