/** The trainer: epochs, accumulation, checkpoints, evaluation, and an orderly end whatever happens. */
import type { ResolvedConfig } from "../config/schema.ts";
import type { EpochContext, Progress, StepResult } from "../contexts.ts";
import type { ViewPipeline } from "../data/pipeline.ts";
import type { EvalResult } from "../eval/card.ts";
import { errors } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { CHECKPOINTS } from "../tokens.ts";
import { assemble, type Assembly, type ResolvedPlugin } from "./assemble.ts";
import { newestCheckpoint, type BestCheckpoint, type Checkpoint } from "./checkpoint.ts";
import { makeEvaluator, type RunEvaluator } from "./evaluate.ts";
import { makeMonitor } from "./health-rules.ts";
import type { HealthMonitor, HealthNotes } from "./health.ts";
import { openInitialWeights, originText, type WeightsOrigin } from "./initial-weights.ts";
import type { NetworkRole } from "../weights/networks.ts";
import { sampleViews } from "./preview.ts";
import { RelationPictures } from "./relation-pictures.ts";
import { resumedValues } from "./resume.ts";
import { runSettings } from "./run-settings.ts";
import { StepClock } from "./step-clock.ts";
import type { TrainObserver } from "./train-observer.ts";
import type { StepOutcome } from "./training.ts";
import { codeOf, isBetweenUpdates, Updates } from "./updates.ts";

