/** Writes down what a run does: run.json, metrics.jsonl, TensorBoard events, eval.json and the report. */
import { hostname } from "node:os";
import type { Progress } from "../contexts.ts";
import type { Evaluation } from "../eval/evaluator.ts";
import { EventWriter } from "../report/events.ts";
import { writeReport } from "../report/html.ts";
import { MetricsLog, readMetrics } from "../report/metrics-log.ts";
import type { RelationSample, RunStatus, ViewSample } from "../report/report-data.ts";
import type { StepReport, TrainingStart, TrainObserver } from "../trainer/train.ts";
import type { RunFile, RunFolder } from "./folder.ts";
import { reportData } from "./page.ts";
import { commitOf, deviceName, versions } from "./provenance.ts";

/** How long TensorBoard waits for points, at most. */
const FLUSH_MS = 5_000;
/** In a checkpoint: the weight, its two moments and the teacher's copy. */
const BYTES_PER_WEIGHT = 16;

export interface RecorderOptions {
  /** The report's heading. */
  readonly title: string;
  /** As it is in config.resolved.json. */
  readonly config: unknown;
  readonly seed: number;
  readonly command: string;
  /** The config's folder, which its paths start from; the commit of its working copy is noted. */
  readonly baseDir: string;
  readonly keptCheckpoints: number;
}

/**
 * An observer of `train`. Every line is in the file when the call returns, so that a crash loses nothing but
 * TensorBoard's last seconds; a resumed run drops what lies past the step that it goes on with.
 */
export class Recorder implements TrainObserver {
  private readonly folder: RunFolder;
  private readonly options: RecorderOptions;
  private readonly warnings = new Set<string>();
  private run: RunFile | undefined;
  private log: MetricsLog | undefined;
  private events: EventWriter | undefined;
  private evaluated: Evaluation | undefined;
  private samples: readonly ViewSample[] = [];
  private related: readonly RelationSample[] = [];
  private page: Promise<void> = Promise.resolve();
  private flushedAt = 0;

  constructor(folder: RunFolder, options: RecorderOptions) {
    this.folder = folder;
    this.options = options;
  }

  /** Whether training began, so that there is something worth keeping. */
  get started(): boolean {
    return this.run !== undefined;
  }

  /** @throws RUN_DISK_FULL where the checkpoints would not fit. */
  start(info: TrainingStart): void {
    const { seed, command, baseDir, keptCheckpoints } = this.options;
    // One more than are kept: a checkpoint is whole before an older one goes.
    this.folder.requireSpace(info.parameters * BYTES_PER_WEIGHT * (keptCheckpoints + 1));
    const before = info.fromStep > 0 ? this.folder.readRun() : undefined;
    const init = info.init ?? before?.init;
    const now = new Date().toISOString();
    this.run = {
      status: "running",
      startedAt: before?.startedAt ?? now,
      ...(before ? { resumedAt: [...(before.resumedAt ?? []), now] } : {}),
      seed,
      stepsPerEpoch: info.stepsPerEpoch,
      device: deviceName(info.device),
      precision: info.precision,
      engine: info.engine,
      plugins: info.plugins,
      images: info.images,
      parameters: info.parameters,
      ...(init && { init }),
      versions: versions(info.library),
      ...commitOf(baseDir),
      command,
      baseDir,
      process: { pid: process.pid, host: hostname() },
    };
    for (const warning of before?.warnings ?? []) this.warnings.add(warning);
    this.folder.writeRun(this.record);
    this.folder.writeConfig(this.options.config); // a resumed run's may have changed
    if (before) this.evaluated = { results: this.folder.readEvaluation() ?? [], scalars: {}, found: [] };
    this.log = MetricsLog.open(this.folder.metricsFile, { resumeStep: info.fromStep });
    const resumed = info.fromStep > 0 ? { resumeStep: info.fromStep } : {};
    this.events = EventWriter.open(this.folder.path, resumed);
  }

  step({ step, epoch, scalars, imagesPerSecond, waitShare, hostShare }: StepReport): void {
    this.write({ step, epoch }, { ...scalars, imagesPerSecond, waitShare, hostShare });
  }

  /** `progress` counts updates that are done; the log has them under the index of the last one. */
  evaluation(evaluation: Evaluation, { step, epoch }: Progress): void {
    this.write({ step: Math.max(0, step - 1), epoch }, evaluation.scalars);
    if (evaluation.results.length === 0) return;
    this.evaluated = evaluation;
    this.folder.writeEvaluation(evaluation.results);
    this.events!.flush();
    // Should it fail, it is written again at the end, where failing is told.
    this.page = this.page.then(() => this.writePage()).catch(() => undefined);
  }

  views(samples: readonly ViewSample[]): void {
    this.samples = samples;
  }

  relations(samples: readonly RelationSample[]): void {
    this.related = samples;
  }

  warning(message: string): void {
    this.warnings.add(message);
    if (this.run) this.folder.writeRun(this.record);
  }

  /** The run as it stands. */
  private get record(): RunFile {
    const warnings = [...this.warnings];
    return { ...this.run!, ...(warnings.length > 0 && { warnings }) };
  }

  /** Ends the files, after the trainer has ended. Without a `start` there is nothing to end. */
  async close(status: Exclude<RunStatus, "running">, failure?: { error: unknown }): Promise<void> {
    if (!this.run) return;
    const { process: _, ...run } = this.run;
    this.run = {
      ...run,
      status,
      finishedAt: new Date().toISOString(),
      ...(failure && { error: String(failure.error) }),
    };
    this.log!.close();
    this.events!.close();
    this.folder.writeRun(this.record);
    await this.page;
  }

  /** Writes the report as things stand. */
  async writePage(): Promise<void> {
    const { title, config } = this.options;
    const data = reportData({
      title,
      config,
      run: this.run!,
      metrics: readMetrics(this.folder.metricsFile),
      evaluation: this.evaluated,
      views: this.samples,
      relations: this.related,
      warnings: [...this.warnings],
    });
    await writeReport(this.folder.reportFile, data);
  }

  private write({ step, epoch }: Progress, scalars: Readonly<Record<string, number>>): void {
    const time = Date.now() / 1000;
    this.log!.append({ step, epoch, time, ...scalars });
    for (const [name, value] of Object.entries(scalars)) this.events!.scalar(name, value, step, time);
    if (performance.now() - this.flushedAt < FLUSH_MS) return;
    this.flushedAt = performance.now();
    this.events!.flush();
  }
}
