/** The trainer: epochs, accumulation, checkpoints, evaluation, and an orderly end whatever happens. */
import type { ResolvedConfig } from "../config/schema.ts";
import type { EpochContext, Progress, StepResult } from "../contexts.ts";
import type { ViewBatch, ViewPipeline } from "../data/pipeline.ts";
import { UnreadableImages } from "../data/unreadable-images.ts";
import type { EvalResult } from "../eval/card.ts";
import type { Evaluation } from "../eval/evaluator.ts";
import { errors, RelataError } from "../errors.ts";
import { TensorFlowError } from "../engine/c-api.ts";
import type { Logger } from "../logger.ts";
import type { RelationSample, ViewSample } from "../report/report-data.ts";
import { CHECKPOINTS } from "../tokens.ts";
import { assemble, type Assembly, type ResolvedPlugin } from "./assemble.ts";
import type { BestCheckpoint, Checkpoint } from "./checkpoint.ts";
import { makeEvaluator, type RunEvaluator } from "./evaluate.ts";
import { makeMonitor } from "./health-rules.ts";
import type { HealthMonitor, HealthNotes } from "./health.ts";
import { openInitialWeights, originText, type WeightsOrigin } from "./initial-weights.ts";
import type { NetworkRole } from "../weights/networks.ts";
import { sampleViews } from "./preview.ts";
import { RelationPictures } from "./relation-pictures.ts";
import { newestCheckpoint, resumedValues } from "./resume.ts";
import { runSettings } from "./run-settings.ts";
import { StepClock } from "./step-clock.ts";
import { replayFolder, writeReplay } from "./replay-file.ts";
import { stepKind, stepOutputs } from "./step.ts";
import type { StepOutcome } from "./training.ts";

/** What is known when the first step is about to run. */
export interface TrainingStart {
  readonly folder: string;
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  readonly fromStep: number;
  readonly epochs: number;
  readonly device: string;
  readonly precision: string;
  readonly engine: string;
  /** Version of libtensorflow or of the tfjs backend. */
  readonly library: string;
  /** Trained weights. */
  readonly parameters: number;
  readonly plugins: readonly string[];
  readonly images: number;
  /** What the run begins with; absent where that is random, and where a run goes on. */
  readonly init?: WeightsOrigin;
}

export interface StepReport extends StepResult {
  readonly totalSteps: number;
  readonly etaSeconds: number;
  /** Resident memory of the process. */
  readonly memoryBytes: number;
  /** Part of the time since the last report that the step waited for images, 0..1. */
  readonly waitShare: number;
  /** Part of it that went neither to waiting nor to the step: schedules, hooks, observers, checkpoints, evaluations. */
  readonly hostShare: number;
}

/** Who watches a run: the CLI's progress, the run folder's recorder. */
export interface TrainObserver {
  start?(info: TrainingStart): void;
  status?(message: string): void;
  step?(report: StepReport): void;
  /** `progress` says after which step. */
  evaluation?(evaluation: Evaluation, progress: Progress): void;
  /** A few samples and their views, for the report. */
  views?(samples: readonly ViewSample[]): void;
  /** How points of a few samples relate to the rest of their views, at an evaluation. */
  relations?(samples: readonly RelationSample[]): void;
  checkpoint?(path: string, step: number): void;
  warning?(message: string): void;
}

export interface TrainOptions {
  readonly baseDir: string;
  /** The run folder; checkpoints go below it. */
  readonly folder: string;
  /** Go on from the newest whole checkpoint of this folder; "auto" starts where none was saved yet. */
  readonly resume?: boolean | "auto";
  /** Go on with what fits where the config, the images or the plugins have changed. */
  readonly force?: boolean;
  /** Weights to begin with, where the run does not go on: a file, a folder of a model, a run, a checkpoint of one. */
  readonly init?: string;
  /** Whose of those start every network (default: each network's own, as far as they are there). */
  readonly initNetwork?: NetworkRole;
  /** One step, one evaluation, one checkpoint. */
  readonly dryRun?: boolean;
  /** Finishes the step, saves and returns. */
  readonly signal?: AbortSignal;
  readonly observer?: TrainObserver;
}