export type { StepReport, TrainingStart, TrainObserver } from "./train-observer.ts";

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
  private evaluator!: RunEvaluator;
  private updates!: Updates;
  /** Ends evaluations; the one before training, which a checkpoint has the figures of, goes on to its end. */
  private readonly stopped = new AbortController();
  private monitor: HealthMonitor | undefined;
  private evaluations: readonly EvalResult[] = [];
  private savedStep = -1;
  /** The step at which the last epoch's end was gone through. */
  private endedStep = 0;
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
    this.pipeline = pipeline;
    this.plugins = plugins;
    this.options = options;
    this.observer = options.observer ?? {};
    this.logger = logger;
  }

  async run(): Promise<TrainSummary> {
    const { config, training, run } = this.assembly;
    const { dryRun, folder, signal } = this.options;
    this.evaluator = await makeEvaluator(this.assembly, { signal: this.stopped.signal });
    const firstStep = await this.begin();
    const stop = () => this.stopped.abort();
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    let step = firstStep;
    const lastStep = dryRun ? step + 1 : Math.min(run.totalSteps, config.train.maxSteps ?? Infinity);
    this.announce(step);
    this.observer.views?.(await sampleViews(this.assembly, config.report.samples));

    const batches = this.pipeline.batches(step * this.assembly.accumulation);
    const clock = new StepClock(run.globalBatchSize, step, lastStep);
    const kept = dryRun ? undefined : folder;
    const { logger } = this;
    this.updates = new Updates(this.assembly, batches, clock, { folder: kept, signal, logger });
    try {
      // What was cut off after its checkpoint was saved.
      if (step < lastStep && this.isEpochsEnd(step)) await this.endEpoch(step, false);
      while (step < lastStep && !signal?.aborted) {
        const progress = this.progressAt(step);
        const outcome = await this.updates.next(progress);
        if (!outcome) break;
        step++;
        this.report(progress, outcome, clock);
        if (step === firstStep + 1 || this.isEpochsEnd(step)) training.verify();
        const { everySteps } = config.checkpoint;
        if (everySteps !== undefined && step % everySteps === 0) await this.save(step);
        if (this.isEpochsEnd(step)) await this.endEpoch(step, step === lastStep);
      }
    } catch (error) {
      const worthSaving = step > firstStep || codeOf(error) === "NOT_FINITE"; // which is replayed from there
      if (worthSaving && isBetweenUpdates(error)) await this.save(step).catch(() => undefined);
      throw error;
    }
    await this.save(step);
    // It may be past the last one, where a run goes on with a lower maxSteps.
    const finished = step >= lastStep && (await this.evaluate(step));
    if (finished) await this.assembly.hooks.done.promise(this.epochContext(step, true));
    const status = finished ? "finished" : "interrupted";
    return { folder, status, step, evaluations: this.evaluations };
  }

  /** Sets the variables, from a checkpoint or the seed, and gives the step to go on with. */
  private async begin(): Promise<number> {
    const { training, config, container } = this.assembly;
    const { resume, folder, force, init, initNetwork } = this.options;
    const { logger } = this;
    const checkpoint = resume ? await newestCheckpoint(container.get(CHECKPOINTS), logger) : undefined;
    if (!checkpoint && resume === true) throw errors.checkpointMissing(folder);
    if (checkpoint) {
      await training.initialize(resumedValues(checkpoint, this.assembly, this.plugins, { force, logger }));
      this.evaluator.untrained = checkpoint.notes["untrained"] as Record<string, number>;
      this.evaluator.initialWeights = checkpoint.notes["initialWeights"] as string | undefined;
      this.savedStep = checkpoint.step;
      this.endedStep = checkpoint.notes["endedStep"] as number;
    } else {
      const weights =
        init === undefined
          ? undefined
          : await openInitialWeights(init, training, { from: initNetwork, logger });
      await training.initialize();
      this.observer.status?.("evaluating the untrained backbone");
      await this.evaluator.measureUntrained();
      await weights?.load();
      this.origin = weights?.origin;
      this.evaluator.initialWeights = weights && originText(weights.origin);
    }
    const health = checkpoint?.notes["health"] as HealthNotes | undefined;
    this.monitor = makeMonitor(config, training.declarations, health);
    if (!checkpoint) {
      this.judge(this.progressAt(0), this.evaluator.untrained);
      // Of a run that goes on, evaluations may have been others.
      this.figureOfBest(this.evaluator.untrained);
    }
    return checkpoint?.step ?? 0;
  }

  /** Whether an epoch's end is there, and was not gone through. */
  private isEpochsEnd(step: number): boolean {
    return step > this.endedStep && step % this.assembly.run.stepsPerEpoch === 0;
  }

  /** Warns of what has become unhealthy, and gives the limits that signals were held to, for the log. */
  private judge(
    progress: Progress,
    scalars: Readonly<Record<string, number>>,
    schedules = this.assembly.training.schedulesAt(progress),
  ): Record<string, number> {
    if (!this.monitor) return {};
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

  private report(progress: Progress, outcome: StepOutcome, clock: StepClock): void {
    const timing = clock.tick();
    const schedules = this.assembly.training.schedulesAt(progress);
    const logged = Object.entries(schedules).map(
      ([name, value]) => [name.replace(/^core\./, "").replace(".", "/"), value] as const,
    );
    const limits = this.judge(progress, outcome.scalars, schedules);
    const scalars = { ...outcome.scalars, ...Object.fromEntries(logged), ...limits };
    const result: StepResult = { ...progress, scalars, imagesPerSecond: timing.imagesPerSecond };
    // First who writes it down, then who can fail.
    this.observer.step?.({
      ...result,
      totalSteps: timing.lastStep,
      etaSeconds: timing.etaSeconds,
      waitShare: timing.waitShare,
      hostShare: timing.hostShare,
      memoryBytes: process.memoryUsage.rss(),
    });
    this.assembly.hooks.afterStep.call(result);
  }

  private async endEpoch(step: number, last: boolean): Promise<void> {
    const { config, hooks, run } = this.assembly;
    const epoch = step / run.stepsPerEpoch;
    const { everyEpochs } = config.evaluation;
    this.updates.endEpoch(epoch);
    // First what must not be lost, then what can fail.
    if (last || epoch % config.checkpoint.everyEpochs === 0) await this.save(step);
    if (!last && everyEpochs > 0 && epoch % everyEpochs === 0 && !(await this.evaluate(step))) return;
    await hooks.afterEpoch.promise(this.epochContext(step, last));
    this.endedStep = step;
  }

  /** False when it was stopped, which changes nothing. */
  private async evaluate(step: number): Promise<boolean> {
    this.observer.status?.("evaluating");
    const { best } = this.assembly.config.checkpoint;
    if (best !== undefined) await this.save(step); // what is best has to be there
    const evaluation = await this.unlessStopped(async () => {
      this.observer.relations?.(await this.relations.sample());
      return this.evaluator.evaluate();
    });
    if (!evaluation) return false;
    this.evaluations = evaluation.results;
    const progress = this.progressAt(step);
    const limits = this.judge(progress, evaluation.scalars);
    this.observer.evaluation?.({ ...evaluation, scalars: { ...evaluation.scalars, ...limits } }, progress);
    const value = this.figureOfBest(evaluation.scalars);
    if (best !== undefined && value !== undefined) await this.markBest({ step, figure: best, value });
    return true;
  }

  /** Throws BEST_UNKNOWN where an evaluation does not give it. */
  private figureOfBest(scalars: Readonly<Record<string, number>>): number | undefined {
    const { best } = this.assembly.config.checkpoint;
    if (best !== undefined && !(best in scalars)) throw errors.bestUnknown(best, Object.keys(scalars));
    return best === undefined ? undefined : scalars[best];
  }

  private async unlessStopped<T>(work: () => Promise<T>): Promise<T | undefined> {
    const { signal } = this.stopped;
    try {
      return await work();
    } catch (error) {
      if (signal.aborted && error === signal.reason) return undefined;
      throw error;
    }
  }

  private async markBest(candidate: BestCheckpoint): Promise<void> {
    const store = this.assembly.container.get(CHECKPOINTS);
    const best = await store.best().catch((error: unknown) => this.logger.warn(String(error)));
    if (best?.figure === candidate.figure && !(candidate.value > best.value)) return;
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
        endedStep: this.endedStep,
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