/** How training ended. */
export interface TrainSummary {
  readonly folder: string;
  readonly status: "finished" | "interrupted";
  readonly step: number;
  readonly evaluations: readonly EvalResult[];
}

export async function train(
  config: ResolvedConfig,
  plugins: readonly ResolvedPlugin[],
  options: TrainOptions,
): Promise<TrainSummary> {
  const { observer = {}, baseDir, folder } = options;
  const warned = new Set<string>();
  const logger: Logger = {
    info: (message) => observer.status?.(message),
    warn: (message, key = message) => {
      if (!warned.has(key)) observer.warning?.(message);
      warned.add(key);
    },
  };
  const assembly = await assemble(config, plugins, {
    baseDir,
    checkpoints: `${folder}/checkpoints`,
    logger,
    status: (message) => observer.status?.(message),
  });
  try {
    const { run, trained } = assembly;
    if (run.stepsPerEpoch === 0) throw errors.batchTooLarge(run.globalBatchSize, trained.name, trained.size);
    const pipeline = assembly.pipeline();
    try {
      return await new TrainRun(assembly, pipeline, plugins, options, logger).run();
    } finally {
      await pipeline.close();
    }
  } finally {
    assembly.engine.close();
  }
}

class TrainRun {
  private readonly assembly: Assembly;
  private readonly pipeline: ViewPipeline;
  private readonly plugins: readonly ResolvedPlugin[];
  private readonly options: TrainOptions;
  private readonly observer: TrainObserver;
  private readonly logger: Logger;
  private readonly relations: RelationPictures;
  private readonly unreadable: UnreadableImages;
  private evaluator!: RunEvaluator;
  private monitor: HealthMonitor | undefined;
  private evaluations: readonly EvalResult[] = [];
  private savedStep = -1;
  private origin: WeightsOrigin | undefined;

  constructor(
    assembly: Assembly,
    pipeline: ViewPipeline,
    plugins: readonly ResolvedPlugin[],
    options: TrainOptions,
    logger: Logger,
  ) {
    this.assembly = assembly;
    this.relations = new RelationPictures(assembly, assembly.config.report.samples);
    this.unreadable = new UnreadableImages(assembly.trained, assembly.config.data.maxUnreadable, logger);
    this.pipeline = pipeline;
    this.plugins = plugins;
    this.options = options;
    this.observer = options.observer ?? {};
    this.logger = logger;
  }

  async run(): Promise<TrainSummary> {
    const { config, training, run } = this.assembly;
    const { dryRun, folder } = this.options;
    this.evaluator = await makeEvaluator(this.assembly);
    const firstStep = await this.begin();
    let step = firstStep;
    const lastStep = dryRun ? step + 1 : Math.min(run.totalSteps, config.train.maxSteps ?? Infinity);
    this.announce(step);
    this.observer.views?.(await sampleViews(this.assembly, config.report.samples));

    if (this.isDue(step, lastStep)) await this.endEpoch(step, false);
    const batches = this.pipeline.batches(step * this.assembly.accumulation);
    const clock = new StepClock(run.globalBatchSize, step, lastStep);
    try {
      while (step < lastStep && !this.options.signal?.aborted) {
        const progress = this.progressAt(step);
        const outcome = await this.update(batches, progress, clock);
        if (!outcome) break;
        step++;
        this.report(progress, outcome, clock);
        if (step === firstStep + 1 || step % run.stepsPerEpoch === 0) training.verify();
        const { everySteps } = config.checkpoint;
        if (everySteps !== undefined && step % everySteps === 0) await this.save(step);
        if (step % run.stepsPerEpoch === 0) await this.endEpoch(step, step === lastStep);
      }
    } catch (error) {
      const worthSaving = step > firstStep || codeOf(error) === "NOT_FINITE"; // which is replayed from there
      if (worthSaving && isBetweenUpdates(error)) await this.save(step).catch(() => undefined);
      throw error;
    }
    const interrupted = step < lastStep;
    await this.save(step);
    if (!interrupted) await this.evaluate(step);
    if (!interrupted) await this.assembly.hooks.done.promise(this.epochContext(step, true));
    const status = interrupted ? "interrupted" : "finished";
    return { folder, status, step, evaluations: this.evaluations };
  }

  /** Sets the variables, from a checkpoint or the seed, and gives the step to go on with. */
  private async begin(): Promise<number> {
    const { training, config, container } = this.assembly;
    const { resume, folder, force, init, initNetwork } = this.options;
    const orStart = resume === "auto";
    const { logger } = this;
    const checkpoint =
      resume && (await newestCheckpoint(container.get(CHECKPOINTS), { folder, orStart, logger }));
    if (checkpoint) {
      await training.initialize(resumedValues(checkpoint, this.assembly, this.plugins, { force, logger }));
      this.evaluator.untrained = checkpoint.notes["untrained"] as Record<string, number>;
      this.evaluator.initialWeights = checkpoint.notes["initialWeights"] as string | undefined;
      this.savedStep = checkpoint.step;
    } else {
      const weights = init === undefined ? undefined : await openInitialWeights(init, training, initNetwork);
      await training.initialize();
      this.observer.status?.("evaluating the untrained backbone");
      await this.evaluator.measureUntrained();
      await weights?.load();
      this.origin = weights?.origin;
      this.evaluator.initialWeights = weights && originText(weights.origin);
    }
    this.monitor = makeMonitor(
      config,
      training.declarations,
      checkpoint ? (checkpoint.notes["health"] as HealthNotes | undefined) : undefined,
    );
    if (!checkpoint) this.judge(this.progressAt(0), this.evaluator.untrained);
    const { best } = config.checkpoint;
    const figures = Object.keys(this.evaluator.untrained);
    if (best !== undefined && !figures.includes(best)) throw errors.bestUnknown(best, figures);
    return checkpoint ? checkpoint.step : 0;
  }

  /** Whether the end of an epoch may have been cut off after its checkpoint was saved. */
  private isDue(step: number, lastStep: number): boolean {
    return step > 0 && step < lastStep && step % this.assembly.run.stepsPerEpoch === 0;
  }

  /** Warns of what has become unhealthy, and gives the limits that signals were held to, for the log. */
  private judge(progress: Progress, scalars: Readonly<Record<string, number>>): Record<string, number> {
    if (!this.monitor) return {};
    const schedules = this.assembly.training.schedulesAt(progress);
    const { limits, warnings } = this.monitor.judge({ ...progress, scalars, schedules });
    for (const warning of warnings) this.logger.warn(warning);
    return { ...limits };
  }

  private announce(fromStep: number): void {
    const { training, run, engine, trained, config } = this.assembly;
    const { device, precision, kind, library } = engine.description;
    this.observer.start?.({
      folder: this.options.folder,
      totalSteps: run.totalSteps,
      stepsPerEpoch: run.stepsPerEpoch,
      fromStep,
      epochs: config.train.epochs,
      device,
      precision,
      engine: kind,
      library,
      parameters: training.state.parameterCount(),
      plugins: this.plugins.map(({ definition }) => definition.manifest.name),
      images: trained.size,
      ...(this.origin && { init: this.origin }),
    });
  }

  /**
   * One update: every micro-batch of it. Undefined when it was stopped before the last one, with nothing changed.
   * Throws NOT_FINITE after saving the state before it.
   */
  private async update(
    batches: AsyncGenerator<ViewBatch>,
    progress: Progress,
    clock: StepClock,
  ): Promise<StepOutcome | undefined> {
    const { training, accumulation } = this.assembly;
    const outcomes: StepOutcome[] = [];
    const undo = await training.beginUpdate();
    try {
      for (let micro = 1; ; micro++) {
        const batch = await clock.waiting(async () => (await batches.next()).value as ViewBatch);
        this.unreadable.add(batch);
        const kind = stepKind(micro, accumulation);
        const onCapture = () => this.observer.status?.("capturing the step");
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
    const { folder, dryRun } = this.options;
    if (dryRun) return undefined;
    try {
      const state = await training.saveBetweenUpdates();
      const { batchSize } = config.train;
      const replay = { ...progress, micro, accumulation, batchSize, scalars, feeds, state };
      return { file: await writeReplay(replayFolder(folder), replay), command: `relata replay ${folder}` };
    } catch (error) {
      this.logger.warn(`the batch of step ${progress.step} is not kept for replay: ${String(error)}`);
      return undefined;
    }
  }

  private report(progress: Progress, outcome: StepOutcome, clock: StepClock): void {
    const timing = clock.tick();
    const schedules = Object.entries(this.assembly.training.schedulesAt(progress)).map(
      ([name, value]) => [name.replace(/^core\./, "").replace(".", "/"), value] as const,
    );
    const limits = this.judge(progress, outcome.scalars);
    const scalars = { ...outcome.scalars, ...Object.fromEntries(schedules), ...limits };
    const result: StepResult = { ...progress, scalars, imagesPerSecond: timing.imagesPerSecond };
    this.assembly.hooks.afterStep.call(result);
    this.observer.step?.({
      ...result,
      totalSteps: timing.lastStep,
      etaSeconds: timing.etaSeconds,
      waitShare: timing.waitShare,
      hostShare: timing.hostShare,
      memoryBytes: process.memoryUsage.rss(),
    });
  }

  private async endEpoch(step: number, last: boolean): Promise<void> {
    const { config, hooks, run } = this.assembly;
    const epoch = step / run.stepsPerEpoch;
    const { everyEpochs } = config.evaluation.knn;
    this.unreadable.endEpoch(epoch);
    // First what must not be lost, then what can fail.
    if (last || epoch % config.checkpoint.everyEpochs === 0) await this.save(step);
    if (!last && everyEpochs > 0 && epoch % everyEpochs === 0) await this.evaluate(step);
    await hooks.afterEpoch.promise(this.epochContext(step, last));
  }

  private async evaluate(step: number): Promise<void> {
    this.observer.status?.("evaluating");
    const { best } = this.assembly.config.checkpoint;
    if (best !== undefined) await this.save(step); // what is best has to be there
    this.observer.relations?.(await this.relations.sample());
    const evaluation = await this.evaluator.evaluate();
    this.evaluations = evaluation.results;
    const progress = this.progressAt(step);
    const limits = this.judge(progress, evaluation.scalars);
    this.observer.evaluation?.({ ...evaluation, scalars: { ...evaluation.scalars, ...limits } }, progress);
    if (best !== undefined) await this.markBest({ step, figure: best, value: evaluation.scalars[best]! });
  }

  private async markBest(candidate: BestCheckpoint): Promise<void> {
    const store = this.assembly.container.get(CHECKPOINTS);
    const best = await store.best();
    if (best?.figure === candidate.figure && best.value >= candidate.value) return;
    await store.markBest(candidate);
    this.observer.status?.(`the best ${candidate.figure} so far: ${candidate.value.toFixed(4)}`);
  }

  private async save(step: number): Promise<void> {
    if (step === this.savedStep) return;
    const { training, container, engine, trained, config } = this.assembly;
    const { variables } = training.state;
    const values = await engine.save(variables);
    const checkpoint: Checkpoint = {
      ...this.progressAt(step),
      settings: runSettings(config, this.plugins),
      dataset: trained.fingerprint,
      notes: {
        untrained: this.evaluator.untrained,
        initialWeights: this.evaluator.initialWeights,
        health: this.monitor?.notes,
      },
      tensors: variables.map(({ name, shape }, i) => ({ name, shape, values: values[i]! })),
    };
    const path = await container.get(CHECKPOINTS).save(checkpoint);
    this.savedStep = step;
    this.observer.checkpoint?.(path, step);
  }

  private progressAt(step: number): Progress {
    return { step, epoch: step / this.assembly.run.stepsPerEpoch };
  }

  private epochContext(step: number, last: boolean): EpochContext {
    return {
      ...this.progressAt(step),
      last,
      log: (name, value) =>
        this.observer.evaluation?.(
          { results: [], scalars: { [name]: value }, found: [] },
          this.progressAt(step),
        ),
    };
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
function isBetweenUpdates(error: unknown): boolean {
  return (
    !(error instanceof TensorFlowError) && !["OP_FAILED", "CHECKPOINT_WRITE"].includes(codeOf(error) ?? "")
  );
}

function codeOf(error: unknown): string | undefined {
  return error instanceof RelataError ? error.code : undefined;
}
